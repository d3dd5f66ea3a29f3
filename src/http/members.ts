/** Who is in a conversation. Rules: WIRE "Friends and conversations". */
import { createRoute } from "@hono/zod-openapi";
import { WORLD_ROOM_ID, type MemberState } from "../domain/records.ts";
import { ERRORS } from "../protocol/errors.ts";
import {
  AddMembersAnswer,
  AddMembersBody,
  ConversationParams,
  EmptyAnswer,
  MemberChangeBody,
  MemberList,
  MemberParams,
  MembersQuery,
} from "../protocol/rest.ts";
import { Member } from "../protocol/things.ts";
import { auditedByRole } from "./admin/audit.ts";
import { fail, listSources, newRouter, writeThrough } from "./context.ts";
import { profilesOf } from "./lists.ts";
import { whyNotAddable } from "./conversations.ts";
import { withPresence } from "./memberPresence.ts";
import { presentMember } from "./present.ts";
import { answer, body, refusals } from "./route.ts";
import type { Services } from "./services.ts";
import { signedIn } from "./signedIn.ts";
import { worldMembers } from "./worldMembers.ts";

export const members = newRouter();

const tags = ["members"];

members.openapi(
  createRoute({
    method: "get",
    path: "/conversations/{id}/members",
    tags,
    summary: "Members, by user id; of the world room everybody",
    ...signedIn,
    request: { params: ConversationParams, query: MembersQuery },
    responses: { 200: answer(MemberList, "One page"), ...refusals("UNAUTHENTICATED", "CONVERSATION_NOT_FOUND") },
  }),
  async (c) => {
    const services = c.get("services");
    const { id } = c.req.valid("param");
    const { actor } = c.get("viewer");
    if (id === WORLD_ROOM_ID) {
      const everybody = await worldMembers(services, actor, c.req.valid("query"));
      return everybody.ok ? c.json(everybody.value, 200) : fail(c, everybody.fault);
    }
    const page = await services.room(id).members(actor, c.req.valid("query"));
    if (!page.ok) {
      return fail(c, page.fault);
    }
    const { users, degraded: unnamed } = await profilesOf(
      listSources(c),
      page.value.items.map((member) => member.userId),
    );
    const shown = page.value.items.map((member) => presentMember(member, users.get(member.userId)));
    const { items, degraded = unnamed } = await withPresence(services, actor.userId, id, shown);
    const { nextCursor } = page.value;
    return c.json({ items, nextCursor, ...(degraded === undefined ? {} : { degraded }) }, 200);
  },
);

members.openapi(
  createRoute({
    method: "post",
    path: "/conversations/{id}/members",
    tags,
    summary: "Add members to a group; who cannot be added is named with the reason",
    ...signedIn,
    request: { params: ConversationParams, body: body(AddMembersBody) },
    responses: {
      200: answer(AddMembersAnswer, "Who is in, and who is not"),
      ...refusals("UNAUTHENTICATED", "CONVERSATION_NOT_FOUND", "PERMISSION_DENIED"),
    },
  }),
  async (c) => {
    const services = c.get("services");
    const userIds = [...new Set(c.req.valid("json").userIds)];
    const { refused, known } = await whyNotAddable(c, userIds);
    const room = services.room(c.req.valid("param").id);
    // Also with nobody left to add: whether the caller may add at all is the room's answer.
    const added = await room.addMembers(
      c.get("viewer").actor,
      userIds.filter((userId) => !refused.has(userId)),
    );
    if (!added.ok) {
      return fail(c, added.fault);
    }
    const degraded = await writeThrough(c, room, added.value);
    const failed = [...refused].map(([userId, name]) => ({ userId, code: ERRORS[name].code as number }));
    const { value } = added.value;
    const joined = value.added.map((state) => presentMember(state, known.get(state.userId)));
    return c.json({ added: joined, failed: [...failed, ...value.failed], ...degraded }, 200);
  },
);

members.openapi(
  createRoute({
    method: "put",
    path: "/conversations/{id}/members/{userId}",
    tags,
    summary: "Give a member of a group a role, or mute them until a time",
    description: "Roles are given by the owner; owner and admins mute whoever stands below them.",
    ...signedIn,
    request: { params: MemberParams, body: body(MemberChangeBody) },
    responses: {
      200: answer(Member, "As it is now"),
      ...refusals("UNAUTHENTICATED", "CONVERSATION_NOT_FOUND", "USER_NOT_FOUND", "PERMISSION_DENIED"),
    },
  }),
  async (c) => {
    const services = c.get("services");
    const { id, userId } = c.req.valid("param");
    const wish = c.req.valid("json");
    // Everybody is in the world room without a row, so its room cannot tell who exists, or who is a system admin.
    const account = id === WORLD_ROOM_ID ? await services.repo.users.byId(userId) : undefined;
    if (account === null) {
      return fail(c, { name: "USER_NOT_FOUND" });
    }
    const room = services.room(id);
    const action = wish.role === undefined ? "member.mute" : "member.role";
    const changed = await auditedByRole(c, { action, targetKind: "user", targetId: userId }, (actor) =>
      room.changeMember(actor, userId, wish, account?.role === "admin"),
    );
    if (!changed.ok) {
      return fail(c, changed.fault);
    }
    const degraded = await writeThrough(c, room, changed.value);
    const [member] = await withProfiles(services, [changed.value.value]);
    return member === undefined ? fail(c, { name: "INTERNAL" }) : c.json({ ...member, ...degraded }, 200);
  },
);

members.openapi(
  createRoute({
    method: "delete",
    path: "/conversations/{id}/members/{userId}",
    tags,
    summary: "Remove a member of a group, or leave it",
    ...signedIn,
    request: { params: MemberParams },
    responses: {
      200: answer(EmptyAnswer, "Removed"),
      ...refusals("UNAUTHENTICATED", "CONVERSATION_NOT_FOUND", "USER_NOT_FOUND", "PERMISSION_DENIED", "CONFLICT"),
    },
  }),
  async (c) => {
    const { id, userId } = c.req.valid("param");
    const room = c.get("services").room(id);
    const removed = await room.removeMember(c.get("viewer").actor, userId);
    if (!removed.ok) {
      return fail(c, removed.fault);
    }
    return c.json(await writeThrough(c, room, removed.value), 200);
  },
);

/** The members with their profiles, in the same order. */
export async function withProfiles(services: Services, states: readonly MemberState[]): Promise<Member[]> {
  const ids = states.map((state) => state.userId);
  // What a room has changed is changed, whether SQL can name who it was or not. Whether these names are kept is no matter.
  const { users } = await profilesOf({ ...services, later: () => undefined }, ids);
  return states.map((state) => presentMember(state, users.get(state.userId)));
}

/** Invite links of groups, coming in by them, and requests to join. Rules: src/domain/joinChanges.ts. */
import { createRoute } from "@hono/zod-openapi";
import type { InviteState, JoinRequestState } from "../domain/records.ts";
import { groupOfInvite, newId, newInviteCode } from "../platform/ids.ts";
import { err, ok, type Result } from "../protocol/errors.ts";
import {
  ConversationInviteParams,
  ConversationParams,
  DecisionBody,
  EmptyAnswer,
  InviteBody,
  InviteList,
  InviteParams,
  JoinAnswer,
  JoinPendingAnswer,
  JoinRequestList,
  JoinRequestParams,
  PageQuery,
} from "../protocol/rest.ts";
import { Invite, JoinRequest } from "../protocol/things.ts";
import { decodeCursor, pageOf } from "../repo/cursor.ts";
import { fail, newRouter, writeThrough, type Ctx } from "./context.ts";
import { whyNotAddable } from "./conversations.ts";
import { presentInvite, presentJoinRequest } from "./present.ts";
import { answer, body, optionalBody, refusals } from "./route.ts";
import type { Services } from "./services.ts";
import { signedIn } from "./signedIn.ts";
import { presentView } from "./views.ts";

export const invites = newRouter();

const tags = ["invites"];

invites.openapi(
  createRoute({
    method: "post",
    path: "/conversations/{id}/invites",
    tags,
    summary: "Make an invite link: for owner and admins of a group",
    ...signedIn,
    request: { params: ConversationParams, body: optionalBody(InviteBody) },
    responses: {
      201: answer(Invite, "The link; whoever has its code may join"),
      ...refusals("UNAUTHENTICATED", "CONVERSATION_NOT_FOUND", "PERMISSION_DENIED", "CONFLICT"),
    },
  }),
  async (c) => {
    const { id } = c.req.valid("param");
    const room = c.get("services").room(id);
    const made = await room.createInvite(c.get("viewer").actor, { ...c.req.valid("json"), code: newInviteCode(id) });
    if (!made.ok) {
      return fail(c, made.fault);
    }
    const degraded = await writeThrough(c, room, made.value);
    return c.json({ ...presentInvite(made.value.value), ...degraded }, 201);
  },
);

invites.openapi(
  createRoute({
    method: "get",
    path: "/conversations/{id}/invites",
    tags,
    summary: "Links that still let somebody in, oldest first",
    ...signedIn,
    request: { params: ConversationParams, query: PageQuery },
    responses: {
      200: answer(InviteList, "One page"),
      ...refusals("UNAUTHENTICATED", "CONVERSATION_NOT_FOUND", "PERMISSION_DENIED"),
    },
  }),
  async (c) => {
    const { cursor, limit } = c.req.valid("query");
    const key = decodeCursor(cursor, [0, ""]);
    if (!key.ok) {
      return fail(c, key.fault);
    }
    const after = key.value === null ? undefined : { createdAt: Number(key.value[0]), code: String(key.value[1]) };
    const room = c.get("services").room(c.req.valid("param").id);
    // One too many tells whether there is another page.
    const found = await room.invites(c.get("viewer").actor, { after, limit: limit + 1 });
    return found.ok
      ? c.json(
          pageOf(found.value, limit, (invite: InviteState) => [invite.createdAt, invite.code], presentInvite),
          200,
        )
      : fail(c, found.fault);
  },
);

invites.openapi(
  createRoute({
    method: "delete",
    path: "/conversations/{id}/invites/{code}",
    tags,
    summary: "Revoke an invite link: for owner and admins of a group",
    ...signedIn,
    request: { params: ConversationInviteParams },
    responses: {
      200: answer(EmptyAnswer, "Revoked"),
      ...refusals("UNAUTHENTICATED", "CONVERSATION_NOT_FOUND", "PERMISSION_DENIED", "NOT_FOUND"),
    },
  }),
  async (c) => {
    const { id, code } = c.req.valid("param");
    const room = c.get("services").room(id);
    const revoked = await room.revokeInvite(c.get("viewer").actor, code);
    return revoked.ok ? c.json(await writeThrough(c, room, revoked.value), 200) : fail(c, revoked.fault);
  },
);

invites.openapi(
  createRoute({
    method: "post",
    path: "/invites/{code}/join",
    tags,
    summary: "Join a group by an invite link; again, for a member, changes nothing",
    ...signedIn,
    request: { params: InviteParams },
    responses: {
      200: answer(JoinAnswer, "The group, of which one is a member now"),
      202: answer(JoinPendingAnswer, "Somebody has to approve first"),
      ...refusals("UNAUTHENTICATED", "PERMISSION_DENIED", "NOT_FOUND", "GROUP_FULL", "CONFLICT"),
    },
  }),
  async (c) => {
    const { room: roomOf, clock } = c.get("services");
    const { actor } = c.get("viewer");
    const { code } = c.req.valid("param");
    if (actor.isGuest) {
      return fail(c, { name: "PERMISSION_DENIED" });
    }
    const conversationId = groupOfInvite(code);
    if (conversationId === null) {
      return fail(c, { name: "NOT_FOUND" });
    }
    const room = roomOf(conversationId);
    const joined = await room.join(actor, { code, requestId: newId(clock.now()) });
    if (!joined.ok) {
      return fail(c, joined.fault);
    }
    const degraded = await writeThrough(c, room, joined.value);
    const outcome = joined.value.value;
    return outcome.status === "pending"
      ? c.json({ status: outcome.status, requestId: outcome.request.requestId, ...degraded }, 202)
      : c.json({ ...presentView(outcome.view), ...degraded }, 200);
  },
);

invites.openapi(
  createRoute({
    method: "get",
    path: "/conversations/{id}/join-requests",
    tags,
    summary: "Requests to join that wait for a decision, oldest first: for owner and admins",
    ...signedIn,
    request: { params: ConversationParams, query: PageQuery },
    responses: {
      200: answer(JoinRequestList, "One page"),
      ...refusals("UNAUTHENTICATED", "CONVERSATION_NOT_FOUND", "PERMISSION_DENIED"),
    },
  }),
  async (c) => {
    const services = c.get("services");
    const { cursor, limit } = c.req.valid("query");
    const key = decodeCursor(cursor, [""]);
    if (!key.ok) {
      return fail(c, key.fault);
    }
    const room = services.room(c.req.valid("param").id);
    const after = String(key.value?.[0] ?? "");
    const found = await room.joinRequests(c.get("viewer").actor, { after, limit: limit + 1 });
    if (!found.ok) {
      return fail(c, found.fault);
    }
    const page = pageOf(
      found.value,
      limit,
      (request) => [request.requestId],
      (request) => request,
    );
    return c.json({ items: await withUsers(services, page.items), nextCursor: page.nextCursor }, 200);
  },
);

invites.openapi(
  createRoute({
    method: "put",
    path: "/conversations/{id}/join-requests/{requestId}",
    tags,
    summary: "Accept or reject a request to join: for owner and admins",
    ...signedIn,
    request: { params: JoinRequestParams, body: body(DecisionBody) },
    responses: {
      200: answer(JoinRequest, "The request after the decision"),
      ...refusals(
        "UNAUTHENTICATED",
        "CONVERSATION_NOT_FOUND",
        "PERMISSION_DENIED",
        "NOT_FOUND",
        "GROUP_FULL",
        "CONFLICT",
      ),
    },
  }),
  async (c) => {
    const { id, requestId } = c.req.valid("param");
    const decided = await decide(c, id, requestId, c.req.valid("json").action);
    return decided.ok ? c.json(decided.value, 200) : fail(c, decided.fault);
  },
);

async function decide(
  c: Ctx,
  conversationId: string,
  requestId: string,
  action: DecisionBody["action"],
): Promise<Result<JoinRequest>> {
  const services = c.get("services");
  const { actor } = c.get("viewer");
  const room = services.room(conversationId);
  if (action === "accept") {
    const asked = await room.joinRequest(actor, requestId);
    if (!asked.ok) {
      return asked;
    }
    // Accepting is adding: not those between whom and oneself there is a block.
    const { refused: reasons } = await whyNotAddable(c, [asked.value.userId]);
    const refused = reasons.get(asked.value.userId);
    if (refused !== undefined && asked.value.status === "pending") {
      return err({ name: refused });
    }
  }
  const decided = await room.decideJoin(actor, { requestId, action });
  if (!decided.ok) {
    return decided;
  }
  const degraded = await writeThrough(c, room, decided.value);
  const [request] = await withUsers(services, [decided.value.value]);
  return request === undefined ? err({ name: "INTERNAL" }) : ok({ ...request, ...degraded });
}

async function withUsers(services: Services, requests: readonly JoinRequestState[]): Promise<JoinRequest[]> {
  const rows = await services.repo.users.byIds(requests.map((request) => request.userId));
  const users = new Map(rows.map((row) => [row.userId, row]));
  return requests.map((request) => presentJoinRequest(request, users.get(request.userId)));
}

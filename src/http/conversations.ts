/** Making, listing and reading about conversations; the read pointer. Rules: WIRE "Friends and conversations". */
import { createRoute } from "@hono/zod-openapi";
import { coalesced } from "../cache/coalesced.ts";
import { DIRECT, GROUP, WORLD_ROOM_ID } from "../domain/records.ts";
import { readHeads } from "../objects/sync.ts";
import { asRoomsSay } from "../objects/syncMembers.ts";
import { readVersions } from "../objects/syncUpdated.ts";
import { directConversationId, newGroupId } from "../platform/ids.ts";
import { err, ok, type Result } from "../protocol/errors.ts";
import type { ServerFrame } from "../protocol/frames.ts";
import { MAX_MEMBERS_DEFAULT } from "../protocol/limits.ts";
import {
  ConversationAnswer,
  ConversationBody,
  ConversationList,
  ConversationParams,
  PageQuery,
  ReadAnswer,
  ReadBody,
} from "../protocol/rest.ts";
import type { UserRow } from "../repo/types.ts";
import { conversationLoad } from "../telemetry/metrics.ts";
import { background, fail, listSources, newRouter, writeThrough, type Ctx } from "./context.ts";
import { conversationPage } from "./lists.ts";
import { acceptNames } from "./names.ts";
import { answer, body, refusals } from "./route.ts";
import { signedIn } from "./signedIn.ts";
import { newestInCache, peersOf, presentItem, presentView, seenBy, viewOf, withNewest } from "./views.ts";

export const conversations = newRouter();

const tags = ["conversations"];

conversations.openapi(
  createRoute({
    method: "post",
    path: "/conversations",
    tags,
    summary: "Make a group, or the direct conversation with a friend",
    ...signedIn,
    request: { body: body(ConversationBody) },
    responses: {
      201: answer(ConversationAnswer, "The conversation; a direct one may have been there already"),
      ...refusals("UNAUTHENTICATED", "PERMISSION_DENIED", "USER_NOT_FOUND", "GROUP_FULL", "CONTENT_REJECTED"),
    },
  }),
  async (c) => {
    const wish = c.req.valid("json");
    if (c.get("viewer").actor.isGuest) {
      return fail(c, { name: "PERMISSION_DENIED" });
    }
    const made = wish.type === DIRECT ? await makeDirect(c, wish.memberIds[0] ?? "") : await makeGroup(c, wish);
    return made.ok ? c.json(made.value, 201) : fail(c, made.fault);
  },
);

conversations.openapi(
  createRoute({
    method: "get",
    path: "/conversations",
    tags,
    summary: "The own conversations, pinned first, newest activity first",
    ...signedIn,
    request: { query: PageQuery },
    responses: { 200: answer(ConversationList, "One page"), ...refusals("UNAUTHENTICATED") },
  }),
  async (c) => {
    const services = c.get("services");
    const began = services.clock.now();
    const { actor } = c.get("viewer");
    const sources = listSources(c);
    const page = await conversationPage(sources, actor, c.req.valid("query"));
    if (!page.ok) {
      return fail(c, page.fault);
    }
    const { items, nextCursor, degraded } = page.value;
    const here = await seenBy(services, actor.userId);
    // Heads, versions, last messages and peers: one pipeline.
    const cache = coalesced(services.cache);
    const ids = items.map((item) => item.conversation.conversationId);
    const [heads, versions, newest, peers] = await Promise.all([
      readHeads(services.env, cache, items, sources.later, here.heads),
      readVersions(cache, ids),
      newestInCache({ cache }, items),
      peersOf({ ...sources, cache }, actor.userId, items),
    ]);
    // The last message of the cache is not for who has been removed, though SQL does not know it yet.
    const now = await asRoomsSay(services.env, actor, items, versions);
    const fresh = await withNewest(services, now.items, heads, newest);
    const presented = fresh.map((item) => presentItem(item, actor.userId, here, peers));
    conversationLoad.observeMs(services.clock.now() - began);
    return c.json({ items: presented, nextCursor, ...(degraded === undefined ? {} : { degraded }) }, 200);
  },
);

conversations.openapi(
  createRoute({
    method: "get",
    path: "/conversations/{id}",
    tags,
    summary: "A conversation",
    ...signedIn,
    request: { params: ConversationParams },
    responses: {
      200: answer(ConversationAnswer, "As its room has it"),
      ...refusals("UNAUTHENTICATED", "CONVERSATION_NOT_FOUND"),
    },
  }),
  async (c) => {
    const view = await viewOf(c.get("services"), c.get("viewer").actor, c.req.valid("param").id);
    return view.ok ? c.json(presentView(view.value), 200) : fail(c, view.fault);
  },
);

/** PUT is the documented form; POST is accepted as well (DESIGN section 4). */
for (const method of ["put", "post"] as const) {
  conversations.openapi(
    createRoute({
      method,
      path: "/conversations/{id}/read",
      tags,
      summary: "Move the read pointer forward",
      ...signedIn,
      request: { params: ConversationParams, body: body(ReadBody) },
      responses: {
        200: answer(ReadAnswer, "The pointer as it is now"),
        ...refusals("UNAUTHENTICATED", "CONVERSATION_NOT_FOUND"),
      },
    }),
    async (c) => {
      const read = await markRead(c, c.req.valid("param").id, c.req.valid("json").seqId);
      return read.ok ? c.json(read.value, 200) : fail(c, read.fault);
    },
  );
}

async function makeDirect(c: Ctx, friendId: string): Promise<Result<ConversationAnswer>> {
  const services = c.get("services");
  const { actor } = c.get("viewer");
  if (!(await services.repo.friends.areFriends(actor.userId, friendId))) {
    return err({ name: "PERMISSION_DENIED", detail: "not a friend" });
  }
  const made = await services.direct(actor.userId, friendId);
  if (!made.ok) {
    return made;
  }
  // The room answers as its creator sees it, which may have been the friend.
  const view = await services.room(directConversationId(actor.userId, friendId)).view(actor);
  return view.ok ? ok(presentView(view.value)) : view;
}

async function makeGroup(c: Ctx, wish: Extract<ConversationBody, { type: 2 }>): Promise<Result<ConversationAnswer>> {
  const { room, clock } = c.get("services");
  const { actor } = c.get("viewer");
  const others = [...new Set(wish.memberIds)].filter((userId) => userId !== actor.userId);
  const maxMembers = wish.maxMembers ?? MAX_MEMBERS_DEFAULT;
  if (others.length + 1 > maxMembers) {
    return err({ name: "GROUP_FULL" });
  }
  const accepted = acceptNames(c.get("services"), { name: wish.name });
  if (!accepted.ok) {
    return accepted;
  }
  const { refused } = await whyNotAddable(c, others);
  const first = [...refused.values()][0];
  if (first !== undefined) {
    return err({ name: first, fields: [...refused.keys()].map((userId) => ({ path: "memberIds", message: userId })) });
  }
  const group = room(newGroupId(clock.now()));
  const made = await group.create({
    type: GROUP,
    name: wish.name,
    memberIds: [actor.userId, ...others],
    maxMembers,
    ...(wish.announcement === undefined ? {} : { announcement: wish.announcement }),
    ...(wish.joinApproval === undefined ? {} : { joinApproval: wish.joinApproval }),
  });
  if (!made.ok) {
    return made;
  }
  const degraded = await writeThrough(c, group, made.value);
  return ok({ ...presentView(made.value.value), ...degraded });
}

/**
 * Who of these cannot be put into a group, and why: no account, a guest, or a block between them and the one who adds
 * (which answers like any other refusal, so that it is not told).
 */
export async function whyNotAddable(
  c: Ctx,
  userIds: readonly string[],
): Promise<{ refused: Map<string, "USER_NOT_FOUND" | "PERMISSION_DENIED">; known: ReadonlyMap<string, UserRow> }> {
  const { repo } = c.get("services");
  const { accounts, blocked } = await repo.friends.accountsAmong(c.get("viewer").actor.userId, userIds);
  const known = new Map(accounts.map((row) => [row.userId, row]));
  const refused = new Map<string, "USER_NOT_FOUND" | "PERMISSION_DENIED">();
  for (const userId of userIds) {
    const user = known.get(userId);
    if (user === undefined) {
      refused.set(userId, "USER_NOT_FOUND");
    } else if (user.isGuest || blocked.includes(userId)) {
      refused.set(userId, "PERMISSION_DENIED");
    }
  }
  return { refused, known };
}

async function markRead(c: Ctx, conversationId: string, seqId: number): Promise<Result<ReadAnswer>> {
  const services = c.get("services");
  const { actor, deviceId } = c.get("viewer");
  const session = services.session(actor.userId);
  const room = services.room(conversationId);
  let read: ReadAnswer;
  if (conversationId === WORLD_ROOM_ID) {
    const view = await room.view(actor);
    if (!view.ok) {
      return view;
    }
    const { headSeqId } = view.value;
    const readSeqId = await session.markWorldRead(seqId, headSeqId);
    read = { readSeqId, unreadCount: Math.max(0, headSeqId - readSeqId) };
  } else {
    const marked = await room.markRead(actor, seqId, true);
    if (!marked.ok) {
      return marked;
    }
    read = { ...marked.value.value, ...(await writeThrough(c, room, marked.value)) };
  }
  const receipt: ServerFrame = {
    type: "message-read-receipt",
    data: { conversationId, userId: actor.userId, readSeqId: read.readSeqId },
  };
  background(c, "telling the other devices", session.deliverToOthers(deviceId, [JSON.stringify(receipt)]));
  return ok(read);
}

/** Friend requests and friendships. Rules: WIRE "Friends and conversations". */
import { createRoute } from "@hono/zod-openapi";
import { readPresence } from "../cache/presence.ts";
import { directConversationId, newId } from "../platform/ids.ts";
import {
  DecisionBody,
  EmptyAnswer,
  FriendList,
  FriendRequestAnswer,
  FriendRequestBody,
  FriendRequestList,
  FriendRequestParams,
  FriendRequestsQuery,
  OtherUserParams,
  PageQuery,
} from "../protocol/rest.ts";
import type { Conversation, FriendRequest } from "../protocol/things.ts";
import { describeError, log } from "../telemetry/log.ts";
import { background, fail, listSources, newRouter, type Ctx, type Degraded } from "./context.ts";
import { friendPage } from "./lists.ts";
import { presentConversation, presentUser } from "./present.ts";
import { answer, body, refusals } from "./route.ts";
import { signedIn } from "./signedIn.ts";

export const friends = newRouter();

const tags = ["friends"];

friends.openapi(
  createRoute({
    method: "post",
    path: "/friends/requests",
    tags,
    summary: "Ask for friendship; a waiting request of the other side is accepted by it",
    ...signedIn,
    request: { body: body(FriendRequestBody) },
    responses: {
      201: answer(FriendRequestAnswer, "The request, or the one that was already there"),
      ...refusals("UNAUTHENTICATED", "USER_NOT_FOUND", "PERMISSION_DENIED", "CONFLICT"),
    },
  }),
  async (c) => {
    const { repo, clock, session, publishEvents } = c.get("services");
    const { actor } = c.get("viewer");
    const { targetUserId, message } = c.req.valid("json");
    const me = await repo.users.byId(actor.userId);
    if (me === null || me.isGuest) {
      return fail(c, { name: me === null ? "USER_NOT_FOUND" : "PERMISSION_DENIED" });
    }
    const now = clock.now();
    await session(actor.userId).watchOutbox();
    const outcome = await repo.friends.request({
      requester: presentUser(me),
      targetUserId,
      // An empty message is none.
      message: message === "" ? undefined : message,
      requestId: newId(now),
      eventId: newId(now),
      now,
    });
    if (!outcome.ok) {
      return fail(c, outcome.fault);
    }
    background(c, "publishing events", publishEvents(actor.userId));
    return c.json(await withConversation(c, outcome.value.request), 201);
  },
);

friends.openapi(
  createRoute({
    method: "get",
    path: "/friends/requests",
    tags,
    summary: "Friend requests, newest first",
    ...signedIn,
    request: { query: FriendRequestsQuery },
    responses: { 200: answer(FriendRequestList, "One page"), ...refusals("UNAUTHENTICATED") },
  }),
  async (c) => {
    const { repo } = c.get("services");
    const { userId } = c.get("viewer").actor;
    const page = await repo.friends.requests(userId, c.req.valid("query"));
    if (!page.ok) {
      return fail(c, page.fault);
    }
    const { items, nextCursor } = page.value;
    const otherOf = (request: FriendRequest): string =>
      request.requesterId === userId ? request.targetUserId : request.requesterId;
    const rows = await repo.users.byIds(items.map(otherOf));
    const users = new Map(rows.map((row) => [row.userId, presentUser(row)]));
    return c.json(
      { items: items.map((request) => ({ ...request, user: users.get(otherOf(request)) })), nextCursor },
      200,
    );
  },
);

friends.openapi(
  createRoute({
    method: "put",
    path: "/friends/requests/{id}",
    tags,
    summary: "Accept or reject a request; accepting makes the friendship and the direct conversation",
    ...signedIn,
    request: { params: FriendRequestParams, body: body(DecisionBody) },
    responses: {
      200: answer(FriendRequestAnswer, "The request as it is now"),
      ...refusals("UNAUTHENTICATED", "NOT_FOUND", "PERMISSION_DENIED", "CONFLICT"),
    },
  }),
  async (c) => {
    const { repo, clock, session, publishEvents } = c.get("services");
    const { userId } = c.get("viewer").actor;
    const me = await repo.users.byId(userId);
    if (me === null) {
      return fail(c, { name: "NOT_FOUND" });
    }
    const now = clock.now();
    await session(userId).watchOutbox();
    const decided = await repo.friends.decide({
      requestId: c.req.valid("param").id,
      actor: presentUser(me),
      action: c.req.valid("json").action,
      eventId: newId(now),
      now,
    });
    if (!decided.ok) {
      return fail(c, decided.fault);
    }
    background(c, "publishing events", publishEvents(userId));
    return c.json(await withConversation(c, decided.value), 200);
  },
);

friends.openapi(
  createRoute({
    method: "get",
    path: "/friends",
    tags,
    summary: "Friends",
    ...signedIn,
    request: { query: PageQuery },
    responses: { 200: answer(FriendList, "One page"), ...refusals("UNAUTHENTICATED") },
  }),
  async (c) => {
    const { userId } = c.get("viewer").actor;
    const { cache, clock } = c.get("services");
    const { value: page, degraded } = await friendPage(listSources(c), userId, c.req.valid("query"));
    if (!page.ok) {
      return fail(c, page.fault);
    }
    const ids = page.value.items.map(({ user }) => user.userId);
    const presence = await readPresence(cache, ids, clock.now());
    const items = page.value.items.map(({ user, since, lastSeenAt }) => {
      const online = presence.get(user.userId);
      return {
        user: presentUser(user),
        since,
        ...(online === undefined ? {} : { online }),
        ...(online === true || lastSeenAt === null ? {} : { lastSeenAt }),
      };
    });
    return c.json({ items, nextCursor: page.value.nextCursor, ...(degraded === undefined ? {} : { degraded }) }, 200);
  },
);

friends.openapi(
  createRoute({
    method: "delete",
    path: "/friends/{userId}",
    tags,
    summary: "End a friendship",
    ...signedIn,
    request: { params: OtherUserParams },
    responses: { 200: answer(EmptyAnswer, "Ended"), ...refusals("UNAUTHENTICATED", "NOT_FOUND") },
  }),
  async (c) => {
    const { repo, clock, session, publishEvents } = c.get("services");
    const { userId } = c.get("viewer").actor;
    const now = clock.now();
    await session(userId).watchOutbox();
    const friendId = c.req.valid("param").userId;
    const removed = await repo.friends.remove(userId, friendId, newId(now), now);
    if (!removed) {
      return fail(c, { name: "NOT_FOUND" });
    }
    background(c, "publishing events", publishEvents(userId));
    return c.json(await closeDirect(c, userId, friendId), 200);
  },
);

/**
 * After a friendship has ended: its conversation takes no more messages once this has returned. When the room cannot be
 * reached, the event's consumer tells it.
 */
export async function closeDirect(c: Ctx, userId: string, otherId: string): Promise<Degraded> {
  try {
    await c.get("services").room(directConversationId(userId, otherId)).friendshipChanged();
    return {};
  } catch (error) {
    log("warn", "a direct conversation was not closed, the event's consumer will", {
      requestId: c.get("requestId"),
      error: describeError(error),
    });
    return { degraded: true };
  }
}

/**
 * The request, once accepted with its direct conversation. The friendship is already written, so a room that cannot
 * be reached now is no failure: the event's consumer makes it as well.
 */
async function withConversation(
  c: Ctx,
  request: FriendRequest,
): Promise<FriendRequest & { conversation?: Conversation } & Degraded> {
  if (request.status !== "accepted") {
    return request;
  }
  try {
    const made = await c.get("services").direct(request.requesterId, request.targetUserId);
    return made.ok
      ? { ...request, conversation: presentConversation(made.value.conversation, made.value.headSeqId) }
      : { ...request, degraded: true };
  } catch (error) {
    log("warn", "the direct conversation of new friends was not made, the event's consumer will", {
      requestId: c.get("requestId"),
      error: describeError(error),
    });
    return { ...request, degraded: true };
  }
}

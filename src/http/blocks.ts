/** Whom one has blocked. Rules: WIRE "Friends and conversations". */
import { createRoute } from "@hono/zod-openapi";
import { newId } from "../platform/ids.ts";
import { BlockList, EmptyAnswer, OtherUserParams, PageQuery } from "../protocol/rest.ts";
import { background, fail, newRouter } from "./context.ts";
import { closeDirect } from "./friends.ts";
import { presentUser } from "./present.ts";
import { answer, refusals } from "./route.ts";
import { signedIn } from "./signedIn.ts";

export const blocks = newRouter();

const tags = ["friends"];

blocks.openapi(
  createRoute({
    method: "get",
    path: "/blocks",
    tags,
    summary: "Whom one has blocked",
    ...signedIn,
    request: { query: PageQuery },
    responses: { 200: answer(BlockList, "One page"), ...refusals("UNAUTHENTICATED") },
  }),
  async (c) => {
    const page = await c.get("services").repo.blocks.list(c.get("viewer").actor.userId, c.req.valid("query"));
    if (!page.ok) {
      return fail(c, page.fault);
    }
    const items = page.value.items.map(({ user, since }) => ({ user: presentUser(user), since }));
    return c.json({ items, nextCursor: page.value.nextCursor }, 200);
  },
);

blocks.openapi(
  createRoute({
    method: "put",
    path: "/blocks/{userId}",
    tags,
    summary: "Block a user: ends a friendship, and stops requests, messages and presence both ways, without telling",
    ...signedIn,
    request: { params: OtherUserParams },
    responses: { 200: answer(EmptyAnswer, "Blocked"), ...refusals("UNAUTHENTICATED", "USER_NOT_FOUND", "NOT_FOUND") },
  }),
  async (c) => {
    const { repo, clock, session, publishEvents } = c.get("services");
    const { userId } = c.get("viewer").actor;
    const targetUserId = c.req.valid("param").userId;
    const now = clock.now();
    await session(userId).watchOutbox();
    const blocked = await repo.blocks.block({ userId, targetUserId, eventId: newId(now), now });
    if (!blocked.ok) {
      return fail(c, blocked.fault);
    }
    background(c, "publishing events", publishEvents(userId));
    return c.json(await closeDirect(c, userId, targetUserId), 200);
  },
);

blocks.openapi(
  createRoute({
    method: "delete",
    path: "/blocks/{userId}",
    tags,
    summary: "Lift a block; the friendship that it ended does not come back",
    ...signedIn,
    request: { params: OtherUserParams },
    responses: { 200: answer(EmptyAnswer, "Lifted"), ...refusals("UNAUTHENTICATED", "NOT_FOUND") },
  }),
  async (c) => {
    const { userId } = c.get("viewer").actor;
    const lifted = await c.get("services").repo.blocks.unblock(userId, c.req.valid("param").userId);
    return lifted ? c.json({}, 200) : fail(c, { name: "NOT_FOUND" });
  },
);

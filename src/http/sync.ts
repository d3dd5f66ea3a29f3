/** What a client missed, over REST; the `sync` frame answers the same. */
import { createRoute } from "@hono/zod-openapi";
import { buildSync } from "../objects/sync.ts";
import { SyncAnswer, SyncQuery } from "../protocol/rest.ts";
import { fail, newRouter } from "./context.ts";
import { answer, refusals } from "./route.ts";
import { signedIn } from "./signedIn.ts";
import { seenBy } from "./views.ts";

export const sync = newRouter();

sync.openapi(
  createRoute({
    method: "get",
    path: "/sync",
    tags: ["messages"],
    summary: "What changed since the given heads",
    ...signedIn,
    request: { query: SyncQuery },
    responses: { 200: answer(SyncAnswer, "One page"), ...refusals("UNAUTHENTICATED") },
  }),
  async (c) => {
    const services = c.get("services");
    const { actor } = c.get("viewer");
    const here = await seenBy(services, actor.userId);
    const result = await buildSync(services.env, services.cache, actor, here, c.req.valid("query"), (work) =>
      c.executionCtx.waitUntil(work),
    );
    return result.ok ? c.json(result.value, 200) : fail(c, result.fault);
  },
);

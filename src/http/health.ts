/**
 * `/health`: whether this Worker and what it stands on answer. Public, and the only path that a Worker with wrong settings
 * serves, so it makes what it needs by itself.
 */
import { createRoute } from "@hono/zod-openapi";
import { embeddedCache } from "../cache/embedded.ts";
import { checkSettings } from "../platform/settings.ts";
import { Health } from "../protocol/rest.ts";
import { repositories } from "../repo/index.ts";
import { newRouter } from "./context.ts";
import { answer } from "./route.ts";

export const health = newRouter();

/** Version of this code; the package's version, which a test compares. */
export const VERSION = "0.1.0";

health.openapi(
  createRoute({
    method: "get",
    path: "/health",
    tags: ["operation"],
    summary: "Whether the Worker and its dependencies answer",
    responses: { 200: answer(Health, "Up; `degraded` when a dependency is not, or the settings are wrong") },
  }),
  async (c) => {
    const settings = checkSettings(c.env);
    const cacheShards = settings.ok ? settings.value.cacheShards : 1;
    const [sql, cache] = await Promise.all([
      repositories(c.env).ping(),
      embeddedCache(c.env, cacheShards)
        .pipeline([["GET", "health"]])
        .then(
          () => true,
          () => false,
        ),
    ]);
    // Queues cannot be asked; a publication that fails stays in an outbox and shows there.
    const checks = { sql: word(sql), cache: word(cache), bus: word(true) };
    const status: "ok" | "degraded" = settings.ok && sql && cache ? "ok" : "degraded";
    // Whoever deployed without a secret asks here first. Problems name settings and what they must be, never what they are.
    const message = settings.ok
      ? {}
      : { message: `Nothing is served, the settings are wrong: ${settings.problems.join("; ")}` };
    return c.json({ status, version: VERSION, checks, ...message }, 200);
  },
);

function word(answers: boolean): "ok" | "down" {
  return answers ? "ok" : "down";
}

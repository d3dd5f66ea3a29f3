/**
 * `/health`: whether this Worker and what it stands on answer. Public, and the only path that a Worker with wrong settings
 * serves, so it makes what it needs by itself.
 */
import { createRoute } from "@hono/zod-openapi";
import { embeddedCache } from "../cache/embedded.ts";
import { cacheOf } from "../cache/index.ts";
import { checkSettings } from "../platform/settings.ts";
import { Health } from "../protocol/rest.ts";
import { embeddedRepositories, repositories } from "../repo/index.ts";
import { breakerStates } from "../telemetry/breaker.ts";
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
    // With wrong settings nothing else is served, but whoever mends them may still want to know.
    const store = settings.ok ? cacheOf(c.env) : embeddedCache(c.env, 1);
    const repo = settings.ok ? repositories(c.env) : embeddedRepositories(c.env);
    const [sql, cache] = await Promise.all([
      repo.ping(),
      store.pipeline([["GET", "health"]]).then(
        () => true,
        () => false,
      ),
    ]);
    // Queues cannot be asked whether they are there: what this isolate's last publications met with has to do.
    const bus = breakerStates().every(({ dependency, state }) => dependency !== "bus" || state === "closed");
    const checks = { sql: word(sql), cache: word(cache), bus: word(bus) };
    const status: "ok" | "degraded" = settings.ok && sql && cache && bus ? "ok" : "degraded";
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

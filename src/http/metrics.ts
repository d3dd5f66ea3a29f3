/** `/metrics` for Prometheus: the sums over all isolates, and what can only be asked at the moment. Source: WIRE "Other". */
import { createRoute, z } from "@hono/zod-openapi";
import { createMiddleware } from "hono/factory";
import { TOPIC_NAMES } from "../protocol/events.ts";
import { EXPOSITION_TYPE, expose } from "../telemetry/exposition.ts";
import type { Samples } from "../telemetry/meters.ts";
import { CONSUMER_LAG, METERS, SCRAPED } from "../telemetry/metrics.ts";
import { overview } from "../telemetry/overview.ts";
import { ADMIN_KEY_SCHEME, isAdminKey } from "./admin/access.ts";
import { fail, newRouter, type Ctx, type HttpEnv } from "./context.ts";
import { refusals } from "./route.ts";
import type { Services } from "./services.ts";

export const metrics = newRouter();

const LOOPBACK = /^(?:127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+)$/i;
/** A proxy on this machine speaks for somebody else. */
const FORWARDED = ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"];

/** The scraper runs on this very machine: `npm start`'s runtime says where the connection comes from, and no proxy had it before. */
function isLocal(c: Ctx): boolean {
  return (
    c.get("services").settings.local &&
    LOOPBACK.test(c.req.header("CF-Connecting-IP") ?? "") &&
    FORWARDED.every((name) => c.req.header(name) === undefined)
  );
}

const mayScrape = createMiddleware<HttpEnv>(async (c, next) => {
  const key = c.req.header(ADMIN_KEY_SCHEME.component.name);
  const { adminKey } = c.get("services").settings;
  return (key === undefined ? isLocal(c) : isAdminKey(key, adminKey)) ? next() : fail(c, { name: "UNAUTHENTICATED" });
});

metrics.openapi(
  createRoute({
    method: "get",
    path: "/metrics",
    tags: ["operation"],
    summary: "For Prometheus; with the admin key, or from the machine that npm start runs on",
    middleware: [mayScrape],
    security: [{}, { [ADMIN_KEY_SCHEME.name]: [] }],
    responses: {
      200: { description: "Prometheus text format 0.0.4", content: { "text/plain": { schema: z.string() } } },
      ...refusals("UNAUTHENTICATED"),
    },
  }),
  async (c) => {
    const services = c.get("services");
    const { totals, gauges, isolates } = await overview(services.env);
    const asked = await askNow(services, gauges["gochat_outbox_lag_messages"] ?? 0);
    const text = expose([...METERS, ...SCRAPED], { ...totals, ...gauges, gochat_isolates: isolates, ...asked });
    return c.text(text, 200, { "Content-Type": EXPOSITION_TYPE });
  },
);

/** What nobody counts, since it can be asked. What does not answer is left out. */
async function askNow({ bus, repo, settings }: Services, waiting: number): Promise<Samples> {
  // With Kafka it is the bridge that knows, and a zero here would stand beside its figures.
  const topics = settings.bus === "kafka" ? [] : TOPIC_NAMES;
  const lags = await Promise.all(
    topics.map(async (topic): Promise<[string, number]> => {
      const backlog = (await bus.backlog(topic).catch(() => undefined)) ?? 0;
      // A bus that was emptied, or does not tell, has no backlog; the rooms still wait.
      const lag = topic === "gochat.messages.persist" ? Math.max(backlog, waiting) : backlog;
      return [`${CONSUMER_LAG}{topic="${topic}"}`, lag];
    }),
  );
  const events = await repo.outbox.backlog().then(
    ({ count }): Samples => ({ gochat_outbox_events: count }),
    (): Samples => ({}),
  );
  return { ...Object.fromEntries(lags), ...events };
}

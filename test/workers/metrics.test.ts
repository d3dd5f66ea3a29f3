/** `/metrics`: what is counted shows, summed over isolates, durably, and only to whom it may. */
import { env } from "cloudflare:workers";
import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, beforeEach, describe, it, vi } from "vitest";
import { TOPIC_NAMES } from "../../src/protocol/events.ts";
import { metricsOf } from "../../src/platform/stubs.ts";
import type { PersistBatch } from "../../src/domain/records.ts";
import { append, deliver, envWith, eventually, HeldBus, KAFKA, newDirect, newUserId, text } from "./support/harness.ts";
import { register, request } from "./support/http.ts";
import { connect } from "./support/socket.ts";

const KEY = { "x-admin-key": "an-admin-key-for-tests" };

let bus: HeldBus;
beforeEach(() => {
  bus = new HeldBus();
});
afterEach(() => {
  vi.restoreAllMocks();
});

/** The samples of a scrape. */
async function scrape(own?: Env): Promise<Map<string, number>> {
  const { response, text: body } = await request("GET", "/metrics", { headers: KEY, env: own });
  if (response.status !== 200) {
    throw new Error(`no metrics: ${response.status}`);
  }
  const lines = body.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line): [string, number] => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]),
  );
}

describe("a scrape", () => {
  it("shows what was sent, refused, delivered and persisted", async ({ expect }) => {
    const before = await scrape();
    const grown = (now: Map<string, number>, sample: string): number =>
      (now.get(sample) ?? 0) - (before.get(sample) ?? 0);
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const [sender, reader] = [await connect(a), await connect(b)];
    sender.send({
      type: "send-message",
      data: { clientMsgId: "1", conversationId: id, messageType: "text", content: "hi" },
    });
    await sender.next("message-ack");
    await reader.next("new-message");
    sender.send({
      type: "send-message",
      data: {
        clientMsgId: "2",
        conversationId: "group_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        messageType: "text",
        content: "hi",
      },
    });
    await sender.next("message-error");
    const batches = await bus.next<PersistBatch>("gochat.messages.persist", id);
    await deliver("gochat.messages.persist", batches);
    // The reader's object has answered the room by now, or does at once.
    await eventually("the delivery", async () => grown(await scrape(), "gochat_message_deliveries_total") >= 1);

    const now = await scrape();
    expect(grown(now, "gochat_message_send_total")).toBe(2);
    expect(grown(now, 'gochat_message_send_failures_total{code="1004"}')).toBe(1);
    expect(grown(now, "gochat_message_ack_duration_seconds_count")).toBe(1);
    expect(grown(now, "gochat_message_e2e_duration_seconds_count")).toBe(1);
    expect(grown(now, "gochat_message_persist_duration_seconds_count")).toBe(1);
    expect(grown(now, 'gochat_bus_consumed_total{topic="gochat.messages.persist"}')).toBeGreaterThanOrEqual(1);
    expect(grown(now, "gochat_connections")).toBe(2);
    for (const dependency of ["sql", "cache", "bus"]) {
      expect(now.get(`gochat_breaker_state{dependency="${dependency}",state="closed"}`)).toBe(1);
      expect(now.get(`gochat_breaker_state{dependency="${dependency}",state="open"}`)).toBe(0);
    }
    expect(now.get('kafka_consumer_lag_sum{topic="gochat.messages.persist"}')).toBeGreaterThanOrEqual(0);
    reader.close();
    await eventually("the closed socket", async () => grown(await scrape(), "gochat_connections") === 1);
  });

  it("shows lists, cache reads, and messages that SQL does not confirm", async ({ expect }) => {
    const { accessToken: token } = await register();
    const before = await scrape();
    await request("GET", "/api/conversations", { token });
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    await append(id, [text(a, "1"), text(a, "2")]);
    await runDurableObjectAlarm(env.ROOMS.getByName(id));
    const late = await scrape();
    expect(late.get("gochat_outbox_lag_messages")).toBe(2);
    expect(late.get('kafka_consumer_lag_sum{topic="gochat.messages.persist"}')).toBe(2);
    expect(late.get("gochat_conversation_load_duration_seconds_count")).toBe(
      (before.get("gochat_conversation_load_duration_seconds_count") ?? 0) + 1,
    );
    const reads = (samples: Map<string, number>): number =>
      (samples.get('gochat_cache_reads_total{result="hit"}') ?? 0) +
      (samples.get('gochat_cache_reads_total{result="miss"}') ?? 0);
    expect(reads(late)).toBeGreaterThan(reads(before));
    await env.ROOMS.getByName(id).persisted(1, 2, []);
    expect((await scrape()).get("gochat_outbox_lag_messages")).toBe(0);
  });

  it("leaves the lag of consumers to the bridge, which knows it, with BUS=kafka", async ({ expect }) => {
    const lags = (samples: Map<string, number>): string[] =>
      [...samples.keys()].filter((sample) => sample.startsWith("kafka_consumer_lag_sum"));
    expect(lags(await scrape())).toHaveLength(TOPIC_NAMES.length);
    const withKafka = await scrape(envWith(KAFKA));
    expect(lags(withKafka)).toEqual([]);
    expect(withKafka.has("gochat_outbox_lag_messages")).toBe(true);
  });

  it("is for the admin key; without one only for the machine of npm start", async ({ expect }) => {
    const status = async (headers: Record<string, string>, own?: Env): Promise<number> =>
      (await request("GET", "/metrics", { headers, env: own })).response.status;
    expect(await status({})).toBe(401);
    expect(await status({ "x-admin-key": "another-key-altogether" })).toBe(401);
    expect(await status(KEY)).toBe(200);
    const here = { "CF-Connecting-IP": "127.0.0.1" };
    expect(await status(here)).toBe(401);
    const local = { ...env, GOCHAT_LOCAL: "npm start" } as Env;
    expect(await status(here, local)).toBe(200);
    expect(await status({ "CF-Connecting-IP": "192.0.2.1" }, local)).toBe(401);
    expect(await status({ ...here, "X-Forwarded-For": "192.0.2.1" }, local)).toBe(401);
    expect(await status({}, local)).toBe(401);
    expect(await status({ ...here, "x-admin-key": "another-key-altogether" }, local)).toBe(401);
  });
});

describe("the Metrics object", () => {
  const SEEN = "seen_by_this_test_total";

  it("adds growth once, whoever reports twice, and keeps the sums", async ({ expect }) => {
    const metrics = metricsOf(env);
    const [one, two] = [newUserId(), newUserId()];
    await metrics.report({ isolate: one, totals: { [SEEN]: 3 }, gauges: { [`${SEEN}_now`]: 2 } });
    await metrics.report({ isolate: one, totals: { [SEEN]: 3 }, gauges: { [`${SEEN}_now`]: 2 } });
    await metrics.report({ isolate: two, totals: { [SEEN]: 4 }, gauges: { [`${SEEN}_now`]: 5 } });
    await evictDurableObject(env.METRICS.getByName("metrics"));
    await metricsOf(env).report({ isolate: one, totals: { [SEEN]: 5 }, gauges: {} });
    const { totals, gauges } = await metricsOf(env).read();
    expect(totals[SEEN]).toBe(9);
    expect(gauges[`${SEEN}_now`]).toBe(5);
  });
});

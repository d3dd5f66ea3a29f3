/**
 * Everything that is measured: each family stands here once, with its help text, and alerts and dashboards name nothing else
 * (ops/ops.test.ts). Whoever counts imports the meter and adds to it.
 */
import { PRESENCE_TTL_MS } from "../domain/presence.ts";
import { systemClock } from "../platform/clock.ts";
import { ERRORS, type Fault } from "../protocol/errors.ts";
import { breakerStates, type BreakerState } from "./breaker.ts";
import { Counter, CounterBy, Gauge, Histogram, Lately, type Meter, type Samples } from "./meters.ts";

// ---- messages

export const sendsAnswered = new Counter("gochat_message_send_total", "Sends that were answered, accepted or not.");
export const sendFailures = new CounterBy(
  "gochat_message_send_failures_total",
  "code",
  "Sends that were refused, by the code of docs/errors.md.",
);
export const ackDuration = new Histogram(
  "gochat_message_ack_duration_seconds",
  "From a send's arrival at its sender's object to its acknowledgement.",
);
export const e2eDuration = new Histogram(
  "gochat_message_e2e_duration_seconds",
  "From a message's place in its conversation to its receivers: taken over by a receiver's object, or sent to a room socket.",
);
export const persistDuration = new Histogram(
  "gochat_message_persist_duration_seconds",
  "From a message's place in its conversation to its row in SQL.",
);
export const deliveries = new Counter(
  "gochat_message_deliveries_total",
  "Messages handed to sockets, each once for each socket.",
);

/** A receiver's object took over some messages. @param sockets it had open: with none, nothing was delivered */
export function noteDelivery(sockets: number, messages: number, tookMs: number): void {
  if (sockets > 0) {
    deliveries.add(sockets * messages);
    e2eDuration.observeMs(tookMs);
  }
}

// ---- REST and sockets

export const conversationLoad = new Histogram(
  "gochat_conversation_load_duration_seconds",
  "Answers with a page of a user's conversations.",
);
const refusals = new CounterBy(
  "gochat_refusals_total",
  "code",
  "Requests and frames that were refused, sends among them, by the code of docs/errors.md.",
);
/** A request or a frame was refused. */
export function noteRefusal(fault: Fault): void {
  refusals.add(String(ERRORS[fault.name].code));
}

export const degradedAnswers = new Counter(
  "gochat_degraded_answers_total",
  "Answers that were made without a dependency that is away.",
);

/** Open sockets of each user (or shard) of this isolate, as said when they come, go, and renew their lease. */
const sockets = new Lately(PRESENCE_TTL_MS);

/** @param owner whose object holds the sockets @param open how many are open now */
export function noteSockets(owner: string, open: number, now: number): void {
  sockets.say(owner, open, now);
}

// ---- dependencies

export const published = new CounterBy("gochat_bus_published_total", "topic", "Records put on the bus.");
export const consumed = new CounterBy(
  "gochat_bus_consumed_total",
  "topic",
  "Queue messages that a consumer acknowledged.",
);
export const consumeFailures = new CounterBy(
  "gochat_bus_consume_failures_total",
  "topic",
  "Queue messages that a consumer wants again.",
);
export const cacheReads = new CounterBy(
  "gochat_cache_reads_total",
  "result",
  "Keys read from the cache: hit or miss. Presence does not count, whose absence is an answer.",
);

/** Messages that rooms wait for SQL to confirm, and for how long, once it takes longer than an outbox's first retry. */
const behind = new Lately(PRESENCE_TTL_MS);
const waitingSince = new Lately(PRESENCE_TTL_MS);

/** @param messages of this room that SQL has not confirmed @param ageMs how long the oldest waits */
export function noteOutbox(conversationId: string, messages: number, ageMs: number, now: number): void {
  behind.say(conversationId, messages, now);
  waitingSince.say(conversationId, messages === 0 ? 0 : ageMs, now);
}

/** Is this room among those that were behind? */
export function outboxNoted(conversationId: string): boolean {
  return behind.has(conversationId);
}

const STATES: readonly BreakerState[] = ["closed", "half-open", "open"];

export const BREAKER_STATE = "gochat_breaker_state";

/** Names that the answer to a scrape adds from what it asks itself (src/http/metrics.ts). */
export const CONSUMER_LAG = "kafka_consumer_lag_sum";

export const METERS: readonly Meter[] = [
  sendsAnswered,
  sendFailures,
  ackDuration,
  e2eDuration,
  persistDuration,
  deliveries,
  conversationLoad,
  refusals,
  degradedAnswers,
  new Gauge("gochat_connections", "Open sockets. Right within five minutes of a crash.", () => [
    [{}, sockets.sum(systemClock.now())],
  ]),
  published,
  consumed,
  consumeFailures,
  cacheReads,
  new Gauge("gochat_outbox_lag_messages", "Messages of rooms that wait for SQL for more than 5 s.", () => [
    [{}, behind.sum(systemClock.now())],
  ]),
  new Gauge("gochat_outbox_lag_seconds", "How long the oldest of them waits.", () => [
    [{}, waitingSince.max(systemClock.now()) / 1_000],
  ]),
  new Gauge(BREAKER_STATE, "Isolates in which the breaker of a dependency is in this state.", () =>
    breakerStates().flatMap(({ dependency, state }) =>
      STATES.map((one) => [{ dependency, state: one }, one === state ? 1 : 0] as const),
    ),
  ),
];

/** Gauges of which the largest counts; the others are summed over isolates. */
export const LARGEST_COUNTS: ReadonlySet<string> = new Set(["gochat_outbox_lag_seconds"]);

/** Families that only the answer to a scrape knows. */
export const SCRAPED: readonly Omit<Meter, "collect">[] = [
  {
    name: CONSUMER_LAG,
    kind: "gauge",
    help: "Records of a topic that wait for its consumers. With Cloudflare Queues: its backlog; at least what rooms wait for.",
  },
  {
    name: "gochat_outbox_events",
    kind: "gauge",
    help: "Events of changes in SQL that no consumer has handled yet. Absent while SQL is away.",
  },
  { name: "gochat_isolates", kind: "gauge", help: "Isolates that have reported within five minutes." },
];

/** This isolate's samples: what only grows, and how things stand. */
export function collect(): { totals: Samples; gauges: Samples } {
  const totals: Samples = {};
  const gauges: Samples = {};
  for (const meter of METERS) {
    meter.collect(meter.kind === "gauge" ? gauges : totals);
  }
  return { totals, gauges };
}

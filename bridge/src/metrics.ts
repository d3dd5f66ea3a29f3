/** The bridge's own numbers in Prometheus' text format. The names are documented in the README of this folder. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";

const REQUEST_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export type Metrics = ReturnType<typeof createMetrics>;

/** One registry a process; tests make one a server. */
export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  return {
    registry,
    requests: new Histogram({
      name: "bridge_request_duration_seconds",
      help: "Time until a request was answered, by dialect and status.",
      labelNames: ["dialect", "status"],
      buckets: REQUEST_BUCKETS_S,
      registers,
    }),
    refused: new Counter({
      name: "bridge_requests_refused_total",
      help: "Requests that were not let in, by dialect and reason: unauthorized, too_large, overloaded, draining.",
      labelNames: ["dialect", "reason"],
      registers,
    }),
    bytesInFlight: new Gauge({
      name: "bridge_bytes_in_flight",
      help: "Bodies of requests that are being worked on.",
      registers,
    }),
    engineUp: new Gauge({
      name: "bridge_engine_up",
      help: "1 when the engine behind a dialect answered the last check of /health.",
      labelNames: ["dialect"],
      registers,
    }),
    partitions: new Gauge({
      name: "bridge_partitions",
      help: "Partitions that this bridge reads, by group.",
      labelNames: ["group"],
      registers,
    }),
    pushes: new Counter({
      name: "bridge_pushes_total",
      help: "Batches brought to the worker, by group, topic and outcome: done, failed, refused, unavailable.",
      labelNames: ["group", "topic", "outcome"],
      registers,
    }),
    pushSeconds: new Histogram({
      name: "bridge_push_duration_seconds",
      help: "Time until the worker answered a batch.",
      labelNames: ["group", "topic"],
      buckets: REQUEST_BUCKETS_S,
      registers,
    }),
    pushedRecords: new Counter({
      name: "bridge_pushed_records_total",
      help: "Records that the worker has done.",
      labelNames: ["group", "topic"],
      registers,
    }),
    deadLetters: new Counter({
      name: "bridge_dead_letters_total",
      help: "Records that became dead letters.",
      labelNames: ["group", "topic"],
      registers,
    }),
    sqlSessions: new Gauge({
      name: "bridge_sql_sessions",
      help: "Sessions that hold a connection: open transactions and changed sessions.",
      registers,
    }),
    sqlTimeouts: new Counter({
      name: "bridge_sql_timeouts_total",
      help: "Statements and transactions that were ended for taking too long, by kind.",
      labelNames: ["kind"],
      registers,
    }),
  };
}

/** The bus of this environment, behind its time limit and its breaker. The caller's outbox keeps what it did not take. */
import { breakerFor } from "../telemetry/breaker.ts";
import { published } from "../telemetry/metrics.ts";
import { settingsOf } from "../platform/settings.ts";
import { kafkaBus, ProduceFailure } from "./kafka.ts";
import { queuesBus } from "./queues.ts";
import type { Bus } from "./types.ts";

/** Putting a batch on a queue or a topic takes a few milliseconds; nobody who waits for an answer waits for it. */
const LIMIT_MS = 5_000;

const breaker = breakerFor("bus", {
  limitMs: LIMIT_MS,
  isOutage: (error) => !(error instanceof ProduceFailure && error.isOurs),
});

export function busOf(env: Env): Bus {
  const { kafka } = settingsOf(env);
  const bus = kafka === undefined ? queuesBus(env) : kafkaBus(kafka);
  return {
    publish: async (topic, records) => {
      await breaker.run(() => bus.publish(topic, records));
      published.add(topic, records.length);
    },
    backlog: (topic) => breaker.run(() => bus.backlog(topic)),
  };
}

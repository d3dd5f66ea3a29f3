/** How the consumers of this isolate fare, by topic: sums since it began, kept in memory and gone with it. */
import type { TopicName } from "../protocol/events.ts";
import { consumed, consumeFailures } from "./metrics.ts";

export type Consumed = { handled: number; failed: number };

const sums = new Map<TopicName, Consumed>();

/** Counts messages of a topic that a consumer has answered: acknowledged ones, and ones that it wants again. */
export function countConsumed(topic: TopicName, outcome: keyof Consumed): void {
  const sum = sums.get(topic) ?? { handled: 0, failed: 0 };
  sum[outcome] += 1;
  sums.set(topic, sum);
  (outcome === "handled" ? consumed : consumeFailures).add(topic);
}

/** The sums of this isolate. */
export function consumedHere(topic: TopicName): Consumed {
  return { handled: 0, failed: 0, ...sums.get(topic) };
}

/**
 * `kafka_consumer_lag_sum`: how many records of a topic a group has not done yet, over all partitions, whichever bridge
 * reads them. Asked of Kafka when somebody scrapes, and not in between.
 */
import { Gauge } from "prom-client";
import type { Metrics } from "../metrics.ts";
import type { KafkaAdmin } from "./client.ts";

const EARLIEST = -2n;
const LATEST = -1n;
/** Several scrapers, one question. */
const KEPT_MS = 2_000;

export function lagMetric(
  metrics: Metrics,
  admin: KafkaAdmin,
  groups: readonly (readonly [group: string, topics: readonly string[]])[],
): void {
  let asked = 0;
  const gauge = new Gauge({
    name: "kafka_consumer_lag_sum",
    help: "Records that a group has not done yet, by group and topic. Absent while Kafka does not answer.",
    labelNames: ["group", "topic"],
    registers: [metrics.registry],
    async collect() {
      const now = Date.now();
      if (now - asked < KEPT_MS) {
        return;
      }
      asked = now;
      try {
        const lags = await readLags(admin, groups);
        gauge.reset();
        for (const { group, topic, lag } of lags) {
          gauge.set({ group, topic }, lag);
        }
      } catch {
        gauge.reset();
      }
    },
  });
}

interface Lag {
  readonly group: string;
  readonly topic: string;
  readonly lag: number;
}

/** A partition that the group has never committed counts from its oldest record, since that is where it begins. */
export async function readLags(
  admin: KafkaAdmin,
  groups: readonly (readonly [group: string, topics: readonly string[]])[],
): Promise<Lag[]> {
  const present = new Set(await admin.listTopics());
  const topics = [...new Set(groups.flatMap(([, ones]) => ones))].filter((topic) => present.has(topic));
  if (topics.length === 0) {
    return [];
  }
  const metadata = await admin.metadata({ topics });
  const ask = (timestamp: bigint) =>
    admin.listOffsets({
      topics: topics.map((name) => ({
        name,
        partitions: Array.from({ length: metadata.topics.get(name)?.partitionsCount ?? 0 }, (_, partitionIndex) => ({
          partitionIndex,
          timestamp,
        })),
      })),
    });
  const [first, last, committed] = await Promise.all([
    ask(EARLIEST).then(byPartition),
    ask(LATEST).then(byPartition),
    admin.listConsumerGroupOffsets({ groups: groups.map(([group]) => group) }),
  ]);
  return groups.flatMap(([group, ones]) => {
    const own = new Map<string, bigint>(
      (committed.find(({ groupId }) => groupId === group)?.topics ?? []).flatMap(({ name, partitions }) =>
        partitions.map(
          ({ partitionIndex, committedOffset }) => [`${name}:${partitionIndex}`, committedOffset] as const,
        ),
      ),
    );
    return ones
      .filter((topic) => present.has(topic))
      .map((topic) => {
        const ends = [...last].filter(([key]) => key.startsWith(`${topic}:`));
        const lag = ends.reduce((sum, [key, end]) => {
          const done = own.get(key) ?? -1n;
          const from = done >= 0n ? done : (first.get(key) ?? end);
          return sum + Math.max(0, Number(end - from));
        }, 0);
        return { group, topic, lag };
      });
  });
}

function byPartition(
  topics: readonly { name: string; partitions: readonly { partitionIndex: number; offset: bigint }[] }[],
): Map<string, bigint> {
  return new Map(
    topics.flatMap(({ name, partitions }) =>
      partitions.map(({ partitionIndex, offset }) => [`${name}:${partitionIndex}`, offset] as const),
    ),
  );
}

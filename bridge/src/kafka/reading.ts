/** Reading without a group: `/fetch` from given offsets, and what the offsets of topics and groups are. */
import type { KafkaAdmin } from "./client.ts";
import { newConsumer, newFetchPool } from "./client.ts";
import { type FetchedRecord, fetchFrom } from "./fetching.ts";
import { KafkaProblem } from "./problems.ts";
import type { TopicPartition, TopicPartitionOffset } from "./schemas.ts";
import type { KafkaSettings } from "./settings.ts";

const ANSWER_BYTES = 1_000_000;
/** Each has connections of its own, since a fetch session cannot be shared. */
const MAX_FETCHES = 20;

export function fetcher(settings: KafkaSettings) {
  let running = 0;
  return async (positions: readonly TopicPartitionOffset[], maxWaitMs: number): Promise<FetchedRecord[]> => {
    if (running >= MAX_FETCHES) {
      throw new KafkaProblem(503, "too many fetches at the same time");
    }
    running++;
    // It joins no group; the name is only the client's.
    const consumer = newConsumer(settings, "gochat-bridge-fetch");
    const pool = newFetchPool(settings);
    try {
      const limits = { maxWaitMs, maxBytes: ANSWER_BYTES, maxBytesPerPartition: ANSWER_BYTES };
      const { partitions, outOfRange } = await fetchFrom(consumer, pool, positions, limits);
      if (outOfRange.length > 0) {
        throw new KafkaProblem(400, "the offset does not exist");
      }
      return partitions.flatMap(({ records }) => records);
    } catch (error) {
      throw error instanceof RangeError ? new KafkaProblem(404, "there is no such topic or partition") : error;
    } finally {
      running--;
      void Promise.allSettled([consumer.close(true), pool.close()]);
    }
  };
}

/** Name → number of partitions; Kafka's own topics are left out. */
export async function topicsOf(admin: KafkaAdmin): Promise<Record<string, number>> {
  const names = await admin.listTopics();
  const metadata = await admin.metadata({ topics: names, forceUpdate: true });
  return Object.fromEntries(names.map((name) => [name, metadata.topics.get(name)?.partitionsCount ?? 0]));
}

type OffsetAnswer = { topic: string; partition: number; offset: number };

/** @param timestamp milliseconds, -1 the end, -2 the beginning. An offset of -1: nothing is that new. */
export async function offsetsAt(
  admin: KafkaAdmin,
  wanted: readonly TopicPartition[],
  timestamp: bigint,
): Promise<OffsetAnswer[]> {
  const topics = [...Map.groupBy(wanted, ({ topic }) => topic)].map(([name, ones]) => ({
    name,
    partitions: ones.map(({ partition: partitionIndex }) => ({ partitionIndex, timestamp })),
  }));
  const metadata = await admin.metadata({ topics: topics.map(({ name }) => name) });
  if (wanted.some(({ topic, partition }) => partition >= (metadata.topics.get(topic)?.partitionsCount ?? 0))) {
    throw new KafkaProblem(404, "there is no such topic or partition");
  }
  const listed = await admin.listOffsets({ topics });
  const found = new Map(
    listed.flatMap(({ name, partitions }) =>
      partitions.map(({ partitionIndex, offset }) => [`${name}:${partitionIndex}` as string, Number(offset)] as const),
    ),
  );
  return wanted.map(({ topic, partition }) => ({ topic, partition, offset: found.get(`${topic}:${partition}`) ?? -1 }));
}

/** An offset of -1: the group has committed nothing there. */
export async function committedOf(
  admin: KafkaAdmin,
  group: string,
  wanted: readonly TopicPartition[],
): Promise<OffsetAnswer[]> {
  const topics = [...Map.groupBy(wanted, ({ topic }) => topic)].map(([name, ones]) => ({
    name,
    partitionIndexes: ones.map(({ partition }) => partition),
  }));
  const groups = await admin.listConsumerGroupOffsets({ groups: [{ groupId: group, topics }] });
  const found = new Map(
    groups
      .flatMap((one) => one.topics)
      .flatMap(({ name, partitions }) =>
        partitions.map((one) => [`${name}:${one.partitionIndex}` as string, Number(one.committedOffset)] as const),
      ),
  );
  return wanted.map(({ topic, partition }) => ({ topic, partition, offset: found.get(`${topic}:${partition}`) ?? -1 }));
}

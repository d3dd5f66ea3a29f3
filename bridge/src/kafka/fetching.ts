/**
 * Reads records from given positions. Kafka's client does the protocol; what is decided here is from which partitions
 * and how much, so that a partition whose records cannot be handed on is not read any further while the others are.
 */
import type { ConnectionPool } from "@platformatic/kafka";
import type { KafkaConsumer } from "./client.ts";

export interface Position {
  readonly topic: string;
  readonly partition: number;
  /** The next to read. */
  readonly offset: bigint;
}

export interface FetchedRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly leaderEpoch: number;
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly (readonly [Buffer | null, Buffer | null])[];
}

export interface FetchedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly records: FetchedRecord[];
  /** Where to read on: behind the last record, also when all of them were markers of transactions. */
  readonly next: bigint;
}

export interface FetchLimits {
  /** How long Kafka may wait for the first record. */
  readonly maxWaitMs: number;
  readonly maxBytes: number;
  readonly maxBytesPerPartition: number;
}

/** Kafka's numbers: records of transactions' own, and the offset that is not there any more. */
const IS_CONTROL = 0b10_0000;
const OFFSET_OUT_OF_RANGE = 1;

/**
 * One request to each broker that leads one of the partitions. A consumer has one fetch session with each broker, so
 * calls with the same consumer must not overlap.
 * @returns partitions that gave something, and those whose position does not exist
 */
export async function fetchFrom(
  consumer: KafkaConsumer,
  pool: ConnectionPool,
  positions: readonly Position[],
  limits: FetchLimits,
): Promise<{ partitions: FetchedPartition[]; outOfRange: Position[] }> {
  const topics = [...new Set(positions.map(({ topic }) => topic))];
  consumer.topics.trackAll(...topics.filter((topic) => !consumer.topics.has(topic)));
  const metadata = await consumer.metadata({ topics });
  const byNode = new Map<number, Position[]>();
  for (const position of positions) {
    const leader = metadata.topics.get(position.topic)?.partitions[position.partition]?.leader;
    if (leader === undefined) {
      throw new RangeError("no such partition");
    }
    const sameNode = byNode.get(leader) ?? [];
    sameNode.push(position);
    byNode.set(leader, sameNode);
  }
  const idOf = new Map(topics.map((topic) => [topic, metadata.topics.get(topic)?.id ?? ""]));
  const answers = await Promise.all(
    [...byNode].map(([node, wanted]) => fetchFromNode(consumer, pool, node, wanted, idOf, limits)),
  );
  return {
    partitions: answers.flatMap(({ partitions }) => partitions),
    outOfRange: answers.flatMap(({ outOfRange }) => outOfRange),
  };
}

type Answer = { partitions: FetchedPartition[]; outOfRange: Position[] };
type Responses = Awaited<ReturnType<KafkaConsumer["fetch"]>>["responses"];

async function fetchFromNode(
  consumer: KafkaConsumer,
  connectionPool: ConnectionPool,
  node: number,
  wanted: readonly Position[],
  idOf: ReadonlyMap<string, string>,
  limits: FetchLimits,
): Promise<Answer> {
  const topics = Map.groupBy(wanted, ({ topic }) => topic);
  const request = [...topics].map(([topic, positions]) => ({
    topicId: idOf.get(topic) ?? "",
    partitions: positions.map(({ partition, offset }) => ({
      partition,
      currentLeaderEpoch: -1,
      fetchOffset: offset,
      lastFetchedEpoch: -1,
      partitionMaxBytes: limits.maxBytesPerPartition,
    })),
  }));
  try {
    const { maxBytes, maxWaitMs } = limits;
    const response = await consumer.fetch({
      node,
      topics: request,
      maxBytes,
      minBytes: 1,
      maxWaitTime: maxWaitMs,
      connectionPool,
    });
    return { partitions: readResponse(response.responses, wanted, idOf), outOfRange: [] };
  } catch (error) {
    const outOfRange = outOfRangeIn(error, wanted, idOf);
    if (outOfRange.length === 0) {
      throw error;
    }
    return { partitions: [], outOfRange };
  }
}

/** An error of one partition fails the whole answer; what the others had is read again. */
function outOfRangeIn(error: unknown, wanted: readonly Position[], idOf: ReadonlyMap<string, string>): Position[] {
  const responses = responsesOf(error);
  return wanted.filter(({ topic, partition }) =>
    responses.some(
      (response) =>
        response.topicId === idOf.get(topic) &&
        response.partitions.some((one) => one.partitionIndex === partition && one.errorCode === OFFSET_OUT_OF_RANGE),
    ),
  );
}

interface PartitionError {
  readonly topicId: string;
  readonly partitions: readonly { readonly partitionIndex: number; readonly errorCode: number }[];
}

const MAX_CAUSES = 8;

/** The client wraps an answer with errors in it once for each retry. */
function responsesOf(error: unknown): PartitionError[] {
  const found: PartitionError[] = [];
  const open: unknown[] = [error];
  for (let depth = 0; depth < MAX_CAUSES && open.length > 0; depth++) {
    for (const one of open.splice(0)) {
      if (typeof one !== "object" || one === null) {
        continue;
      }
      if ("response" in one && typeof one.response === "object" && one.response !== null) {
        const { responses } = one.response as { responses?: PartitionError[] };
        found.push(...(responses ?? []));
      }
      open.push(
        "cause" in one ? one.cause : undefined,
        ...("errors" in one && Array.isArray(one.errors) ? one.errors : []),
      );
    }
  }
  return found;
}

function readResponse(
  responses: Responses,
  wanted: readonly Position[],
  idOf: ReadonlyMap<string, string>,
): FetchedPartition[] {
  const found: FetchedPartition[] = [];
  for (const position of wanted) {
    const response = responses.find(({ topicId }) => topicId === idOf.get(position.topic));
    const batches = response?.partitions.find(({ partitionIndex }) => partitionIndex === position.partition)?.records;
    const last = batches?.at(-1);
    if (batches && last) {
      const next = last.firstOffset + BigInt(last.lastOffsetDelta) + 1n;
      const { topic, partition } = position;
      found.push({ topic, partition, records: readBatches(batches, position), next });
    }
  }
  return found;
}

type Batches = NonNullable<Responses[number]["partitions"][number]["records"]>;

function readBatches(batches: Batches, position: Position): FetchedRecord[] {
  const { topic, partition } = position;
  const records: FetchedRecord[] = [];
  for (const batch of batches) {
    if (batch.attributes & IS_CONTROL) {
      continue;
    }
    for (const record of batch.records) {
      const offset = batch.firstOffset + BigInt(record.offsetDelta);
      // Kafka answers with whole batches; the position may be in the middle of one.
      if (offset >= position.offset) {
        records.push({
          topic,
          partition,
          offset,
          leaderEpoch: batch.partitionLeaderEpoch,
          timestampMs: Number(batch.firstTimestamp + record.timestampDelta),
          key: record.key,
          value: record.value,
          headers: record.headers,
        });
      }
    }
  }
  return records;
}

/**
 * A member of a consumer group, on three sets of connections: one that joins and beats, one that commits, one that
 * fetches. Kafka answers the requests of a connection one after the other, so a heartbeat behind a fetch that waits for
 * records would come too late.
 *
 * Commits carry the generation whose partitions the caller works on. Kafka's client would join again and repeat a
 * commit that a rebalance refused; by then the partition may be somebody else's, who is further already.
 */
import type { ConnectionPool } from "@platformatic/kafka";
import { type KafkaConsumer, newConsumer, newFetchPool } from "./client.ts";
import { type FetchLimits, fetchFrom, type Position } from "./fetching.ts";
import type { KafkaSettings } from "./settings.ts";

export type Assignments = readonly { readonly topic: string; readonly partitions: readonly number[] }[];
export type CommitOffset = Position & { readonly leaderEpoch: number };

export const EARLIEST = -2n;
export const LATEST = -1n;

export class Membership {
  readonly #member: KafkaConsumer;
  readonly #worker: KafkaConsumer;
  readonly #pool: ConnectionPool;
  #joins = 0;

  /** @param on `joined` after each rebalance; `failed` when the client has given up, and this member is of no use any more */
  constructor(
    settings: KafkaSettings,
    group: string,
    topics: readonly string[],
    on: { joined(): void; failed(error: Error): void },
  ) {
    this.#member = newConsumer(settings, group);
    this.#worker = newConsumer(settings, group, { retries: 0 });
    this.#pool = newFetchPool(settings);
    this.#member.topics.trackAll(...topics);
    this.#worker.topics.trackAll(...topics);
    this.#member.on("error", on.failed);
    this.#member.on("consumer:group:join", () => {
      this.#joins++;
      on.joined();
    });
  }

  /** Grows with each rebalance. */
  get generation(): number {
    return this.#joins;
  }

  get assignments(): Assignments {
    return this.#member.assignments ?? [];
  }

  async join(): Promise<void> {
    await this.#member.joinGroup({});
  }

  /** From here on commits are those of the present generation. @returns its partitions */
  accept(): Assignments {
    this.#worker.memberId = this.#member.memberId;
    this.#worker.generationId = this.#member.generationId;
    return this.assignments;
  }

  fetch(positions: readonly Position[], limits: FetchLimits): ReturnType<typeof fetchFrom> {
    return fetchFrom(this.#worker, this.#pool, positions, limits);
  }

  /** Rejects when the generation is over. */
  async commit(offsets: readonly CommitOffset[]): Promise<void> {
    await this.#worker.commit({ offsets: [...offsets] });
  }

  /** Topic → offset by partition; -1: never committed. */
  committed(assignments: Assignments): Promise<Map<string, bigint[]>> {
    return this.#worker.listCommittedOffsets({
      topics: assignments.map(({ topic, partitions }) => ({ topic, partitions: [...partitions] })),
    });
  }

  /** @param timestamp `EARLIEST` or `LATEST` */
  offsets(assignments: Assignments, timestamp: bigint): Promise<Map<string, bigint[]>> {
    const partitions = Object.fromEntries(assignments.map((one) => [one.topic, [...one.partitions]]));
    return this.#worker.listOffsets({ topics: Object.keys(partitions), partitions, timestamp });
  }

  /** Leaders may have moved. */
  forgetLeaders(): void {
    this.#worker.clearMetadata();
  }

  /** Leaves the group, so that the others need not wait for the session to end. */
  async close(): Promise<void> {
    await this.#member.close(true).catch(() => undefined);
    await Promise.allSettled([this.#worker.close(true), this.#pool.close()]);
  }
}

/** Positions by topic, as the client's lists want them. */
export function byTopic(positions: readonly { topic: string; partition: number }[]): Assignments {
  return [...Map.groupBy(positions, ({ topic }) => topic)].map(([topic, ones]) => ({
    topic,
    partitions: ones.map(({ partition }) => partition),
  }));
}

/**
 * A consumer instance of the dialect: a member of its group that reads when it is asked to. It joins with the first
 * request, commits what it has given out, and leaves when nobody has asked for as long as its session lasts.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { FetchedRecord, Position } from "./fetching.ts";
import { type Assignments, byTopic, EARLIEST, LATEST, Membership } from "./membership.ts";
import { KafkaProblem } from "./problems.ts";
import type { TopicPartitionOffset } from "./schemas.ts";
import type { KafkaSettings } from "./settings.ts";

export interface InstanceOptions {
  readonly group: string;
  readonly name: string;
  readonly topics: readonly string[];
  readonly autoCommit: boolean;
  readonly autoCommitMs: number;
  /** Where a group begins that has never committed; `none`: it does not. */
  readonly reset: "latest" | "earliest" | "none";
  /** Without a request for so long it leaves its group. */
  readonly idleMs: number;
}

/** Bytes of one answer; at least one batch of records comes, however large. */
const ANSWER_BYTES = 1_000_000;

export class ConsumerInstance {
  readonly options: InstanceOptions;
  readonly #member: Membership;
  readonly #onEnd: () => void;
  readonly #positions = new Map<string, Position>();
  /** Given out, and not yet committed. */
  readonly #consumed = new Map<string, Position>();
  #joined: Promise<unknown> | undefined;
  #seen = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #idle: NodeJS.Timeout | undefined;
  #commitTimer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(settings: KafkaSettings, options: InstanceOptions, onEnd: () => void) {
    this.options = options;
    this.#onEnd = onEnd;
    // When the client gives up, the next request makes a new instance.
    this.#member = new Membership(settings, options.group, options.topics, {
      joined: () => undefined,
      failed: () => void this.close(),
    });
  }

  get assignments(): Assignments {
    return this.#member.assignments;
  }

  /** Records, or none when there are none in time; while the group forms there are none. */
  consume(timeoutMs: number): Promise<FetchedRecord[]> {
    return this.#inTurn(async () => {
      const deadline = performance.now() + timeoutMs;
      if (!(await this.#hasJoined(timeoutMs))) {
        return [];
      }
      for (;;) {
        await this.#assign();
        const leftMs = Math.max(0, Math.round(deadline - performance.now()));
        const records = await this.#read(leftMs);
        if (records.length > 0 || performance.now() >= deadline) {
          return records;
        }
      }
    });
  }

  /** @param offsets the next to read of each partition; none: behind all that was given out */
  commit(offsets: readonly TopicPartitionOffset[]): Promise<void> {
    return this.#inTurn(() => this.#commit(offsets.length > 0 ? offsets : [...this.#consumed.values()]));
  }

  async close(): Promise<void> {
    if (this.#isClosed) {
      return;
    }
    this.#isClosed = true;
    clearTimeout(this.#idle);
    clearTimeout(this.#commitTimer);
    this.#onEnd();
    if (this.options.autoCommit && this.#consumed.size > 0) {
      await this.#commit([...this.#consumed.values()]).catch(() => undefined);
    }
    await this.#member.close();
  }

  /** One request at a time, as a consumer of Kafka is used by one thread. */
  #inTurn<Value>(work: () => Promise<Value>): Promise<Value> {
    clearTimeout(this.#idle);
    const done = this.#turn.then(() => {
      if (this.#isClosed) {
        throw new KafkaProblem(503, "the consumer was closed");
      }
      return work();
    });
    this.#turn = done
      .catch(() => undefined)
      .finally(() => {
        clearTimeout(this.#idle);
        this.#idle = setTimeout(() => void this.close(), this.options.idleMs);
        this.#idle.unref();
      });
    return done;
  }

  /** Joining waits for the other members and goes on behind the answer. */
  async #hasJoined(timeoutMs: number): Promise<boolean> {
    this.#joined ??= this.#member.join().catch((error: unknown) => {
      this.#joined = undefined;
      throw error;
    });
    const joined = this.#joined.then(() => true);
    joined.catch(() => undefined);
    return Promise.race([joined, sleep(timeoutMs, false, { ref: false })]);
  }

  async #assign(): Promise<void> {
    if (this.#seen === this.#member.generation) {
      return;
    }
    this.#seen = this.#member.generation;
    this.#positions.clear();
    this.#consumed.clear();
    const assignments = this.#member.accept();
    if (assignments.length === 0) {
      return;
    }
    const committed = await this.#member.committed(assignments);
    const fallback = await this.#member.offsets(assignments, this.options.reset === "earliest" ? EARLIEST : LATEST);
    for (const { topic, partitions } of assignments) {
      for (const partition of partitions) {
        const known = committed.get(topic)?.[partition] ?? -1n;
        if (known < 0n && this.options.reset === "none") {
          throw new KafkaProblem(400, "the group has no committed offset for a partition");
        }
        const offset = known >= 0n ? known : (fallback.get(topic)?.[partition] ?? 0n);
        this.#positions.set(`${topic}:${partition}`, { topic, partition, offset });
      }
    }
  }

  async #read(maxWaitMs: number): Promise<FetchedRecord[]> {
    if (this.#positions.size === 0) {
      // Other members have all partitions. They may leave.
      await sleep(maxWaitMs, undefined, { ref: false });
      return [];
    }
    const { partitions, outOfRange } = await this.#member.fetch([...this.#positions.values()], {
      maxWaitMs,
      maxBytes: ANSWER_BYTES,
      maxBytesPerPartition: ANSWER_BYTES,
    });
    for (const { topic, partition, next } of partitions) {
      const position = { topic, partition, offset: next };
      this.#positions.set(`${topic}:${partition}`, position);
      this.#consumed.set(`${topic}:${partition}`, position);
    }
    await this.#resetTo(outOfRange);
    if (this.options.autoCommit && this.#consumed.size > 0 && !this.#commitTimer) {
      this.#commitTimer = setTimeout(() => {
        this.#commitTimer = undefined;
        this.commit([]).catch(() => undefined);
      }, this.options.autoCommitMs);
      this.#commitTimer.unref();
    }
    return partitions.flatMap(({ records }) => records);
  }

  /** What was to be read next has been deleted by age or size. */
  async #resetTo(outOfRange: readonly Position[]): Promise<void> {
    if (outOfRange.length === 0) {
      return;
    }
    if (this.options.reset === "none") {
      throw new KafkaProblem(400, "the offset does not exist");
    }
    const timestamp = this.options.reset === "earliest" ? EARLIEST : LATEST;
    const offsets = await this.#member.offsets(byTopic(outOfRange), timestamp);
    for (const { topic, partition } of outOfRange) {
      const offset = offsets.get(topic)?.[partition] ?? 0n;
      this.#positions.set(`${topic}:${partition}`, { topic, partition, offset });
    }
  }

  async #commit(offsets: readonly Position[]): Promise<void> {
    if (offsets.length === 0) {
      return;
    }
    await this.#member.commit(offsets.map((one) => ({ ...one, leaderEpoch: -1 })));
    for (const { topic, partition, offset } of offsets) {
      const key = `${topic}:${partition}`;
      if (this.#consumed.get(key)?.offset === offset) {
        this.#consumed.delete(key);
      }
    }
  }
}

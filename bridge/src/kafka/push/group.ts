/**
 * One consumer group: reads the partitions that Kafka gives to this bridge, hands their records to their pushes, commits
 * what is done. Several bridges share a group; whoever loses a partition stops pushing it, and what was in flight comes
 * again at the other one.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Deps } from "../../dialect.ts";
import { describeKafkaError, isUnknownTopic } from "../client.ts";
import type { Position } from "../fetching.ts";
import { byTopic, type CommitOffset, EARLIEST, Membership } from "../membership.ts";
import type { KafkaSettings, PushSettings } from "../settings.ts";
import type { Budget } from "./budget.ts";
import type { LaneRecord } from "./lane.ts";
import { PartitionPush } from "./partition.ts";

/** Kafka answers at once when there is something; this is how long it may have nothing to say. */
const IDLE_WAIT_MS = 1_000;
/** Some partitions have enough for now and are left out of the request; they want to be asked again soon. */
const BUSY_WAIT_MS = 50;
const AGAIN_MS = 500;
/** Partitions that may give all they have in one answer of Kafka. */
const MOST_PER_ANSWER = 4;
const MISSING = "a topic of a group does not exist; npm run bridge:topics makes it";
/** Of the time to stop: the rest is for the commits and for leaving the group. */
const PUSH_SHARE = 0.75;

export interface GroupOptions {
  readonly group: string;
  readonly topics: readonly string[];
  readonly kafka: KafkaSettings;
  readonly push: PushSettings;
  readonly deps: Deps;
  /** Shared by all groups of this bridge. */
  readonly budget: Budget;
  bury(group: string, topic: string, record: LaneRecord): Promise<void>;
}

export class GroupPush {
  readonly #options: GroupOptions;
  readonly #stopped = new AbortController();
  readonly #partitions = new Map<string, PartitionPush>();
  readonly #committed = new Map<string, bigint>();
  #wake = Promise.withResolvers<void>();
  #interrupt: () => void = () => undefined;
  #committing: Promise<void> | undefined;
  #lastError = "";
  #running: Promise<void> | undefined;

  constructor(options: GroupOptions) {
    this.#options = options;
  }

  /** How many partitions are this bridge's at the moment. */
  get partitionCount(): number {
    return this.#partitions.size;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /**
   * Ends after the pushes in flight, commits them, and leaves the group so that the others need not wait.
   * @param withinMs pushes that take longer are cut off; their records come again, at whichever bridge is next
   */
  async close(withinMs: number): Promise<void> {
    this.#stopped.abort();
    this.#notify();
    this.#interrupt();
    const drained = [...this.#partitions.values()].map((partition) => partition.drain());
    const late = setTimeout(() => this.#cutOff(), withinMs * PUSH_SHARE);
    const { promise: isOver, resolve } = Promise.withResolvers<void>();
    // A Kafka that is away takes commits and goodbyes only when their own limits are over.
    const over = setTimeout(resolve, withinMs);
    await Promise.race([Promise.all([this.#running, ...drained]), isOver]);
    clearTimeout(late);
    clearTimeout(over);
  }

  async #run(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      try {
        await this.#belong();
      } catch (error) {
        this.#told(error);
        await sleep(AGAIN_MS, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
      }
    }
  }

  /** From joining the group until the bridge stops, or the client gives up. */
  async #belong(): Promise<void> {
    const { kafka, group, topics } = this.#options;
    const failures: Error[] = [];
    // A join may wait for a Kafka that is away; stopping does not.
    const { promise: interrupted, resolve } = Promise.withResolvers<void>();
    this.#interrupt = resolve;
    const member = new Membership(kafka, group, topics, {
      joined: () => this.#notify(),
      failed: (error) => {
        failures.push(error);
        this.#interrupt();
        this.#notify();
      },
    });
    try {
      await Promise.race([member.join(), interrupted]);
      let seen = 0;
      while (!this.#stopped.signal.aborted && failures.length === 0) {
        const { generation } = member;
        if (seen === generation) {
          await this.#read(member);
        } else if (await this.#patiently(member, () => this.#assign(member))) {
          seen = generation;
        }
      }
      if (failures.length > 0) {
        throw failures[0];
      }
      await Promise.all([...this.#partitions.values()].map((partition) => partition.drain()));
      await this.#committing;
      await this.#commit(member);
    } finally {
      this.#abandonAll();
      await member.close();
    }
  }

  /** The partitions are what Kafka says; kept ones go on where they are, unless somebody else has gone further. */
  async #assign(member: Membership): Promise<void> {
    const assignments = member.accept();
    const owned = new Set(assignments.flatMap(({ topic, partitions }) => partitions.map((one) => `${topic}:${one}`)));
    for (const [key, partition] of this.#partitions) {
      if (!owned.has(key)) {
        partition.abandon();
        this.#partitions.delete(key);
      }
    }
    const { budget, deps, group } = this.#options;
    deps.metrics.partitions.set({ group }, owned.size);
    budget.share(group, owned.size);
    if (owned.size === 0) {
      return;
    }
    const committed = await member.committed(assignments);
    const fresh: Position[] = [];
    for (const { topic, partitions } of assignments) {
      for (const partition of partitions) {
        const offset = committed.get(topic)?.[partition] ?? -1n;
        const kept = this.#partitions.get(`${topic}:${partition}`);
        if (!kept || kept.lane.committable.offset < offset) {
          fresh.push({ topic, partition, offset });
        }
      }
    }
    await this.#begin(member, fresh);
  }

  /** A group that is new to a partition begins with its oldest record. */
  async #begin(member: Membership, positions: readonly Position[]): Promise<void> {
    const unknown = positions.filter(({ offset }) => offset < 0n);
    const earliest = unknown.length > 0 ? await member.offsets(byTopic(unknown), EARLIEST) : undefined;
    for (const { topic, partition, offset } of positions) {
      const start = offset >= 0n ? offset : (earliest?.get(topic)?.[partition] ?? 0n);
      const key = `${topic}:${partition}`;
      this.#partitions.get(key)?.abandon();
      this.#committed.set(key, offset);
      this.#partitions.set(key, this.#newPartition(member, { topic, partition, offset: start }));
    }
  }

  #newPartition(member: Membership, start: Position): PartitionPush {
    const { group, push, deps, bury } = this.#options;
    return new PartitionPush(group, start, push, deps, {
      bury: (topic, record) => bury(group, topic, record),
      progressed: () => {
        this.#notify();
        this.#commitSoon(member);
      },
    });
  }

  async #read(member: Membership): Promise<void> {
    const all = [...this.#partitions.values()];
    const hungry = all.filter(({ lane }) => lane.bytes < this.#options.budget.bytesPerPartition);
    if (hungry.length === 0) {
      await this.#wake.promise;
      return;
    }
    // One that failed is not left lying until the next record.
    this.#commitSoon(member);
    await this.#patiently(member, () => this.#fetch(member, hungry, hungry.length === all.length));
  }

  async #fetch(member: Membership, hungry: readonly PartitionPush[], areAll: boolean): Promise<void> {
    const { group, deps, budget } = this.#options;
    const { bytesPerPartition } = budget;
    const { partitions, outOfRange } = await member.fetch(
      hungry.map(({ topic, partition, lane }) => ({ topic, partition, offset: lane.end })),
      {
        maxWaitMs: areAll ? IDLE_WAIT_MS : BUSY_WAIT_MS,
        maxBytes: bytesPerPartition * MOST_PER_ANSWER,
        maxBytesPerPartition: bytesPerPartition,
      },
    );
    // An answer that comes after the membership has ended says nothing to those who read the partition by now.
    const asked = new Set(hungry);
    for (const { topic, partition, records, next } of partitions) {
      const reader = this.#partitions.get(`${topic}:${partition}`);
      if (reader && asked.has(reader)) {
        reader.offer(records, next);
      }
    }
    if (outOfRange.length > 0) {
      const count = outOfRange.length;
      deps.log("error", "records were deleted before they were read; begins with the oldest", { group, count });
      await this.#begin(
        member,
        outOfRange.map((position) => ({ ...position, offset: -1n })),
      );
    }
  }

  /** The membership goes on by its heartbeats when one request fails. @returns whether it went well */
  async #patiently(member: Membership, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      this.#lastError = "";
      return true;
    } catch (error) {
      this.#told(error);
      member.forgetLeaders();
      await sleep(AGAIN_MS, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
      return false;
    }
  }

  /** One commit in flight; the next one carries all that came meanwhile. */
  #commitSoon(member: Membership): void {
    this.#committing ??= this.#commit(member).finally(() => {
      this.#committing = undefined;
    });
  }

  async #commit(member: Membership): Promise<void> {
    try {
      for (let offsets = this.#uncommitted(); offsets.length > 0; offsets = this.#uncommitted()) {
        await member.commit(offsets);
        for (const { topic, partition, offset } of offsets) {
          this.#committed.set(`${topic}:${partition}`, offset);
        }
      }
    } catch (error) {
      // Goes with the next one. Until then it is what comes twice, should the bridge die.
      this.#told(error);
    }
  }

  #uncommitted(): CommitOffset[] {
    return [...this.#partitions.values()]
      .map(({ topic, partition, lane }) => ({ topic, partition, ...lane.committable }))
      .filter(({ topic, partition, offset }) => offset > (this.#committed.get(`${topic}:${partition}`) ?? -1n));
  }

  #cutOff(): void {
    for (const partition of this.#partitions.values()) {
      partition.abandon();
    }
  }

  #abandonAll(): void {
    this.#cutOff();
    this.#partitions.clear();
    this.#options.budget.share(this.#options.group, 0);
    this.#options.deps.metrics.partitions.set({ group: this.#options.group }, 0);
  }

  #notify(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }

  /** Kafka being away says so twice a second: only what is new is a line. */
  #told(error: unknown): void {
    const text = describeKafkaError(error);
    if (text !== this.#lastError) {
      this.#lastError = text;
      const { deps, group } = this.#options;
      const isMissing = isUnknownTopic(error);
      deps.log("warn", isMissing ? MISSING : "a group cannot read", { group, error: text });
    }
  }
}

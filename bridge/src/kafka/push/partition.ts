/** Carries out what a lane decides: pushes, waits, dead letters; one push in flight, and none after it was stopped. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Deps } from "../../dialect.ts";
import type { FetchedRecord } from "../fetching.ts";
import { DEAD_LETTER_TOPIC } from "../groups.ts";
import type { PushSettings } from "../settings.ts";
import { deliver } from "./delivery.ts";
import { Lane, type LaneRecord } from "./lane.ts";

export interface PartitionPorts {
  /** Something can be committed. */
  progressed(): void;
  /** Writes a record to the dead-letter topic; rejects when Kafka does not take it. */
  bury(topic: string, record: LaneRecord): Promise<void>;
}

const BURY_AGAIN_MS = 1_000;

/** What to look at, by the status that the Worker answered with; 0: it did not. */
const REFUSALS: Readonly<Record<number, string>> = {
  0: "the worker does not answer at BRIDGE_WORKER_URL",
  401: "the worker refuses the signature: BRIDGE_SECRET must be the same on both sides, and the clocks less than 5 minutes apart",
  404: "the worker takes no records: BRIDGE_WORKER_URL must be its address, and BUS=kafka be set there",
};

export class PartitionPush {
  readonly topic: string;
  readonly partition: number;
  readonly lane: Lane;
  readonly #group: string;
  readonly #settings: PushSettings;
  readonly #deps: Deps;
  readonly #ports: PartitionPorts;
  /** Ends waits, not pushes: a push that is on its way is let through. */
  readonly #stopped = new AbortController();
  readonly #abandoned = new AbortController();
  #running: Promise<void> | undefined;

  constructor(
    group: string,
    start: { topic: string; partition: number; offset: bigint },
    settings: PushSettings,
    deps: Deps,
    ports: PartitionPorts,
  ) {
    this.#group = group;
    this.topic = start.topic;
    this.partition = start.partition;
    // The Worker keeps letters in SQL, and says so when it cannot: they wait for as long as SQL is away, since there is no other place for them.
    this.lane = new Lane(start.offset, { ...settings, keepsFailed: start.topic === DEAD_LETTER_TOPIC });
    this.#settings = settings;
    this.#deps = deps;
    this.#ports = ports;
  }

  offer(records: readonly FetchedRecord[], end: bigint): void {
    this.lane.offer(records.map(asLaneRecord), end);
    if (this.lane.isEmpty) {
      // Nothing but markers: reading on is all that there is to do.
      this.#ports.progressed();
      return;
    }
    this.#running ??= this.#run();
  }

  /** No further push; resolves when the one in flight has its answer, and that counts. */
  async drain(): Promise<void> {
    this.#stopped.abort();
    await this.#running;
  }

  /** The partition belongs to somebody else, or time is up: what is in flight is cut off, and its answer means nothing here. */
  abandon(): void {
    this.#stopped.abort();
    this.#abandoned.abort();
  }

  async #run(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      const records = this.lane.next();
      if (records.length === 0) {
        // In the same step as the look: what is offered from here on starts it again.
        this.#running = undefined;
        return;
      }
      const { group, topic, partition } = { group: this.#group, topic: this.topic, partition: this.partition };
      const began = performance.now();
      const { outcome, status } = await deliver(
        this.#settings,
        { group, topic, partition, records },
        this.#abandoned.signal,
      );
      if (this.#abandoned.signal.aborted) {
        return;
      }
      const { metrics, log } = this.#deps;
      metrics.pushes.inc({ group, topic, outcome: outcome.kind });
      metrics.pushSeconds.observe({ group, topic }, (performance.now() - began) / 1000);
      const step = this.lane.settle(records, outcome, Math.random());
      const failed = outcome.kind === "failed" ? outcome.offsets.size : records.length;
      const count = outcome.kind === "done" ? 0 : Math.min(failed, records.length);
      metrics.pushedRecords.inc({ group, topic }, records.length - count);
      if (count > 0) {
        log("warn", REFUSALS[status] ?? "the worker did not take records", {
          group,
          topic,
          partition,
          status,
          count,
          delayMs: step.waitMs,
        });
      }
      await this.#buryAll(step.deadLetters, status);
      this.#ports.progressed();
      await this.#wait(step.waitMs);
    }
  }

  /** Until Kafka has them: a record that is in neither place would be lost. */
  async #buryAll(records: readonly LaneRecord[], status: number): Promise<void> {
    const { group, topic, partition } = { group: this.#group, topic: this.topic, partition: this.partition };
    for (const record of records) {
      while (!this.#stopped.signal.aborted) {
        try {
          await this.#ports.bury(topic, record);
          this.lane.bury([record]);
          this.#deps.metrics.deadLetters.inc({ group, topic });
          const offset = String(record.offset);
          const isLetter = topic === DEAD_LETTER_TOPIC;
          const message = isLetter
            ? "a dead letter that the worker refuses was dropped"
            : "a record became a dead letter";
          this.#deps.log("error", message, { group, topic, partition, offset, status });
          break;
        } catch {
          await this.#wait(BURY_AGAIN_MS);
        }
      }
    }
  }

  async #wait(delayMs: number): Promise<void> {
    if (delayMs > 0) {
      await sleep(delayMs, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
    }
  }
}

function asLaneRecord(record: FetchedRecord): LaneRecord {
  const { offset, leaderEpoch } = record;
  const key = record.key?.toString("utf8") ?? "";
  const value = record.value?.toString("utf8") ?? "";
  return { offset, leaderEpoch, key, value, bytes: (record.key?.length ?? 0) + (record.value?.length ?? 0), tries: 0 };
}

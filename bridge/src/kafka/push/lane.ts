/**
 * What one partition has to push, as plain steps: which records go next, and what an answer means for them. One batch
 * is in flight; what failed of it goes again, in its order, before anything behind it. Nothing here waits, sends or
 * looks at a clock.
 */

export interface LaneRecord {
  readonly offset: bigint;
  readonly leaderEpoch: number;
  readonly key: string;
  readonly value: string;
  readonly bytes: number;
  /** How often it has failed by its own fault, as far as anybody can tell. */
  tries: number;
}

export interface LaneLimits {
  readonly batchRecords: number;
  readonly batchBytes: number;
  /** After so many tries a record is a dead letter. */
  readonly maxTries: number;
  /** Records that the Worker names as not done are no record's fault: tried for ever. Only what it refuses counts its tries. */
  readonly keepsFailed?: boolean;
}

/** What came of a push. */
export type PushOutcome =
  /** All of them are done. */
  | { kind: "done" }
  /** These are not; the others are. */
  | { kind: "failed"; offsets: ReadonlySet<string>; retryAfterMs: number }
  /** The batch as a whole was not taken (400, 413, 500, too slow), and nobody says which record it is. */
  | { kind: "refused" }
  /** Nobody was there, or had time (no connection, 401, 404, 429, 502–504): no record's fault, tried for ever. */
  | { kind: "unavailable"; retryAfterMs: number };

/** What is to be done after an answer. */
export interface LaneStep {
  /** Put these into the dead letters; `bury` then takes them out. */
  readonly deadLetters: readonly LaneRecord[];
  /** Before the next push; 0: at once. */
  readonly waitMs: number;
}

/** First wait, doubled with each failure in a row, up to its cap. */
const FIRST_WAIT_MS = 250;
/** Ten tries take about a minute with it: a database that restarts, or fails over, makes no dead letters. */
const TRY_CAP_MS = 15_000;
/** The Worker being away costs one request in this time; it is found again soon after its start. */
const OUTAGE_CAP_MS = 5_000;
/** What the other side may ask for. */
const MAX_RETRY_AFTER_MS = 60_000;

export class Lane {
  readonly #limits: LaneLimits;
  /** Waiting, in order. */
  #queue: LaneRecord[] = [];
  /** What is being worked on, in order; shrinks as records are done. */
  #batch: LaneRecord[] = [];
  #sendLimit: number;
  #failures = 0;
  #bytes = 0;
  /** Behind everything that was offered. */
  #end: bigint;
  #endEpoch = -1;

  constructor(start: bigint, limits: LaneLimits) {
    this.#end = start;
    this.#limits = limits;
    this.#sendLimit = limits.batchRecords;
  }

  /** Bytes of all records that it holds. */
  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#batch.length === 0 && this.#queue.length === 0;
  }

  /** Where to read on. */
  get end(): bigint {
    return this.#end;
  }

  /** What may be committed: everything before it is done. */
  get committable(): { offset: bigint; leaderEpoch: number } {
    const first = this.#batch[0] ?? this.#queue[0];
    return first
      ? { offset: first.offset, leaderEpoch: first.leaderEpoch }
      : { offset: this.#end, leaderEpoch: this.#endEpoch };
  }

  /** @param end behind the last of them, and behind what is no record */
  offer(records: readonly LaneRecord[], end: bigint): void {
    this.#queue.push(...records);
    this.#bytes += records.reduce((sum, record) => sum + record.bytes, 0);
    this.#end = end;
    this.#endEpoch = records.at(-1)?.leaderEpoch ?? this.#endEpoch;
  }

  /** The records of the next push, none when there is nothing to do. */
  next(): readonly LaneRecord[] {
    if (this.#batch.length === 0) {
      this.#batch = this.#queue.splice(0, countWithin(this.#queue, this.#limits));
      this.#sendLimit = this.#limits.batchRecords;
    }
    return this.#batch.slice(0, this.#sendLimit);
  }

  /**
   * @param sent what `next` gave
   * @param chance from 0 to 1, spreads the waits of many partitions
   */
  settle(sent: readonly LaneRecord[], outcome: PushOutcome, chance: number): LaneStep {
    switch (outcome.kind) {
      case "done":
        this.#failures = 0;
        this.#sendLimit = Math.min(this.#sendLimit * 2, this.#limits.batchRecords);
        this.#remove(sent);
        return { deadLetters: [], waitMs: 0 };
      case "failed": {
        const failed = sent.filter(({ offset }) => outcome.offsets.has(String(offset)));
        if (failed.length === 0) {
          return this.settle(sent, { kind: "refused" }, chance);
        }
        this.#remove(sent.filter((record) => !failed.includes(record)));
        if (this.#limits.keepsFailed === true) {
          return this.settle(failed, { kind: "unavailable", retryAfterMs: outcome.retryAfterMs }, chance);
        }
        return this.#blame(failed, outcome.retryAfterMs, chance);
      }
      case "refused":
        if (sent.length > 1) {
          // Half of them: in the end the one that nobody takes stands alone.
          this.#sendLimit = Math.ceil(sent.length / 2);
          return { deadLetters: [], waitMs: waitMs(++this.#failures, TRY_CAP_MS, 0, chance) };
        }
        return this.#blame(sent, 0, chance);
      case "unavailable":
        return { deadLetters: [], waitMs: waitMs(++this.#failures, OUTAGE_CAP_MS, outcome.retryAfterMs, chance) };
    }
  }

  /** These are in the dead letters now. */
  bury(records: readonly LaneRecord[]): void {
    this.#failures = 0;
    this.#remove(records);
  }

  #blame(failed: readonly LaneRecord[], retryAfterMs: number, chance: number): LaneStep {
    this.#failures++;
    for (const record of failed) {
      record.tries++;
    }
    const deadLetters = failed.filter(({ tries }) => tries >= this.#limits.maxTries);
    const isOver = deadLetters.length === failed.length;
    return { deadLetters, waitMs: isOver ? 0 : waitMs(this.#failures, TRY_CAP_MS, retryAfterMs, chance) };
  }

  #remove(records: readonly LaneRecord[]): void {
    const gone = new Set(records);
    this.#batch = this.#batch.filter((record) => !gone.has(record));
    this.#bytes -= records.reduce((sum, record) => sum + record.bytes, 0);
  }
}

/** At least one, or a record larger than a batch would never go. */
function countWithin(queue: readonly LaneRecord[], { batchRecords, batchBytes }: LaneLimits): number {
  let count = 0;
  let bytes = 0;
  for (const record of queue) {
    bytes += record.bytes;
    if (count === batchRecords || (count > 0 && bytes > batchBytes)) {
      break;
    }
    count++;
  }
  return count;
}

/** Half of the wait is certain, half is chance: many partitions come back neither at once nor all together. */
function waitMs(failures: number, capMs: number, retryAfterMs: number, chance: number): number {
  const fullMs = Math.min(capMs, FIRST_WAIT_MS * 2 ** (failures - 1));
  return Math.max(Math.min(retryAfterMs, MAX_RETRY_AFTER_MS), Math.round(fullMs * (0.5 + chance / 2)));
}

/**
 * One thread, one seed, one queue of events ordered by virtual time; what happens at the same
 * microsecond happens in an order that chance decides. Nothing here or above it uses a real timer
 * or a promise, so the same seed gives the same run, event by event.
 */
import { Prng } from "./prng.ts";

/** Virtual clocks begin here (epoch milliseconds), so that times look like times. */
export const EPOCH_MS = 1_700_000_000_000;
export const MS = 1_000;
export const SECOND = 1_000_000;
/** Events in one virtual millisecond: more is a loop that waits for nothing. */
const EVENTS_PER_MS = 20_000;
/** Events kept for a report. */
const MEMORY = 50;

type Job = {
  at: number;
  tie: number;
  kind: string;
  who: string;
  run: () => void;
  background: boolean;
};

/** A promise of the system was broken. `oracle` names the rule. */
export class Violation extends Error {
  readonly oracle: string;

  constructor(oracle: string, detail: string) {
    super(`${oracle}: ${detail}`);
    this.oracle = oracle;
  }
}

export class Kernel {
  readonly random: Prng;
  /** Virtual microseconds since the beginning. */
  now = 0;
  events = 0;
  /** Set for the second run of a failing seed: nodes then say what they do. */
  verbose = false;
  /** Hears every line that `verbose` makes. */
  listener: ((line: string) => void) | undefined;
  #heap: Job[] = [];
  #foreground = 0;
  #millisecond = 0;
  #eventsInIt = 0;
  #hashA = 0x811c9dc5;
  #hashB = 0x01000193;
  readonly #codes = new Map<string, number>();
  readonly #memory: string[] = [];
  readonly #recent: (Job | undefined)[] = [];

  constructor(seed: number) {
    this.random = new Prng(seed);
  }

  /** Epoch milliseconds, as the cores see time. */
  get ms(): number {
    return EPOCH_MS + Math.floor(this.now / MS);
  }

  /** Events that are work, not only the pulse of an idle system (pings, leases). */
  get foreground(): number {
    return this.#foreground;
  }

  /** Runs `run` after so many virtual microseconds. */
  after(delayUs: number, kind: string, who: string, run: () => void, background = false): void {
    const job: Job = { at: this.now + delayUs, tie: this.random.u32(), kind, who, run, background };
    if (!background) {
      this.#foreground += 1;
    }
    this.#push(job);
  }

  /** Runs the next event; false when there is none. */
  step(): boolean {
    const job = this.#pop();
    if (job === undefined) {
      return false;
    }
    this.now = job.at;
    this.events += 1;
    this.#watch(job);
    if (!job.background) {
      this.#foreground -= 1;
    }
    this.#mixJob(job);
    this.#recent[this.events % MEMORY] = job;
    if (this.verbose) {
      this.#remember(`${this.#stamp()} ${job.kind} ${job.who}`);
    }
    job.run();
    return true;
  }

  /** Adds an outcome to the trace: two runs are the same only when their outcomes are. */
  mix(value: number): void {
    this.#hashA = Math.imul(this.#hashA ^ value, 0x01000193);
    this.#hashB = (Math.imul(this.#hashB, 31) + value) | 0;
  }

  /** Only for the report of a failing seed; callers ask `verbose` first. */
  say(text: string): void {
    this.#remember(`${" ".repeat(14)}${text}`);
  }

  /** Hash over every event so far. */
  get trace(): string {
    return (this.#hashA >>> 0).toString(16).padStart(8, "0") + (this.#hashB >>> 0).toString(16).padStart(8, "0");
  }

  /** The last events, oldest first; with what nodes said when `verbose`. */
  history(): string[] {
    return [...this.#memory];
  }

  #watch(job: Job): void {
    const millisecond = Math.floor(this.now / MS);
    if (millisecond !== this.#millisecond) {
      this.#millisecond = millisecond;
      this.#eventsInIt = 0;
    }
    this.#eventsInIt += 1;
    if (this.#eventsInIt > EVENTS_PER_MS) {
      throw new Violation(
        "time goes on",
        `the last of ${EVENTS_PER_MS} events in one ms is "${job.kind}" at ${job.who}`,
      );
    }
  }

  #remember(line: string): void {
    this.listener?.(line);
    this.#memory.push(line);
    if (this.#memory.length > 4 * MEMORY) {
      this.#memory.splice(0, this.#memory.length - 4 * MEMORY);
    }
  }

  #stamp(): string {
    return `${(this.now / SECOND).toFixed(6).padStart(12)}s`;
  }

  #mixJob(job: Job): void {
    let code = this.#codes.get(job.kind);
    if (code === undefined) {
      code = hashOf(job.kind);
      this.#codes.set(job.kind, code);
    }
    let who = this.#codes.get(job.who);
    if (who === undefined) {
      who = hashOf(job.who);
      this.#codes.set(job.who, who);
    }
    this.#hashA = Math.imul(this.#hashA ^ code ^ (job.at | 0), 0x01000193);
    this.#hashB = (Math.imul(this.#hashB ^ who, 31) + job.at / 2 ** 20) | 0;
  }

  #push(job: Job): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(job);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !before(job, above)) {
        break;
      }
      heap[index] = above;
      index = parent;
    }
    heap[index] = job;
  }

  #pop(): Job | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) {
      return first;
    }
    const size = heap.length;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      let below = heap[child];
      if (below === undefined || child >= size) {
        break;
      }
      const right = heap[child + 1];
      if (right !== undefined && before(right, below)) {
        child += 1;
        below = right;
      }
      if (!before(below, last)) {
        break;
      }
      heap[index] = below;
      index = child;
    }
    heap[index] = last;
    return first;
  }
}

function before(a: Job, b: Job): boolean {
  return a.at < b.at || (a.at === b.at && a.tie < b.tie);
}

function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return hash;
}

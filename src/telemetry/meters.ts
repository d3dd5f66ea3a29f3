/**
 * Counters and histograms of this isolate: numbers in memory, so that counting costs an addition. A report carries their sums
 * to the `Metrics` object from time to time (report.ts).
 */

/** Samples by their Prometheus name with labels, e.g. `gochat_message_send_failures_total{code="1008"}`. */
export type Samples = Record<string, number>;

export type MeterKind = "counter" | "gauge" | "histogram";

/** One family: its name, what it is, and what it stands at here. */
export interface Meter {
  readonly name: string;
  readonly kind: MeterKind;
  readonly help: string;
  /** Adds the samples of this isolate. */
  collect(into: Samples): void;
}

/** Name of a sample. Label values are our own words and codes; quotes and line ends in them would break the text. */
export function labelled(name: string, labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${value.replaceAll(/["\\\n]/g, "_")}"`);
  return pairs.length === 0 ? name : `${name}{${pairs.join(",")}}`;
}

/** Something that happened so many times. */
export class Counter implements Meter {
  readonly kind = "counter";
  readonly name: string;
  readonly help: string;
  #count = 0;

  constructor(name: string, help: string) {
    this.name = name;
    this.help = help;
  }

  add(count = 1): void {
    this.#count += count;
  }

  collect(into: Samples): void {
    into[this.name] = this.#count;
  }
}

/** Counters by the value of one label; values come from our own closed lists, so there are few. */
export class CounterBy implements Meter {
  readonly kind = "counter";
  readonly name: string;
  readonly help: string;
  readonly #label: string;
  readonly #counts = new Map<string, number>();

  constructor(name: string, label: string, help: string) {
    this.name = name;
    this.#label = label;
    this.help = help;
  }

  add(value: string, count = 1): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + count);
  }

  collect(into: Samples): void {
    for (const [value, count] of this.#counts) {
      into[labelled(this.name, { [this.#label]: value })] = count;
    }
  }
}

/** How long things took, in seconds, in buckets that reach from below a local call to beyond every time limit. */
export class Histogram implements Meter {
  readonly kind = "histogram";
  readonly name: string;
  readonly help: string;
  readonly #counts: number[];
  #sum = 0;
  #count = 0;

  /** Upper ends in seconds. The targets of DESIGN section 6 (0.05, 0.1, 0.2, 0.5, 1, 2) are among them. */
  static readonly BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30];

  constructor(name: string, help: string) {
    this.name = name;
    this.help = help;
    this.#counts = Histogram.BUCKETS.map(() => 0);
  }

  /** @param ms how long it took, in milliseconds; below zero (two clocks) counts as nothing @param times how often */
  observeMs(ms: number, times = 1): void {
    const seconds = Math.max(0, ms) / 1_000;
    this.#sum += seconds * times;
    this.#count += times;
    for (let at = 0; at < Histogram.BUCKETS.length; at++) {
      if (seconds <= (Histogram.BUCKETS[at] ?? 0)) {
        this.#counts[at] = (this.#counts[at] ?? 0) + times;
        return;
      }
    }
  }

  collect(into: Samples): void {
    let below = 0;
    Histogram.BUCKETS.forEach((end, at) => {
      below += this.#counts[at] ?? 0;
      into[labelled(`${this.name}_bucket`, { le: String(end) })] = below;
    });
    into[labelled(`${this.name}_bucket`, { le: "+Inf" })] = this.#count;
    into[`${this.name}_sum`] = this.#sum;
    into[`${this.name}_count`] = this.#count;
  }
}

/** How things stand; asked when a report is made. */
export class Gauge implements Meter {
  readonly kind = "gauge";
  readonly name: string;
  readonly help: string;
  readonly #read: () => readonly (readonly [labels: Readonly<Record<string, string>>, value: number])[];

  constructor(name: string, help: string, read: Gauge["reading"]) {
    this.name = name;
    this.help = help;
    this.#read = read;
  }

  /** The readings now, one for each set of labels. */
  reading(): readonly (readonly [labels: Readonly<Record<string, string>>, value: number])[] {
    return this.#read();
  }

  collect(into: Samples): void {
    for (const [labels, value] of this.#read()) {
      into[labelled(this.name, labels)] = value;
    }
  }
}

/** What has been said lately by each of many: forgotten when it is not said again. */
export class Lately {
  readonly #lifeMs: number;
  readonly #values = new Map<string, { value: number; at: number }>();

  constructor(lifeMs: number) {
    this.#lifeMs = lifeMs;
  }

  /** 0 is the same as forgetting. */
  say(who: string, value: number, now: number): void {
    if (value === 0) {
      this.#values.delete(who);
    } else {
      this.#values.set(who, { value, at: now });
    }
  }

  has(who: string): boolean {
    return this.#values.has(who);
  }

  sum(now: number): number {
    let sum = 0;
    for (const [who, { value, at }] of this.#values) {
      if (now - at > this.#lifeMs) {
        this.#values.delete(who);
      } else {
        sum += value;
      }
    }
    return sum;
  }

  max(now: number): number {
    let max = 0;
    for (const { value, at } of this.#values.values()) {
      max = now - at > this.#lifeMs ? max : Math.max(max, value);
    }
    return max;
  }
}

/** What a workload counts: latencies, counters, and who used how much processor time meanwhile. */
import { build, type Histogram } from "hdr-histogram-js";
import { cpuSeconds, machineCpuSeconds } from "../meters.ts";

/** Histograms count whole microseconds. */
const US_PER_MS = 1_000;
const LONGEST_US = 600_000_000;

export interface Latency {
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly count: number;
}

/** A latency histogram with three significant digits. */
export class Latencies {
  readonly #histogram: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: LONGEST_US,
    numberOfSignificantValueDigits: 3,
  });

  record(ms: number): void {
    this.#histogram.recordValue(Math.min(LONGEST_US, Math.max(1, Math.round(ms * US_PER_MS))));
  }

  summary(): Latency {
    const at = (percentile: number): number => this.#histogram.getValueAtPercentile(percentile) / US_PER_MS;
    const count = this.#histogram.totalCount;
    return { p50Ms: at(50), p95Ms: at(95), p99Ms: at(99), maxMs: this.#histogram.maxValue / US_PER_MS, count };
  }
}

/** Processor seconds per second: 1 is one core. */
export interface Load {
  readonly server: number;
  readonly client: number;
  /** Everything else on the machine: other work makes a figure worse. */
  readonly others: number;
}

/** Processor time between two moments. */
export class LoadMeter {
  readonly #serverPid: number;
  #began = performance.now();
  #server = 0;
  #client = 0;
  #machine = 0;

  constructor(serverPid: number) {
    this.#serverPid = serverPid;
    this.start();
  }

  start(): void {
    this.#began = performance.now();
    this.#server = cpuSeconds(this.#serverPid);
    this.#client = cpuSeconds(process.pid);
    this.#machine = machineCpuSeconds();
  }

  read(): Load {
    const seconds = (performance.now() - this.#began) / 1_000;
    const server = (cpuSeconds(this.#serverPid) - this.#server) / seconds;
    const client = (cpuSeconds(process.pid) - this.#client) / seconds;
    const machine = (machineCpuSeconds() - this.#machine) / seconds;
    return { server, client, others: Math.max(0, machine - server - client) };
  }
}

/** How long a workload is driven before it is measured, and how long it is measured. */
export interface Span {
  readonly warmMs: number;
  readonly measureMs: number;
}

/** Waits until `done()`, or the deadline; answers how long that took in milliseconds, and whether it was done. */
export async function drain(done: () => boolean, deadlineMs: number): Promise<{ tookMs: number; complete: boolean }> {
  const begun = performance.now();
  while (!done() && performance.now() - begun < deadlineMs) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return { tookMs: performance.now() - begun, complete: done() };
}

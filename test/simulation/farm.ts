/** Many seeds on several threads. A seed is run by one thread from its beginning to its end. */
import { Worker } from "node:worker_threads";
import { FAULT_NAMES, noFaults, type FaultCounts } from "./faults.ts";
import type { SeedResult } from "./runSeed.ts";

/** Sends of one seed: short runs have more ends, and the end is where a lost message shows. */
export const SENDS_A_SEED = 400;

/** One thing for a thread to do: `seeds` of them in turn (one if absent), until one fails; its last result is the answer. */
export type Job = { seed: number; sends: number; seeds?: number; bug?: string };

export type FarmOptions = {
  workers: number;
  /** Called with each result; answering false ends the run early. */
  onResult?(result: SeedResult, done: number, job: Job): boolean | void;
};

/** Runs all jobs; results come in no particular order. */
export async function farm(jobs: readonly Job[], options: FarmOptions): Promise<SeedResult[]> {
  const waiting = [...jobs];
  const results: SeedResult[] = [];
  let ended = false;
  const thread = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL("./farmWorker.ts", import.meta.url), { execArgv: [] });
      let job: Job | undefined;
      const next = (): void => {
        job = ended ? undefined : waiting.shift();
        if (job === undefined) {
          void worker.terminate().then(() => resolve());
          return;
        }
        worker.postMessage(job);
      };
      worker.on("message", (result: SeedResult) => {
        results.push(result);
        ended ||= job !== undefined && options.onResult?.(result, results.length, job) === false;
        next();
      });
      worker.on("error", reject);
      next();
    });
  await Promise.all(Array.from({ length: Math.min(options.workers, jobs.length) }, thread));
  return results;
}

export type Totals = {
  seeds: number;
  sends: number;
  acks: number;
  refused: number;
  events: number;
  /** Virtual seconds. */
  seconds: number;
  hits: FaultCounts;
};

export function total(results: readonly SeedResult[]): Totals {
  const hits = noFaults();
  const totals = { seeds: results.length, sends: 0, acks: 0, refused: 0, events: 0, seconds: 0, hits };
  for (const result of results) {
    totals.sends += result.sends;
    totals.acks += result.acks;
    totals.refused += result.refused;
    totals.events += result.events;
    totals.seconds += result.seconds;
    for (const name of FAULT_NAMES) {
      hits[name] += result.hits[name];
    }
  }
  return totals;
}

/** A failed seed as a person reads it: itself, the event, and what came before. */
export function describeFailure({ seed, wanted, failure }: SeedResult): string {
  return failure === undefined
    ? `seed ${seed}: nothing wrong`
    : [
        `seed ${seed} of ${wanted} sends broke "${failure.oracle}" at event ${failure.event}:`,
        failure.detail,
        "the last events before it:",
        ...failure.history,
        `again: npm run simulate -- --seed ${seed} --seeds 1 --sends ${wanted}`,
      ].join("\n");
}

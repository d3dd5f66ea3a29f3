/** A thread of the farm: seeds come in, results go out. */
import { parentPort } from "node:worker_threads";
import type { Job } from "./farm.ts";
import { PLANTED_BUGS } from "./plantedBugs.ts";
import { runSeed, type SeedResult } from "./runSeed.ts";

/** The seeds of a job, one after the other, until one fails. */
function perform({ seed, sends, seeds = 1, bug }: Job): SeedResult {
  const plant = bug === undefined ? undefined : PLANTED_BUGS[bug]?.plant;
  if (bug !== undefined && plant === undefined) {
    throw new Error(`no planted bug is called "${bug}"`);
  }
  for (let n = 0; ; n++) {
    const result = runSeed(seed + n, sends, plant === undefined ? {} : { plant });
    if (result.failure !== undefined || n + 1 >= seeds) {
      return result;
    }
  }
}

parentPort?.on("message", (job: Job) => parentPort?.postMessage(perform(job)));

/** A thread of the farm: seeds come in, results go out. */
import { parentPort } from "node:worker_threads";
import type { Job } from "./farm.ts";
import { PLANTED_BUGS } from "./plantedBugs.ts";
import { runSeed } from "./runSeed.ts";

parentPort?.on("message", ({ seed, sends, bug }: Job) => {
  const plant = bug === undefined ? undefined : PLANTED_BUGS[bug]?.plant;
  if (bug !== undefined && plant === undefined) {
    throw new Error(`no planted bug is called "${bug}"`);
  }
  parentPort?.postMessage(runSeed(seed, sends, plant === undefined ? {} : { plant }));
});

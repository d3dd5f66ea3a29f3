/** Plants every bug in turn, and looks how many seeds it takes until an oracle falls. */
import { farm, SENDS_A_SEED, type Job } from "./farm.ts";
import { PLANTED_BUGS } from "./plantedBugs.ts";
import type { Caught } from "./report.ts";

/** Seeds in which a bug must be caught: the first ones, which the system as it is passes (a million sends are 2,500 of them). */
export const PLANT_SEEDS = 1_500;

export async function plantAll(workers: number): Promise<{ caught: Caught[]; survived: string[] }> {
  const names = Object.keys(PLANTED_BUGS);
  const jobs = names.map((bug): Job => ({ seed: 1, seeds: PLANT_SEEDS, sends: SENDS_A_SEED, bug }));
  const found = new Map<string, Caught>();
  await farm(jobs, {
    workers,
    onResult({ seed, failure }, _done, { bug = "" }) {
      if (failure !== undefined) {
        found.set(bug, { name: bug, what: PLANTED_BUGS[bug]?.what ?? "", oracle: failure.oracle, seeds: seed });
      }
    },
  });
  return {
    caught: names.flatMap((name) => found.get(name) ?? []),
    survived: names.filter((name) => !found.has(name)),
  };
}

/** Plants every bug in turn, and looks how many seeds it takes until an oracle falls. */
import { farm } from "./farm.ts";
import { PLANTED_BUGS } from "./plantedBugs.ts";
import type { Caught } from "./report.ts";

/** Short seeds, many of them: a bug needs the right company of faults, not a long run. */
const SENDS = 500;
export const PLANT_SEEDS = 1_500;

export async function plantAll(workers: number): Promise<{ caught: Caught[]; survived: string[] }> {
  const caught: Caught[] = [];
  const survived: string[] = [];
  for (const [name, { what }] of Object.entries(PLANTED_BUGS)) {
    const jobs = Array.from({ length: PLANT_SEEDS }, (_, n) => ({ seed: n + 1, sends: SENDS, bug: name }));
    let oracle: string | undefined;
    const results = await farm(jobs, {
      workers,
      onResult(result) {
        oracle ??= result.failure?.oracle;
        return oracle === undefined;
      },
    });
    if (oracle === undefined) {
      survived.push(name);
    } else {
      caught.push({ name, what, oracle, seeds: results.length });
    }
  }
  return { caught, survived };
}

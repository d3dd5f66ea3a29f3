/**
 * `npm run simulate`: many seeds, every planted bug, and docs/simulation.md. A seed that breaks an
 * oracle prints itself, the event and what came before, and the run exits with 1.
 *
 * Options: --seed N (first), --seeds N, --sends N a seed, --workers N, --total N (sends in all, instead of --seeds).
 * With --seeds 1 only that seed is run, and no page is written.
 */
import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { describeFailure, farm, SENDS_A_SEED, total } from "./farm.ts";
import { plantAll } from "./planting.ts";
import { renderSimulation } from "./report.ts";

const PAGE = join(import.meta.dirname, "../../docs/simulation.md");
const TEN_MILLION = 10_000_000;
/** A line of progress so often. */
const PROGRESS_RESULTS = 2_000;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    seeds: { type: "string" },
    sends: { type: "string", default: String(SENDS_A_SEED) },
    total: { type: "string", default: String(TEN_MILLION) },
    workers: { type: "string", default: String(Math.min(2, availableParallelism())) },
  },
});
const firstSeed = Number(values.seed);
const sends = Number(values.sends);
const seeds = values.seeds === undefined ? Math.ceil(Number(values.total) / sends) : Number(values.seeds);
const workers = Number(values.workers);

const began = performance.now();
const jobs = Array.from({ length: seeds }, (_, n) => ({ seed: firstSeed + n, sends }));
const results = await farm(jobs, {
  workers,
  onResult(result, done) {
    if (result.failure !== undefined) {
      console.error(describeFailure(result));
    }
    if (done % PROGRESS_RESULTS === 0) {
      console.log(`${done} of ${seeds} seeds`);
    }
  },
});
const ms = performance.now() - began;
const totals = total(results);
const failures = results.filter((result) => result.failure !== undefined).map(describeFailure);
console.log(
  `${totals.seeds} seeds, ${totals.sends} sends, ${totals.acks} acks in ${(ms / 1000).toFixed(1)} s; failed: ${failures.length}`,
);
if (seeds > 1) {
  const { caught, survived } = await plantAll(workers);
  console.log(`planted bugs: ${caught.length} caught, ${survived.length} survived ${survived.join(", ")}`);
  writeFileSync(PAGE, renderSimulation({ totals, workers, firstSeed, ms, failures, caught, survived }));
  console.log("written: docs/simulation.md");
  process.exitCode = survived.length === 0 ? 0 : 1;
}
if (failures.length > 0) {
  process.exitCode = 1;
}

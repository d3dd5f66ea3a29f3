/**
 * `npm run simulate`: many seeds, every planted bug, and docs/simulation.md. A seed that breaks an
 * oracle prints itself, the event and what came before, and the run exits with 1.
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

const HELP = `npm run simulate -- [options]
  --total N     sends in all, default ${TEN_MILLION.toLocaleString("en-US")}
  --sends N     sends a seed, default ${SENDS_A_SEED}
  --seed N      the first seed, default 1
  --seeds N     so many seeds, instead of --total; with 1 only that seed runs, and no page is written
  --workers N   threads, default 2 or as many as there are cores`;

const { firstSeed, sends, seeds, workers } = readOptions();

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

/** Reads the command line. Ends the process with the help text when it is wrong or asked for. */
function readOptions(): { firstSeed: number; sends: number; seeds: number; workers: number } {
  try {
    const { values } = parseArgs({
      options: {
        seed: { type: "string", default: "1" },
        seeds: { type: "string" },
        sends: { type: "string", default: String(SENDS_A_SEED) },
        total: { type: "string", default: String(TEN_MILLION) },
        workers: { type: "string", default: String(Math.min(2, availableParallelism())) },
        help: { type: "boolean", default: false },
      },
    });
    if (!values.help) {
      const each = whole("sends", values.sends);
      const seedCount =
        values.seeds === undefined ? Math.ceil(whole("total", values.total) / each) : whole("seeds", values.seeds);
      return {
        firstSeed: whole("seed", values.seed),
        sends: each,
        seeds: seedCount,
        workers: whole("workers", values.workers),
      };
    }
    console.log(HELP);
    return process.exit(0);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${HELP}`);
    return process.exit(1);
  }
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new Error(`--${name} must be a whole number from 1`);
  }
  return value;
}

/**
 * `npm run test:chaos`: the fault run, long. First the server is killed, in rounds that each begin with an empty state folder and
 * another seed; then SQL, the cache and the bus are away, one after the other. Writes docs/faults.md, also when something is
 * found; exits 1 then.
 *
 * Options: --rounds N (default 3), --kills N a round (default 10), --seed S of the first round, --outage-seconds N (default 8) that
 * each dependency is away, --only kills or --only outages: that part, the other stays in the page as it is.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runChaos, type ChaosReport, type KillKind } from "./chaos.ts";
import { runOutages } from "./outages.ts";
import { renderFaults, renderKills, renderOutages, wrongIn, wrongInOutages } from "./report.ts";

const PAGE = join(import.meta.dirname, "../../docs/faults.md");
const PARTS = ["kills", "outages"];
/** Every kind in turn: most kills are whole, as in a power cut. */
const KINDS: readonly KillKind[] = ["group", "parent", "startup", "group", "startupParent"];
const CALM_MS = { min: 1_000, max: 6_000 };

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    kills: { type: "string", default: "10" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    "outage-seconds": { type: "string", default: "8" },
    only: { type: "string" },
  },
});
const firstSeed = Number(values.seed);
const { only } = values;
if (only !== undefined && !PARTS.includes(only)) {
  throw new Error(`--only ${only}: there are ${PARTS.join(" and ")}`);
}
const log = (line: string): void => console.log(`  ${line}`);

let wrong = 0;
const parts: Parameters<typeof renderFaults>[0] = {};
if (only !== "outages") {
  const reports = await runKills();
  wrong += reports.reduce((sum, report) => sum + wrongIn(report), 0);
  parts.kills = renderKills(reports);
}
if (only !== "kills") {
  const report = await runOutages({ seed: firstSeed, lastMs: Number(values["outage-seconds"]) * 1_000, log });
  wrong += wrongInOutages(report);
  parts.outages = renderOutages(report);
}
writeFileSync(PAGE, renderFaults(parts, existsSync(PAGE) ? readFileSync(PAGE, "utf8") : ""));
console.log(`wrong: ${wrong}; written: docs/faults.md`);
process.exit(wrong === 0 ? 0 : 1);

async function runKills(): Promise<ChaosReport[]> {
  const rounds = Number(values.rounds);
  const kills = Array.from({ length: Number(values.kills) }, (_, n) => KINDS[n % KINDS.length] ?? "group");
  const reports: ChaosReport[] = [];
  for (let round = 0; round < rounds; round++) {
    const seed = firstSeed + round;
    console.log(`round ${round + 1} of ${rounds}, seed ${seed}`);
    const report = await runChaos({ seed, kills, calmMs: CALM_MS, log });
    log(`${report.sends} sends, ${report.acks} acks, ${report.messages} messages; wrong: ${wrongIn(report)}`);
    report.examples.forEach(log);
    reports.push(report);
  }
  return reports;
}

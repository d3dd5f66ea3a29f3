/**
 * `npm run test:chaos`: the fault run, long. Each round begins with an empty state folder and another
 * seed. Writes docs/faults.md, also when something is found; exits 1 then.
 *
 * Options: --rounds N (default 3), --kills N a round (default 10), --seed S of the first round.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runChaos, type ChaosReport, type KillKind } from "./chaos.ts";
import { renderFaults, wrongIn } from "./report.ts";

const PAGE = join(import.meta.dirname, "../../docs/faults.md");
/** Every kind in turn: most kills are whole, as in a power cut. */
const KINDS: readonly KillKind[] = ["group", "parent", "startup", "group", "startupParent"];
const CALM_MS = { min: 1_000, max: 6_000 };

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    kills: { type: "string", default: "10" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
const rounds = Number(values.rounds);
const kills = Array.from({ length: Number(values.kills) }, (_, n) => KINDS[n % KINDS.length] ?? "group");

const reports: ChaosReport[] = [];
for (let round = 0; round < rounds; round++) {
  const seed = Number(values.seed) + round;
  console.log(`round ${round + 1} of ${rounds}, seed ${seed}`);
  const report = await runChaos({ seed, kills, calmMs: CALM_MS, log: (line) => console.log(`  ${line}`) });
  console.log(`  ${report.sends} sends, ${report.acks} acks, ${report.messages} messages; wrong: ${wrongIn(report)}`);
  report.examples.forEach((example) => console.log(`  ${example}`));
  reports.push(report);
}
writeFileSync(PAGE, renderFaults(reports));
const wrong = reports.reduce((sum, report) => sum + wrongIn(report), 0);
console.log(`${reports.length} rounds, wrong: ${wrong}; written: docs/faults.md`);
process.exit(wrong === 0 ? 0 : 1);

/**
 * `npm test`: everything that must hold, cheapest first, as CI runs it. Each step is an npm script of its own, and
 * `npm test -- lint unit` runs only those. All steps run even when one fails; the last line sums the tests up, where a
 * step that is not made of tests counts as one failure when it fails.
 */
import { interruptRun, type Outcome, runCheck, runProject, summarize } from "./testRuns.ts";

const CHECKS = ["format", "lint", "types", "drift", "docs:links"];
/** Projects of vitest.config.ts that take all that the machine has. */
const BUSY = ["unit", "workers"];
/** One after the other. Its tests wait more than they work: what they leave of the machine is enough for those beside them. */
const WAITING = ["e2e", "chaos"];
/** With no more of the machine than nobody else wants. */
const BESIDE = ["simulation"];

const known = [...CHECKS, ...BUSY, ...BESIDE, ...WAITING];
const asked = process.argv.slice(2);
const unknown = asked.filter((step) => !known.includes(step));
if (unknown.length > 0) {
  console.error(`No such step: ${unknown.join(", ")}. There are: ${known.join(", ")}.`);
  process.exit(1);
}

process.on("SIGTERM", interruptRun);
const wanted = (steps: readonly string[]): string[] =>
  steps.filter((step) => asked.length === 0 || asked.includes(step));
const outcomes: Outcome[] = [];
for (const step of wanted(CHECKS)) {
  outcomes.push(await runCheck(step, "npm", ["run", "--silent", step]));
}
for (const step of wanted(BUSY)) {
  outcomes.push(await runProject(step));
}
// Alone it speaks as it goes, and takes what it can.
const aside = wanted(WAITING).length > 0;
const beside = wanted(BESIDE).map((step) => runProject(step, { aside, modest: aside }));
for (const step of wanted(WAITING)) {
  outcomes.push(await runProject(step));
}
outcomes.push(...(await Promise.all(beside)));
process.exitCode = summarize(outcomes).failed === 0 ? 0 : 1;

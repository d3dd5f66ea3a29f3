/**
 * `npm test`: everything that must hold, cheapest first, as CI runs it. Each step is an npm script of its own, and
 * `npm test -- lint unit` runs only those. All steps run even when one fails; the last line sums the tests up, where a
 * step that is not made of tests counts as one failure when it fails.
 */
import { interruptRun, runCheck, runProject, summarize } from "./testRuns.ts";

const CHECKS = ["format", "lint", "types", "drift", "docs:links"];
/** Projects of vitest.config.ts. */
const PROJECTS = ["unit", "workers", "simulation", "e2e", "chaos"];

const known = [...CHECKS, ...PROJECTS];
const asked = process.argv.slice(2);
const unknown = asked.filter((step) => !known.includes(step));
if (unknown.length > 0) {
  console.error(`No such step: ${unknown.join(", ")}. There are: ${known.join(", ")}.`);
  process.exit(1);
}

process.on("SIGTERM", interruptRun);
const outcomes = [];
for (const step of known.filter((one) => asked.length === 0 || asked.includes(one))) {
  outcomes.push(await (PROJECTS.includes(step) ? runProject(step) : runCheck(step, "npm", ["run", "--silent", step])));
}
process.exitCode = summarize(outcomes).failed === 0 ? 0 : 1;

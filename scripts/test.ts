/**
 * `npm test`: everything that must hold, cheapest first, as CI runs it. Each step is an npm script of its own, and
 * `npm test -- lint unit` runs only those. All steps run even when one fails; the last line sums the tests up, where a
 * step that is not made of tests counts as one failure when it fails.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..");

const CHECKS = ["format", "lint", "types", "drift", "docs:links"];
/** Projects of vitest.config.ts. */
const PROJECTS = ["unit", "workers", "simulation", "e2e", "chaos"];

interface Outcome {
  readonly step: string;
  readonly passed: number;
  readonly failed: number;
  readonly seconds: number;
}

const known = [...CHECKS, ...PROJECTS];
const asked = process.argv.slice(2);
const unknown = asked.filter((step) => !known.includes(step));
if (unknown.length > 0) {
  console.error(`No such step: ${unknown.join(", ")}. There are: ${known.join(", ")}.`);
  process.exit(1);
}

const reports = mkdtempSync(join(tmpdir(), "gochat-reports-"));
const outcomes: Outcome[] = [];
for (const step of known.filter((one) => asked.length === 0 || asked.includes(one))) {
  console.log(`\n=== ${step}`);
  const began = performance.now();
  const counts = PROJECTS.includes(step) ? await runProject(step) : await runCheck(step);
  outcomes.push({ step, ...counts, seconds: (performance.now() - began) / 1000 });
}
rmSync(reports, { recursive: true, force: true });

console.log("\n=== summary");
for (const { step, passed, failed, seconds } of outcomes) {
  const tests = PROJECTS.includes(step) ? `, ${passed} passed, ${failed} failed` : "";
  console.log(`${failed === 0 ? "ok    " : "FAILED"} ${step} (${seconds.toFixed(1)} s${tests})`);
}
const passedInAll = outcomes.reduce((sum, one) => sum + one.passed, 0);
const failedInAll = outcomes.reduce((sum, one) => sum + one.failed, 0);
console.log(`${passedInAll} passed, ${failedInAll} failed`);
process.exitCode = failedInAll === 0 ? 0 : 1;

async function runCheck(script: string): Promise<{ passed: number; failed: number }> {
  return { passed: 0, failed: (await run("npm", ["run", "--silent", script])) === 0 ? 0 : 1 };
}

async function runProject(project: string): Promise<{ passed: number; failed: number }> {
  const report = join(reports, `${project}.json`);
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const code = await run(join(ROOT, "node_modules/.bin/vitest"), ["run", "--project", project, ...reporters]);
  const { numPassedTests: passed, numFailedTests: failed } = countsIn(report);
  // A file that cannot be loaded, an error outside of any test, a run without a report: no test failed, and yet.
  return { passed, failed: code !== 0 && failed === 0 ? 1 : failed };
}

function countsIn(report: string): { numPassedTests: number; numFailedTests: number } {
  try {
    return JSON.parse(readFileSync(report, "utf8"));
  } catch {
    return { numPassedTests: 0, numFailedTests: 0 };
  }
}

async function run(command: string, args: string[]): Promise<number | null> {
  const child = spawn(command, args, { cwd: ROOT, stdio: ["ignore", "inherit", "inherit"] });
  const forward = (signal: NodeJS.Signals): boolean => child.kill(signal);
  process.on("SIGTERM", forward);
  const [code] = await once(child, "exit");
  process.off("SIGTERM", forward);
  return typeof code === "number" ? code : null;
}

/**
 * `npm test`: everything that must hold, cheapest first, as CI runs it. Each step is an npm script of its own, and
 * `npm test -- lint unit` runs only those. All steps run even when one fails; the last line sums the tests up, where a
 * step that is not made of tests counts as one failure when it fails.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";

const ROOT = join(import.meta.dirname, "..");

const CHECKS = ["format", "lint", "types", "drift", "docs:links"];
/** Projects of vitest.config.ts. */
const PROJECTS = ["unit", "workers", "simulation", "e2e", "chaos"];

interface Outcome {
  readonly step: string;
  readonly passed: number;
  readonly failed: number;
  readonly seconds: number;
  /** Each failed test as `file > name: first line of the error`. */
  readonly failures: readonly string[];
}

/** What of vitest's JSON report is read here. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly { fullName: string; status: string; failureMessages: readonly string[] }[];
  }[];
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
for (const failure of outcomes.flatMap((one) => one.failures)) {
  console.log(`- ${failure}`);
}
console.log(`${passedInAll} passed, ${failedInAll} failed`);
process.exitCode = failedInAll === 0 ? 0 : 1;

async function runCheck(script: string): Promise<Omit<Outcome, "step" | "seconds">> {
  return { passed: 0, failed: (await run("npm", ["run", "--silent", script])) === 0 ? 0 : 1, failures: [] };
}

async function runProject(project: string): Promise<Omit<Outcome, "step" | "seconds">> {
  const file = join(reports, `${project}.json`);
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
  const code = await run(join(ROOT, "node_modules/.bin/vitest"), ["run", "--project", project, ...reporters]);
  const report = reportIn(file);
  const { numPassedTests: passed, numFailedTests: failed } = report;
  // A file that cannot be loaded, an error outside of any test, a run without a report: no test failed, and yet.
  return { passed, failed: code !== 0 && failed === 0 ? 1 : failed, failures: failuresIn(report) };
}

function reportIn(file: string): Report {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return { numPassedTests: 0, numFailedTests: 0, testResults: [] };
  }
}

function failuresIn({ testResults }: Report): string[] {
  return testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = relative(ROOT, name);
    const failed = assertionResults.filter((one) => one.status === "failed");
    if (failed.length === 0) {
      return status === "failed" ? [`${file}: ${firstLine(message)}`] : [];
    }
    return failed.map((one) => `${file} > ${one.fullName}: ${firstLine(one.failureMessages[0] ?? "")}`);
  });
}

function firstLine(text: string): string {
  return (text.split("\n")[0] ?? "").slice(0, 300);
}

async function run(command: string, args: string[]): Promise<number | null> {
  const child = spawn(command, args, { cwd: ROOT, stdio: ["ignore", "inherit", "inherit"] });
  const forward = (signal: NodeJS.Signals): boolean => child.kill(signal);
  process.on("SIGTERM", forward);
  const [code] = await once(child, "exit");
  process.off("SIGTERM", forward);
  return typeof code === "number" ? code : null;
}

/** Runs of projects of vitest.config.ts as steps of a command, and their summary. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { constants, setPriority, tmpdir } from "node:os";
import { join, relative } from "node:path";

const ROOT = join(import.meta.dirname, "..");

export interface Outcome {
  readonly step: string;
  readonly passed: number;
  readonly failed: number;
  /** Otherwise it passes or fails as a whole. */
  readonly isTests: boolean;
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

export interface ProjectOptions {
  /** For vitest: names of files, or options of its own. */
  readonly args?: readonly string[];
  /** On top of this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** It runs beside another: what it says goes to the terminal when it has ended, in one piece. */
  readonly aside?: boolean;
  /** It gets no more of the processors than nobody else wants. */
  readonly modest?: boolean;
}

/** Runs a project; what it says goes to the terminal. */
export async function runProject(
  step: string,
  { args = [], env = {}, aside = false, modest = false }: ProjectOptions = {},
): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), "gochat-report-"));
  const file = join(folder, "report.json");
  const said = aside ? join(folder, "said.txt") : undefined;
  const began = begin(aside ? `${step}, beside the others; what it says comes when it has ended` : step);
  const vitest = join(ROOT, "node_modules/.bin/vitest");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
  const code = await run(vitest, ["run", "--project", step, ...reporters, ...args], env, { into: said, modest });
  const report = reportIn(file);
  if (said !== undefined) {
    process.stdout.write(`\n=== what ${step} said\n${readFileSync(said, "utf8")}`);
  }
  rmSync(folder, { recursive: true, force: true });
  const { numPassedTests: passed, numFailedTests } = report;
  // A file that cannot be loaded, an error outside of any test, a run without a report: no test failed, and yet.
  const failed = code !== 0 && numFailedTests === 0 ? 1 : numFailedTests;
  return { step, passed, failed, isTests: true, seconds: secondsSince(began), failures: failuresIn(report) };
}

/** Runs a step that is not made of tests: it counts as one failure when it fails. */
export async function runCheck(step: string, command: string, args: readonly string[]): Promise<Outcome> {
  const began = begin(step);
  const failed = (await run(command, args)) === 0 ? 0 : 1;
  return { step, passed: 0, failed, isTests: false, seconds: secondsSince(began), failures: [] };
}

/** One line for each step, one for each failed test, and the sum. */
export function summarize(outcomes: readonly Outcome[]): { passed: number; failed: number } {
  console.log("\n=== summary");
  for (const { step, passed, failed, isTests, seconds } of outcomes) {
    const tests = isTests ? `, ${passed} passed, ${failed} failed` : "";
    console.log(`${failed === 0 ? "ok    " : "FAILED"} ${step} (${seconds.toFixed(1)} s${tests})`);
  }
  const passed = outcomes.reduce((sum, one) => sum + one.passed, 0);
  const failed = outcomes.reduce((sum, one) => sum + one.failed, 0);
  for (const failure of outcomes.flatMap((one) => one.failures)) {
    console.log(`- ${failure}`);
  }
  console.log(`${passed} passed, ${failed} failed`);
  return { passed, failed };
}

function begin(step: string): number {
  console.log(`\n=== ${step}`);
  return performance.now();
}

function secondsSince(began: number): number {
  return (performance.now() - began) / 1000;
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

const running = new Set<ChildProcess>();

/** Asks what runs to end. */
export function interruptRun(): void {
  for (const child of running) {
    child.kill("SIGTERM");
  }
}

interface RunOptions {
  /** The file that takes what it says, instead of the terminal. */
  readonly into?: string | undefined;
  readonly modest?: boolean;
}

/** @returns its exit code; null when a signal ended it */
export async function run(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  { into, modest = false }: RunOptions = {},
): Promise<number | null> {
  const out = into === undefined ? "inherit" : openSync(into, "w");
  const child = spawn(command, args, { cwd: ROOT, stdio: ["ignore", out, out], env: { ...process.env, ...env } });
  if (typeof out === "number") {
    closeSync(out);
  }
  running.add(child);
  if (modest && child.pid !== undefined) {
    // What it starts inherits that.
    setPriority(child.pid, constants.priority.PRIORITY_LOW);
  }
  const [code] = await once(child, "exit");
  running.delete(child);
  return typeof code === "number" ? code : null;
}

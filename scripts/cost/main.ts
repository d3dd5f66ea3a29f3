/**
 * `npm run cost`: counts what each operation costs (test/workers/cost.test.ts) and writes docs/cost.md, also when a count is not
 * what the test expects; exits 1 then.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Counted } from "../../test/support/ledger.ts";
import { costPage } from "./page.ts";

const ROOT = join(import.meta.dirname, "../..");
const TEST = "test/workers/cost.test.ts";
const PAGE = "docs/cost.md";

/** As much of Vitest's JSON report as is read here. */
type Report = { testResults: { assertionResults: { meta: { counted?: Counted[] } }[] }[] };

const folder = mkdtempSync(join(tmpdir(), "gochat-cost-"));
const report = join(folder, "report.json");
const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
const run = spawnSync(join(ROOT, "node_modules/.bin/vitest"), ["run", "--project", "workers", TEST, ...reporters], {
  cwd: ROOT,
  stdio: ["ignore", "inherit", "inherit"],
});
const { testResults } = JSON.parse(readFileSync(report, "utf8")) as Report;
rmSync(folder, { recursive: true, force: true });
const counted = testResults.flatMap(({ assertionResults }) =>
  assertionResults.flatMap(({ meta }) => meta.counted ?? []),
);
writeFileSync(join(ROOT, PAGE), costPage(counted, `${new Date().toISOString().slice(0, 10)}, commit \`${commit()}\`.`));
console.log(`${counted.length} operations counted; written: ${PAGE}`);
process.exitCode = run.status === 0 ? 0 : 1;

function commit(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: ROOT, encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
}

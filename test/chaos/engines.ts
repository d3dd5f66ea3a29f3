/**
 * `npm run test:services -- faults`: the fault run on a real Kafka, MariaDB and Redis, long. Writes its part of docs/faults.md, also when
 * something is found; exits 1 then.
 *
 * Options: --seed S, --stop-seconds N (default 30) that Kafka is stopped, --away-seconds N (default 5) that what was killed stays away,
 * --calm-seconds N (default 5) of talk before and after each fault, --upstream direct or topic (default: one after the other),
 * --only "Redis killed" (any beginning of a fault's name; then the page is left as it is).
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ENGINE_FAULTS, runEngineFaults, type Upstream } from "./engineFaults.ts";
import { renderEngines, wrongInEngines } from "./engineReport.ts";
import { renderFaults } from "./report.ts";

const PAGE = join(import.meta.dirname, "../../docs/faults.md");
const UPSTREAMS: readonly Upstream[] = ["direct", "topic"];

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    "stop-seconds": { type: "string", default: "30" },
    "away-seconds": { type: "string", default: "5" },
    "calm-seconds": { type: "string", default: "5" },
    upstream: { type: "string" },
    only: { type: "string" },
  },
});
const upstreams = UPSTREAMS.filter((one) => values.upstream === undefined || values.upstream === one);
const only = ENGINE_FAULTS.filter((name) => name.toLowerCase().startsWith(values.only?.toLowerCase() ?? ""));
if (upstreams.length === 0 || only.length === 0) {
  throw new Error(`upstreams: ${UPSTREAMS.join(", ")}; faults: ${ENGINE_FAULTS.join("; ")}`);
}

const reports = [];
for (const upstream of upstreams) {
  console.log(`UPSTREAM=${upstream}, seed ${values.seed}`);
  const report = await runEngineFaults({
    seed: Number(values.seed),
    upstream,
    stopMs: Number(values["stop-seconds"]) * 1_000,
    awayMs: Number(values["away-seconds"]) * 1_000,
    calmMs: Number(values["calm-seconds"]) * 1_000,
    only,
    log: (line) => console.log(`  ${line}`),
  });
  report.examples.forEach((line) => console.log(`  ${line}`));
  reports.push(report);
}
if (only.length === ENGINE_FAULTS.length) {
  const engines = renderEngines(reports, Number(values["stop-seconds"]));
  writeFileSync(PAGE, renderFaults({ engines }, existsSync(PAGE) ? readFileSync(PAGE, "utf8") : ""));
  console.log("written: docs/faults.md");
}
const wrong = reports.reduce((sum, report) => sum + wrongInEngines(report), 0);
console.log(`wrong: ${wrong}`);
process.exit(wrong === 0 ? 0 : 1);

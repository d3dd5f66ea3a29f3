/** The page of a simulation run. Only the run writes it. */
import { execFileSync } from "node:child_process";
import { cpus } from "node:os";
import type { Totals } from "./farm.ts";
import { FAULT_NAMES, FAULTS } from "./faults.ts";

/** How a planted bug was caught. */
export type Caught = { name: string; what: string; oracle: string; seeds: number };

export type SimulationRun = {
  totals: Totals;
  workers: number;
  firstSeed: number;
  ms: number;
  failures: string[];
  caught: Caught[];
  survived: string[];
};

export function renderSimulation(run: SimulationRun): string {
  const { totals, ms } = run;
  const perSecond = Math.round(totals.sends / (ms / 1000));
  return `<!-- Written by \`npm run simulate\`. Do not edit. -->

# Simulation

The core that the objects run, and the client's core, in one thread with one seed and one event queue: rooms, user
objects, shards, devices, SQL, bus and cache as nodes, and every kind of fault between them. Oracles look on all the
time, and at the end all faults are healed and everybody must have everything, once, in order.

${new Date().toISOString().slice(0, 10)}, commit \`${commit()}\`, ${cpus().length} cores, ${run.workers} workers, Node ${process.versions.node}.

| | |
| --- | --- |
| seeds | ${number(totals.seeds)}, from ${run.firstSeed} on |
| sends | ${number(totals.sends)} |
| acknowledged / refused | ${number(totals.acks)} / ${number(totals.refused)} |
| events | ${number(totals.events)} |
| virtual time, hours | ${number(Math.round(totals.seconds / 3600))} |
| real time, s | ${(ms / 1000).toFixed(1)} (${number(perSecond)} sends a second) |
| seeds that broke an oracle | ${run.failures.length} |

## Faults

| Fault | What happens | Hit |
| --- | --- | --- |
${FAULT_NAMES.map((name) => `| ${name} | ${FAULTS[name]} | ${number(totals.hits[name])} |`).join("\n")}

## Planted bugs

${run.caught.length} of ${run.caught.length + run.survived.length} planted one-line bugs were caught. An oracle that never fails proves nothing.

| Planted | What is wrong then | Caught by the oracle | Seeds needed |
| --- | --- | --- | --- |
${run.caught.map((bug) => `| ${bug.name} | ${bug.what} | ${bug.oracle} | ${bug.seeds} |`).join("\n")}
${run.survived.map((name) => `| ${name} | | **survived** | |\n`).join("")}${failures(run.failures)}`;
}

function failures(texts: readonly string[]): string {
  return texts.length === 0 ? "" : `\n## Failures\n\n${texts.map((text) => `\`\`\`\n${text}\n\`\`\`\n`).join("\n")}`;
}

function number(value: number): string {
  return value.toLocaleString("en-US");
}

function commit(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
}

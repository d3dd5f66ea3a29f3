/** The page of a fault run. Only the run writes it. */
import { execFileSync } from "node:child_process";
import { cpus, totalmem } from "node:os";
import { PEOPLE } from "./talk.ts";
import type { ChaosReport, KillKind } from "./chaos.ts";

/** Everything of a report that must be nothing. */
const MUST_BE_ZERO = {
  lost: "acknowledged, and not in the history with the same id and sequence",
  twice: "the same text twice in one history",
  holes: "holes in the sequences of a history",
  differing: "histories, or received messages, that differ between two readers",
  missed: "messages of a history that a reader got neither by push nor by sync",
  repeated: "messages that a client showed twice",
  disordered: "messages that a client showed out of order",
  overtaken: "later sends of one person that stand before earlier ones of the same conversation",
  answeredOtherwise: "acknowledged sends that were sent once more and answered otherwise, or stored again",
  sqlDiffers: "conversations whose SQL rows differ from the room's log",
  gaps: "sequences that a client gave up asking for",
} as const satisfies Partial<Record<keyof ChaosReport, string>>;

/** How much of what must not be was found. */
export function wrongIn(report: ChaosReport): number {
  const counted = Object.keys(MUST_BE_ZERO).reduce((sum, key) => sum + report[key as keyof typeof MUST_BE_ZERO], 0);
  return counted + report.refused.length;
}

export function renderFaults(reports: readonly ChaosReport[]): string {
  const sum = (of: (report: ChaosReport) => number): number => reports.reduce((total, report) => total + of(report), 0);
  const kills = reports.flatMap((report) => report.kills);
  const killed = (kind: KillKind): number => kills.filter((kill) => kill.kind === kind).length;
  const zero = Object.entries(MUST_BE_ZERO).map(
    ([key, what]) => `| ${what} | ${sum((report) => report[key as keyof typeof MUST_BE_ZERO])} |`,
  );
  return `<!-- Written by \`npm run test:chaos\`. Do not edit. -->

# Faults

${PEOPLE} people talk without pause in ${Math.max(...reports.map((report) => report.conversations))} conversations (direct, groups, the world room) through the SDK, while the server is
killed with \`kill -9\` at random moments: Node and workerd together, the Node parent alone (workerd lives on and the next
start ends it), and again in the middle of a start. The clients reconnect and send again by themselves. Afterwards every
promise is checked against what every reader reads and what SQL holds.

${new Date().toISOString().slice(0, 10)}, commit \`${commit()}\`, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}, seeds ${reports.map((report) => report.seed).join(", ")}.
SIGKILL tests the process, not the power cord: what the kernel has taken survives it.

| | |
| --- | --- |
| rounds | ${reports.length} |
| kills: everything at once | ${killed("group")} |
| kills: the Node parent alone | ${killed("parent")} |
| kills: everything, and the next start in its middle | ${killed("startup")} |
| kills: everything, and of the next start Node alone | ${killed("startupParent")} |
| sends that waited for their acknowledgement at a kill, all together | ${kills.reduce((total, kill) => total + kill.waiting, 0)} |
| sends | ${sum((report) => report.sends)} |
| sent again by the clients | ${sum((report) => report.resends)} |
| acknowledged | ${sum((report) => report.acks)} |
| messages in the histories | ${sum((report) => report.messages)} |
| ready again after a kill, median / longest, s | ${spread(kills.map((kill) => kill.readyAfterMs))} |
| first acknowledgement after a kill, median / longest, s | ${spread(kills.map((kill) => kill.ackAfterMs))} |
| all ${PEOPLE} clients connected after a kill, unless the next came first, median / longest, s | ${spread(kills.flatMap((kill) => kill.allBackAfterMs ?? []))} |
| everything answered and received after the talk, longest, s | ${seconds(Math.max(...reports.map((report) => report.settledAfterMs)))} |
| SQL equal to the logs after that, longest, s | ${seconds(Math.max(...reports.map((report) => report.sqlEqualAfterMs)))} |

| What must not be | Found |
| --- | --- |
${zero.join("\n")}
| sends that a client gave up | ${sum((report) => report.refused.length)} |
${logged(reports)}${examples(reports)}`;
}

/** What the servers logged as errors: a kill is no reason to write one. */
function logged(reports: readonly ChaosReport[]): string {
  const lines = reports.flatMap((report) => [...report.errorLines].map(([text, count]) => `- ${count} × ${text}`));
  return lines.length === 0
    ? "\nThe servers logged no error.\n"
    : `\nErrors in the servers' logs:\n\n${lines.join("\n")}\n`;
}

function examples(reports: readonly ChaosReport[]): string {
  const lines = reports.flatMap((report) => [...report.examples, ...report.refused].map((line) => `- ${line}`));
  return lines.length === 0 ? "" : `\nExamples:\n\n${lines.slice(0, 20).join("\n")}\n`;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function spread(values: readonly number[]): string {
  return `${seconds(median(values))} / ${seconds(Math.max(0, ...values))}`;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}

function commit(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
}

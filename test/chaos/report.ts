/** The page of a fault run. Only the run writes it. */
import { execFileSync } from "node:child_process";
import { cpus, totalmem } from "node:os";
import { SLOW_MS } from "../../src/platform/faults.ts";
import type { Outage, OutageReport } from "./outages.ts";
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

/** How much went wrong while dependencies were away. */
export function wrongInOutages({ outages }: OutageReport): number {
  return outages.reduce(
    (sum, { wrong, refused }) => sum + refused + Object.values(wrong).reduce((a, b) => a + b, 0),
    0,
  );
}

/** How much of what must not be was found. */
export function wrongIn(report: ChaosReport): number {
  const counted = Object.keys(MUST_BE_ZERO).reduce((sum, key) => sum + report[key as keyof typeof MUST_BE_ZERO], 0);
  return counted + report.refused.length;
}

const KILLS = "## Killed with -9";
const OUTAGES = "## SQL, cache and bus away";
export const ENGINES = "## On Kafka, MySQL and Redis";

/** The page; a part that this run did not make stays as an earlier run has left it. */
export function renderFaults(parts: { kills?: string; outages?: string; engines?: string }, before: string): string {
  const kills = parts.kills ?? partOf(before, KILLS);
  const outages = parts.outages ?? partOf(before, OUTAGES);
  const engines = parts.engines ?? partOf(before, ENGINES);
  const all = [kills, outages, engines].filter((part) => part !== undefined);
  return `<!-- Written by \`npm run test:chaos\` and \`npm run test:services -- faults\`. Do not edit. -->

# Faults

${all.map((part) => `${part.trimEnd()}\n`).join("\n")}`;
}

function partOf(page: string, title: string): string | undefined {
  const from = page.indexOf(`${title}\n`);
  const to = page.indexOf("\n## ", from + 1);
  return from < 0 ? undefined : page.slice(from, to < 0 ? undefined : to + 1);
}

/** Killed with -9. */
export function renderKills(reports: readonly ChaosReport[]): string {
  const sum = (of: (report: ChaosReport) => number): number => reports.reduce((total, report) => total + of(report), 0);
  const kills = reports.flatMap((report) => report.kills);
  const killed = (kind: KillKind): number => kills.filter((kill) => kill.kind === kind).length;
  const zero = Object.entries(MUST_BE_ZERO).map(
    ([key, what]) => `| ${what} | ${sum((report) => report[key as keyof typeof MUST_BE_ZERO])} |`,
  );
  return `${KILLS}

${PEOPLE} people talk without pause in ${Math.max(...reports.map((report) => report.conversations))} conversations (direct, groups, the world room) through the SDK, while the server is
killed with \`kill -9\` at random moments: Node and workerd together, the Node parent alone (workerd lives on and the next
start ends it), and again in the middle of a start. The clients reconnect and send again by themselves. Afterwards every
promise is checked against what every reader reads and what SQL holds.

${conditions()}, seeds ${reports.map((report) => report.seed).join(", ")}.
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

const NAMES: Record<Outage["dependency"], string> = { sql: "SQL", cache: "cache", bus: "bus" };
const MODES: Record<Outage["mode"], string> = {
  fail: "refuses",
  hang: "never answers",
  slow: `answers ${SLOW_MS} ms late`,
};

/** SQL, the cache and the bus away, one after the other. */
export function renderOutages({ outages, seed, lastMs, messages, examples: found }: OutageReport): string {
  const rows = outages.map(({ dependency, mode, accepted, refused, lists, logins, caughtUpAfterMs, wrong }) => {
    const { lost, twice, ...rest } = wrong;
    const others = Object.values(rest).reduce((sum, count) => sum + count, 0);
    const asked = lists.whole + lists.degraded + lists.failed;
    const cells = [
      NAMES[dependency],
      MODES[mode],
      accepted,
      refused,
      lost,
      twice,
      others,
      `${lists.degraded} / ${lists.failed} of ${asked}`,
      seconds(lists.slowestMs),
      `${logins.later} / ${logins.other} of ${asked}`,
      seconds(caughtUpAfterMs),
    ];
    return `| ${cells.join(" | ")} |`;
  });
  return `${OUTAGES}

${PEOPLE} people talk through the SDK, each a send after the other, while one dependency is made to fail for ${seconds(lastMs)} s and comes
back; the server and the people stay the same throughout. Somebody else reads a list and logs in all the while. After each, when everything
has caught up, every promise is checked as above, against what every reader reads, was shown, and what SQL holds.

${conditions()}, seed ${seed}; ${messages} messages in the histories at the end.

| | | sends accepted | given up | lost | twice | otherwise wrong | lists degraded / refused | slowest list, s | log-ins told to come later / refused otherwise | caught up after, s |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
${rows.join("\n")}

Otherwise wrong: holes in a history, histories or received messages that differ between readers, messages that somebody got neither by push
nor by sync, that a client showed twice or out of order, rows of SQL that differ from the log. Caught up: lists are whole, log-ins work, breakers are closed,
and nothing waits for SQL or for a consumer any more.
${found.length === 0 ? "" : `\nExamples:\n\n${found.map((line) => `- ${line}`).join("\n")}\n`}`;
}

export function conditions(): string {
  const day = new Date().toISOString().slice(0, 10);
  return `${day}, commit \`${commit()}\`, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`;
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

export function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}

function commit(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
}

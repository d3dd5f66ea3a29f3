/** From results to docs/performance.md. */
import { judge } from "./goals.ts";
import type { AckResult } from "./load/acks.ts";
import type { FsyncCost, Machine } from "./meters.ts";
import type { Options } from "./options.ts";
import { meaning, peers } from "./prose.ts";
import { onEngines } from "./engines/section.ts";
import { intoSql } from "./persist/section.ts";
import { IN_FLIGHT, type Plan, STORM_AT_ONCE, WORLD_RATES } from "./plan.ts";
import { shapeOf } from "./series.ts";
import type { Results } from "./suites.ts";
import { compare, cores, number, ourFigure, show, table } from "./table.ts";

const KIB = 1024;
const MIB = KIB ** 2;
const US_PER_S = 1_000_000;

export interface Run {
  readonly options: Options;
  readonly begun: Date;
  readonly machine: Machine;
  readonly fsync: { readonly before: FsyncCost; readonly after: FsyncCost };
  readonly results: Results;
}

/** The page, in Markdown. Workloads that the run left out are left out of it. */
export function writePage(run: Run): string {
  const { results } = run;
  const { plan } = run.options;
  const measured = (heading: string, text: string): string[] => (text === "" ? [] : [heading, text]);
  return [
    "<!-- Written by `npm run bench`. Do not edit by hand. -->",
    "# Performance",
    intro(run),
    "## Targets",
    goals(results, plan),
    ...results.failures.map((failure) => `**Could not be carried through:** ${failure}`),
    ...measured("## Direct messages", direct(results, plan)),
    ...measured("## Groups", groups(results, plan)),
    ...measured("## What an object for each user costs", shape(results, plan)),
    ...measured(`## World room, ${number(plan.world.readers)} readers`, world(results)),
    ...measured("## Idle sockets and connect storm", idle(results, plan)),
    ...measured("## Into SQL", intoSql(results.persist, plan.persist)),
    ...measured("## On Kafka, MariaDB and Redis", onEngines(results.engines, plan)),
    ...measured("## Other flows", flows(results, plan)),
    ...measured("## Counts", counts(results, plan)),
    "## Other servers",
    peers(),
    "## What the figures mean",
    meaning(plan),
    "",
  ].join("\n\n");
}

function intro({ options, begun, machine, fsync }: Run): string {
  const cost = ({ p50Ms, p99Ms }: FsyncCost): string => `${number(p50Ms)} ms (P99 ${number(p99Ms)})`;
  const warning = options.quick
    ? "**A quick run: short spans, one repetition. It shows that the benchmark works; no figure counts.**\n\n"
    : "";
  return `${warning}\`npm run bench\` on ${begun.toISOString().slice(0, 10)}, commit ${machine.commit}. ${machine.cores} cores (${machine.processor}), ${machine.memoryGib.toFixed(0)} GiB, Linux
${machine.kernel}; Node ${machine.node}, workerd ${machine.workerd}, miniflare ${machine.miniflare}, ws ${machine.ws}. **Server and load client share the cores.** An fsync of 4 KiB
in the folder of the state took ${cost(fsync.before)} before the run and ${cost(fsync.after)} after it; every durable acknowledgement waits for at least one.

Each workload ran ${options.plan.repetitions === 1 ? "once" : `at least ${options.plan.repetitions} times`}, ours and the baseline in turn, never both at a time. A figure is the median of the repetitions, with the least and the greatest
in brackets. Repetitions in which other programs used more than 0.3 cores are left out when there are two without; otherwise all are in and the figure has a \`~\`: read it as an
order of magnitude. The baseline is [bench/baseline/worker.ts](../bench/baseline/worker.ts): bare objects in the same version of workerd, without accounts, order, history or
resends. A ratio compares repetitions that ran one after the other. "Cores" is processor time per second: of workerd, of the load client, and of everything else on the machine.`;
}

function goals(results: Results, plan: Plan): string {
  const rows = judge(results, plan).map(({ what, wanted, measured, rough, met, note }) => [
    what,
    wanted,
    measured === undefined ? "not measured" : show(measured, rough) + (note === undefined ? "" : ` (${note})`),
    measured === undefined ? "–" : met ? "met" : "**not met**",
  ]);
  return table(["", "target", "measured", ""], rows);
}

function direct({ acks }: Results, plan: Plan): string {
  const [alone, pairs] = [acks.chosen("direct"), acks.chosen("pairs")];
  const cost = (result: AckResult): number => (result.load.server / result.acksPerSecond) * US_PER_S;
  const rows = [
    ...(alone.ours.length === 0
      ? []
      : [
          ["1 in flight: ack P50, ms", ...compare(alone, (run) => run.ack.p50Ms)],
          ["ack P99, ms", ...compare(alone, (run) => run.ack.p99Ms)],
          ["server, µs of processor a message", ...compare(alone, cost)],
        ]),
    ...(pairs.ours.length === 0
      ? []
      : [
          [`${plan.pairs} pairs: acks/s`, ...compare(pairs, (run) => run.acksPerSecond)],
          ["ack P50, ms", ...compare(pairs, (run) => run.ack.p50Ms)],
          ["ack P99, ms", ...compare(pairs, (run) => run.ack.p99Ms)],
          ["server, µs of processor a message", ...compare(pairs, cost)],
        ]),
  ];
  const others = [
    { what: "1 in flight", chosen: alone },
    { what: `${plan.pairs} pairs`, chosen: pairs },
  ]
    .filter(({ chosen }) => chosen.ours.length > 0)
    .map(({ what, chosen }) => [
      what,
      ourFigure(chosen, (run) => run.delivery.p50Ms),
      ourFigure(chosen, (run) => run.delivery.p99Ms),
      ourFigure(chosen, (run) => run.confirmedAfterMs),
      cores(chosen.ours),
      cores(chosen.bare),
    ]);
  const head = [
    "",
    "at the other user P50, ms",
    "P99, ms",
    "all in SQL after the last ack, ms",
    CORES_OURS,
    CORES_BARE,
  ];
  return rows.length === 0
    ? ""
    : `${table(["", "ours", "bare object, one row a message", "ratio"], rows)}\n\n${table(head, others)}`;
}

function groups({ groups: series }: Results, plan: Plan): string {
  const rows = plan.groupSizes
    .flatMap((size) => IN_FLIGHT.map((inFlight) => ({ size, inFlight, chosen: series.chosen(`${size}/${inFlight}`) })))
    .filter(({ chosen }) => chosen.ours.length > 0)
    .map(({ size, inFlight, chosen }) => [
      `${size} members, ${inFlight} in flight`,
      ...compare(chosen, (run) => run.deliveriesPerSecond),
      ourFigure(chosen, (run) => run.lastMember.p50Ms),
      ourFigure(chosen, (run) => run.lastMember.p99Ms),
      ourFigure(chosen, (run) => run.ack.p50Ms),
      ourFigure(chosen, (run) => (run.load.server / run.deliveriesPerSecond) * US_PER_S),
      cores(chosen.ours),
      cores(chosen.bare),
    ]);
  const head = [
    "",
    "ours, deliveries/s",
    "bare broadcast, deliveries/s",
    "ratio",
    "ours: last member P50, ms",
    "P99, ms",
    "ack P50, ms",
    "server, µs of processor a delivery",
    CORES_OURS,
    CORES_BARE,
  ];
  return table(head, rows);
}

/** Ours beside the same shape with nothing in it: what an object for each user costs here, and what the rest adds. */
function shape({ acks, groups: series }: Results, plan: Plan): string {
  const [alone, pairs] = [acks.chosen(shapeOf("direct")), acks.chosen(shapeOf("pairs"))];
  const rows = [
    ...(alone.ours.length === 0 ? [] : [["1 in flight: ack P50, ms", ...compare(alone, (run) => run.ack.p50Ms)]]),
    ...(pairs.ours.length === 0
      ? []
      : [[`${plan.pairs} pairs: acks/s`, ...compare(pairs, (run) => run.acksPerSecond)]]),
    ...plan.groupSizes
      .flatMap((size) =>
        IN_FLIGHT.map((inFlight) => ({ size, inFlight, chosen: series.chosen(shapeOf(`${size}/${inFlight}`)) })),
      )
      .filter(({ chosen }) => chosen.ours.length > 0)
      .map(({ size, inFlight, chosen }) => [
        `${size} members, ${inFlight} in flight: deliveries/s`,
        ...compare(chosen, (run) => run.deliveriesPerSecond),
      ]),
  ];
  return rows.length === 0
    ? ""
    : `The bare shape has what ours has, an object for each user and one for each conversation, one row a message, one flight at a time, and nothing else: no account, rule, resend,
presence, cache or SQL. It is the most that this architecture could give on this machine; the targets above come from a prototype of it on another day and an older workerd.

${table(["", "ours", "the bare shape", "ratio"], rows)}`;
}

function world({ worlds }: Results): string {
  const rows = (["ours", "bare"] as const).flatMap((target) =>
    WORLD_RATES[target]
      .map((rate) => ({ rate, chosen: worlds.chosen(String(rate)) }))
      .filter(({ chosen }) => chosen[target].length > 0)
      .map(({ rate, chosen }) => {
        const runs = chosen[target];
        const one = { ...chosen, ours: runs };
        const acknowledged = target === "ours";
        return [
          target === "ours" ? "ours" : "bare broadcast, nothing stored",
          String(rate),
          ourFigure(one, (run) => run.actualPerSecond),
          `${runs.filter((run) => run.complete).length} of ${runs.length}`,
          ourFigure(one, (run) => run.delivery.p50Ms),
          ourFigure(one, (run) => run.delivery.p99Ms),
          acknowledged ? ourFigure(one, (run) => run.ack.p50Ms) : "–",
          acknowledged ? ourFigure(one, (run) => run.ack.p99Ms) : "–",
          ourFigure(one, (run) => run.drainMs),
          cores(runs),
        ];
      }),
  );
  const head = [
    "",
    "offered msg/s",
    "actual msg/s",
    "complete",
    "delivery P50, ms",
    "delivery P99, ms",
    "ack P50, ms",
    "ack P99, ms",
    "drained after, ms",
    "cores: server, client, others",
  ];
  return table(head, rows);
}

function idle({ memory, storms }: Results, plan: Plan): string {
  const [idles, storm] = [memory.chosen("memory"), storms.chosen("storm")];
  if (idles.ours.length === 0) {
    return "";
  }
  const users = number(plan.guests);
  return table(
    ["", "ours", "bare socket, object of its own", "ratio"],
    [
      [`${users} users, one idle socket each: KiB a socket`, ...compare(idles, (run) => run.perSocketBytes / KIB)],
      ["workerd before the first socket, MiB", ...compare(idles, (run) => run.baseBytes / MIB)],
      ["workerd with all of them idle, MiB", ...compare(idles, (run) => run.idleBytes / MIB)],
      [`connect storm of ${users}, ${STORM_AT_ONCE} at a time: s`, ...compare(storm, (run) => run.totalMs / 1_000)],
      ["its P99 a socket, ms", ...compare(storm, (run) => run.perSocket.p99Ms)],
      [
        "server, µs of processor a socket",
        ...compare(storm, (run) => (run.load.server * run.totalMs * 1_000) / run.sockets),
      ],
    ],
  );
}

/** One pass of many samples each, so the range is that of the samples. */
function flows({ flows: results }: Results, plan: Plan): string {
  const { users, groups: all, messages, conversations, own } = plan.flows;
  const rows = results.map(({ what, wantedMs, latency, load }) => [
    what,
    number(wantedMs),
    number(latency.p50Ms),
    number(latency.p95Ms),
    number(latency.maxMs),
    String(latency.count),
    latency.p95Ms <= wantedMs ? "met" : "**not met**",
    cores([{ load }]),
  ]);
  return rows.length === 0
    ? ""
    : `SQL holds ${number(users)} users, ${number(all)} groups and ${number(messages)} messages; the asking user is in ${number(conversations)} conversations with ${number(own)} messages, which were really sent.
One call at a time; milliseconds from the call to its answer, or to the frame at the other user.

${table(["", "wanted P95", "P50", "P95", "longest", "samples", "", "cores: server, client, others"], rows)}`;
}

/** Exact numbers, all repetitions together. */
function counts({ acks, groups: groupRuns, worlds }: Results, plan: Plan): string {
  const rows: string[][] = [];
  const add = (what: string, runs: readonly Counted[]): void => {
    const sum = (of: (run: Counted) => number): string => number(runs.reduce((all, run) => all + of(run), 0));
    if (runs.length > 0) {
      rows.push([
        what,
        sum((run) => run.sent),
        sum((run) => run.acked),
        sum((run) => run.refused),
        sum((run) => run.received),
        sum((run) => run.expected ?? run.acked),
        sum((run) => run.again),
        sum((run) => run.skipped),
        runs[0]?.confirmed === undefined ? "–" : sum((run) => run.confirmed ?? 0),
      ]);
    }
  };
  add("direct", acks.all("direct"));
  add(`${plan.pairs} pairs`, acks.all("pairs"));
  for (const size of plan.groupSizes) {
    for (const inFlight of IN_FLIGHT) {
      add(`group of ${size}, ${inFlight} in flight`, groupRuns.all(`${size}/${inFlight}`));
    }
  }
  for (const rate of WORLD_RATES.ours) {
    add(`world room at ${rate}/s`, worlds.all(String(rate)));
  }
  const head = ["", "sent", "acked", "refused", "received", "expected", "again", "skipped", "confirmed (in SQL)"];
  return rows.length === 0
    ? ""
    : `Ours, all repetitions together, also those that were left out above, warm-up included. Expected are the messages that were not refused, times their readers; received counts each message
once a reader. Again: deliveries of what the reader had, which clients recognise by \`seqId\`. Skipped: sequences that a later one overtook at some reader.

${table(head, rows)}`;
}

interface Counted {
  readonly sent: number;
  readonly acked: number;
  readonly refused: number;
  readonly received: number;
  readonly again: number;
  readonly skipped: number;
  readonly expected?: number;
  readonly confirmed?: number;
}

const CORES_OURS = "cores, ours: server, client, others";
const CORES_BARE = "cores, bare";

/** From results to docs/performance.md. */
import { judge } from "./goals.ts";
import type { AckResult } from "./load/acks.ts";
import type { GroupResult } from "./load/group.ts";
import { BODY_BYTES } from "./load/lines.ts";
import type { Load } from "./load/measures.ts";
import type { WorldResult } from "./load/world.ts";
import type { FsyncCost, Machine } from "./meters.ts";
import type { Options } from "./options.ts";
import { PEERS } from "./peers.ts";
import { figureOf, ratiosOf } from "./stats.ts";
import {
  GROUP_SIZES,
  IDLE_USERS,
  IN_FLIGHT,
  type Results,
  STORM_AT_ONCE,
  WORLD_RATES,
  WORLD_READERS,
} from "./suites.ts";
import { number, show, table } from "./table.ts";

const KIB = 1024;
const MIB = KIB ** 2;

export interface Run {
  readonly options: Options;
  readonly begun: Date;
  readonly machine: Machine;
  /** Before and after. */
  readonly fsync: readonly FsyncCost[];
  readonly results: Results;
}

/** The page, in Markdown. Workloads that the run left out are left out of it. */
export function writePage(run: Run): string {
  const { results } = run;
  const measured = (heading: string, text: string): string[] => (text === "" ? [] : [heading, text]);
  return [
    "<!-- Written by `npm run bench`. Do not edit by hand. -->",
    "# Performance",
    intro(run),
    "## Targets",
    goals(results),
    ...measured("## Direct messages", direct(results)),
    ...measured("## Groups", groups(results)),
    ...measured(`## World room, ${WORLD_READERS.toLocaleString("en-US")} readers`, world(results)),
    ...measured("## Idle sockets and connect storm", idle(results)),
    ...measured("## Counts", counted(results)),
    "## Other servers",
    peers(),
    "## What the figures mean",
    MEANING,
    "",
  ].join("\n\n");
}

function intro({ options, begun, machine, fsync }: Run): string {
  const [before, after] = fsync;
  const costs = [before, after].map(
    (cost) => `${number(cost?.p50Ms ?? Number.NaN)} ms (P99 ${number(cost?.p99Ms ?? Number.NaN)})`,
  );
  const warning = options.quick
    ? "**A quick run: short spans, one repetition. It shows that the benchmark works; no figure counts.**\n\n"
    : "";
  return `${warning}\`npm run bench\` on ${begun.toISOString().slice(0, 10)}, commit ${machine.commit}. ${machine.cores} cores (${machine.processor}), ${machine.memoryGib.toFixed(0)} GiB, Linux
${machine.kernel}; Node ${machine.node}, workerd ${machine.workerd}, miniflare ${machine.miniflare}, ws ${machine.ws}. **Server and load client share the cores.** An fsync of 4 KiB
in the folder of the state took ${costs[0]} before the run and ${costs[1]} after it (medians); every durable acknowledgement waits for at least one.

Each workload ran ${options.repetitions === 1 ? "once" : `${options.repetitions} times`}, ours and the baseline in turn, never both at a time. A figure is the median of the repetitions with the least and the
greatest in brackets. The baseline is [bench/baseline/worker.ts](../bench/baseline/worker.ts): bare objects in the same version of workerd, without accounts, order, history or
resends. A ratio compares repetitions that ran one after the other. "Cores" is processor time per second: of workerd, of the load client, and of everything else on
the machine, which was not idle when that is above 0.1.`;
}

function goals(results: Results): string {
  const rows = judge(results).map(({ what, wanted, measured, met, note }) => [
    what,
    wanted,
    measured === undefined ? "not measured" : show(measured) + (note === undefined ? "" : ` (${note})`),
    measured === undefined ? "–" : met ? "met" : "**not met**",
  ]);
  return table(["", "target", "measured", ""], rows);
}

function direct({ acks }: Results): string {
  const rows: string[][] = [];
  const row = (what: string, workload: string, read: (result: AckResult) => number): void => {
    const [ours, bare] = [acks.of(workload, "ours").map(read), acks.of(workload, "bare").map(read)];
    if (ours.length > 0) {
      rows.push([what, show(figureOf(ours)), show(figureOf(bare)), show(ratiosOf(ours, bare))]);
    }
  };
  row("1 in flight: ack P50, ms", "direct", (result) => result.ack.p50Ms);
  row("ack P99, ms", "direct", (result) => result.ack.p99Ms);
  row("50 pairs: acks/s", "pairs", (result) => result.acksPerSecond);
  row("ack P50, ms", "pairs", (result) => result.ack.p50Ms);
  row("ack P99, ms", "pairs", (result) => result.ack.p99Ms);
  row("server, µs of processor a message", "pairs", (result) => (result.load.server / result.acksPerSecond) * 1e6);
  const other: string[][] = [];
  for (const [what, workload] of [
    ["1 in flight", "direct"],
    ["50 pairs", "pairs"],
  ] as const) {
    const runs = acks.of(workload, "ours");
    if (runs.length > 0) {
      other.push([
        what,
        show(figureOf(runs.map((result) => result.delivery.p50Ms))),
        show(figureOf(runs.map((result) => result.delivery.p99Ms))),
        show(figureOf(runs.map((result) => result.confirmedAfterMs))),
        cores(runs),
        cores(acks.of(workload, "bare")),
      ]);
    }
  }
  if (rows.length === 0) {
    return "";
  }
  return `${table(["", "ours", "bare object, one row a message", "ratio"], rows)}

${table(["", "at the other user P50, ms", "P99, ms", "all in SQL after the last ack, ms", "cores, ours: server, client, others", "cores, bare"], other)}`;
}

function groups({ groups: series }: Results): string {
  const rows: string[][] = [];
  for (const size of GROUP_SIZES) {
    for (const inFlight of IN_FLIGHT) {
      const [ours, bare] = [series.of(`${size}/${inFlight}`, "ours"), series.of(`${size}/${inFlight}`, "bare")];
      if (ours.length === 0) {
        continue;
      }
      const read = (runs: readonly GroupResult[], of: (run: GroupResult) => number): string =>
        show(figureOf(runs.map(of)));
      rows.push([
        `${size} members, ${inFlight} in flight`,
        read(ours, (run) => run.deliveriesPerSecond),
        read(bare, (run) => run.deliveriesPerSecond),
        show(
          ratiosOf(
            ours.map((run) => run.deliveriesPerSecond),
            bare.map((run) => run.deliveriesPerSecond),
          ),
        ),
        read(ours, (run) => run.lastMember.p50Ms),
        read(ours, (run) => run.lastMember.p99Ms),
        read(ours, (run) => run.ack.p50Ms),
        read(ours, (run) => (run.load.server / run.deliveriesPerSecond) * 1e6),
        cores(ours),
        cores(bare),
      ]);
    }
  }
  return table(
    [
      "",
      "ours, deliveries/s",
      "bare broadcast, deliveries/s",
      "ratio",
      "ours: last member P50, ms",
      "P99, ms",
      "ack P50, ms",
      "server, µs of processor a delivery",
      "cores, ours: server, client, others",
      "cores, bare",
    ],
    rows,
  );
}

function world({ worlds }: Results): string {
  const rows: string[][] = [];
  for (const target of ["ours", "bare"] as const) {
    for (const rate of WORLD_RATES[target]) {
      const runs = worlds.of(String(rate), target);
      if (runs.length === 0) {
        continue;
      }
      const read = (of: (run: WorldResult) => number): string => show(figureOf(runs.map(of)));
      rows.push([
        target === "ours" ? "ours" : "bare broadcast, nothing stored",
        String(rate),
        read((run) => run.actualPerSecond),
        `${runs.filter((run) => run.complete).length} of ${runs.length}`,
        read((run) => run.delivery.p50Ms),
        read((run) => run.delivery.p99Ms),
        target === "ours" ? read((run) => run.ack.p50Ms) : "–",
        target === "ours" ? read((run) => run.ack.p99Ms) : "–",
        read((run) => run.drainMs),
        cores(runs),
      ]);
    }
  }
  return table(
    [
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
    ],
    rows,
  );
}

function idle({ memory, storms }: Results): string {
  const rows: string[][] = [];
  const pair = (what: string, ours: readonly number[], bare: readonly number[]): void => {
    if (ours.length > 0) {
      rows.push([what, show(figureOf(ours)), show(figureOf(bare)), show(ratiosOf(ours, bare))]);
    }
  };
  const of = (read: (run: { perSocketBytes: number; baseBytes: number; idleBytes: number }) => number) =>
    (["ours", "bare"] as const).map((name) => memory.of("memory", name).map(read));
  const [oursEach = [], bareEach = []] = of((run) => run.perSocketBytes / KIB);
  pair(`idle, ${number(IDLE_USERS)} users with one socket each: KiB a socket`, oursEach, bareEach);
  const [oursBase = [], bareBase = []] = of((run) => run.baseBytes / MIB);
  pair("workerd before the first socket, MiB", oursBase, bareBase);
  const [oursIdle = [], bareIdle = []] = of((run) => run.idleBytes / MIB);
  pair("workerd with all of them idle, MiB", oursIdle, bareIdle);
  const storm = (read: (run: { totalMs: number; perSocket: { p99Ms: number } }) => number) =>
    (["ours", "bare"] as const).map((name) => storms.of("storm", name).map(read));
  const [oursTotal = [], bareTotal = []] = storm((run) => run.totalMs / 1_000);
  pair(`connect storm of ${number(IDLE_USERS)}, ${STORM_AT_ONCE} at a time: s`, oursTotal, bareTotal);
  const [oursP99 = [], bareP99 = []] = storm((run) => run.perSocket.p99Ms);
  pair("the slowest 1 % of its sockets, ms", oursP99, bareP99);
  return table(["", "ours", "bare socket, object of its own", "ratio"], rows);
}

/** Exact numbers, all repetitions together. */
function counted({ acks, groups: groupRuns, worlds }: Results): string {
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
  add("direct", acks.of("direct", "ours"));
  add("50 pairs", acks.of("pairs", "ours"));
  for (const size of GROUP_SIZES) {
    for (const inFlight of IN_FLIGHT) {
      add(`group of ${size}, ${inFlight} in flight`, groupRuns.of(`${size}/${inFlight}`, "ours"));
    }
  }
  for (const rate of WORLD_RATES.ours) {
    add(`world room at ${rate}/s`, worlds.of(String(rate), "ours"));
  }
  if (rows.length === 0) {
    return "";
  }
  return `Ours, all repetitions together, warm-up included. Expected are the messages that were not refused, times their readers; received counts each message once a reader.
Again: deliveries of what the reader had, which clients recognise by \`seqId\`. Skipped: sequences that a later one overtook at some reader.

${table(["", "sent", "acked", "refused", "received", "expected", "again", "skipped", "confirmed (in SQL)"], rows)}`;
}

interface Counted {
  readonly sent: number;
  readonly acked: number;
  readonly refused: number;
  readonly received: number;
  readonly expected?: number;
  readonly again: number;
  readonly skipped: number;
  readonly confirmed?: number;
}

function peers(): string {
  const rows = PEERS.map((peer) => [
    `${peer.name} (${peer.version})`,
    peer.ack,
    peer.ackP50Ms,
    peer.ackP99Ms,
    peer.pairsPerSecond,
    peer.groups["50/1"],
    peer.groups["50/8"],
    peer.groups["500/1"],
    peer.groups["500/8"],
    peer.world,
    peer.stormS,
    peer.memoryKib,
  ]);
  return `Measured on another day on a machine of the same size: 2 cores, 24 GiB, server and client on the same cores, messages of ${BODY_BYTES} bytes, the same client library. Not measured
in this run, so that these figures are for the order of magnitude: the disk under them answered an fsync in 0.004–0.35 ms, which may be faster than the one of this run
(its figure is above), and durable acks hang on it. partyserver stands for what the platform gives when one object holds a room and all its sockets.

${table(
  [
    "",
    "ack",
    "direct ack P50, ms",
    "P99, ms",
    "50 pairs, acks/s",
    "group 50, 1 in flight, deliveries/s",
    "50, 8",
    "500, 1",
    "500, 8",
    "4,000 readers: largest msg/s with P99 < 1 s",
    "storm of 2,000, s",
    "KiB a connection at 4,000",
  ],
  rows,
)}

Centrifugo writes several messages into one frame when they queue up, and keeps them in memory only; WuKongIM has every delivery acknowledged by its receiver. The peers' memory is
that of connections in few processes without an object a user.`;
}

function cores(runs: readonly { readonly load: Load }[]): string {
  const of = (read: (load: Load) => number): string => number(figureOf(runs.map(({ load }) => read(load))).median);
  return runs.length === 0
    ? "–"
    : [of((load) => load.server), of((load) => load.client), of((load) => load.others)].join(", ");
}

const MEANING = `- **Server**: \`npm start\` as a child process on an empty state folder, with the limits a user has (sends, requests) lifted and nothing else changed. **Client**: one process of its own,
  \`ws\` without permessage-deflate; accounts, friendships and groups are made over REST. Every reader of a round gets the same bytes, so the client reads a frame once and
  recognises it by its bytes after that: the same for ours and for the baseline.
- **Direct**: two users, one message at a time; from the send to \`message-ack\` with status \`sent\`, which leaves when the message is on disk and has its place. The bare object inserts
  the text as one row and answers over its socket: the least that a durable answer costs here. **50 pairs**: 50 conversations, each with one message in flight; the baseline has 50 objects.
- **Groups**: one member sends; a message is delivered when the last of the others has it, and then the next leaves in its place. Deliveries/s are those messages times their readers.
  The baseline is one object that holds all sockets and passes frames on: it stores nothing, acknowledges nothing, and has no user with several devices.
- **World room**: 2,000 guests with two room sockets (\`/ws/rooms/{id}\`) each; 100 other sockets send, at a fixed rate. Latency runs from the moment at which a message was *due*, whatever
  held it up, to its arrival, for every delivery. Complete: every reader got every message, in order, once. A shard sends one frame in 100 ms, which is in the latency.
- **Idle sockets**: guests that are signed in and connected, and say nothing for 30 s, so that their objects hibernate; the growth of workerd's resident memory divided by the sockets, on a
  process that was started for it. The bare socket's object has a database as well, which it does not use.
- **Connect storm**: from the first upgrade to the last user's \`connected\`; token checked, device looked up, presence written.
- Everything runs on one machine without TLS. None of it says how fast Cloudflare's network is.`;

/**
 * The workloads, and in which order they run: ours, then the baseline, then ours again, each alone on the machine.
 * Figures of one repetition stand beside each other, so that both met the machine in the same mood.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type FlowResult, measureFlows } from "./flows/flows.ts";
import type { AckResult } from "./load/acks.ts";
import type { GroupResult } from "./load/group.ts";
import type { Load } from "./load/measures.ts";
import type { LoadCommand, LoadResult, Shape } from "./load/protocol.ts";
import type { StormResult } from "./load/storm.ts";
import type { WorldResult } from "./load/world.ts";
import { Loader } from "./loader.ts";
import { residentBytes } from "./meters.ts";
import type { Options, Suite } from "./options.ts";
import { measureEngines } from "./engines/measure.ts";
import { measurePersist, type PersistResult } from "./persist/persist.ts";
import { IN_FLIGHT, type Plan, STORM_AT_ONCE, WORLD_RATES, WORLD_SENDERS } from "./plan.ts";
import { isCalm, Series, shapeOf } from "./series.ts";
import { quiet, type Target, type TargetName } from "./targets.ts";

export interface MemoryResult {
  readonly sockets: number;
  /** Resident memory of workerd before anybody connected, and when all had been idle for a while. */
  readonly baseBytes: number;
  readonly idleBytes: number;
  readonly perSocketBytes: number;
  /** Of the connect storm before. */
  readonly load: Load;
}

/** Results by workload and server, one for each repetition. */
export class Results {
  readonly acks = new Series<AckResult>();
  readonly groups = new Series<GroupResult>();
  readonly worlds = new Series<WorldResult>();
  readonly storms = new Series<StormResult>();
  readonly memory = new Series<MemoryResult>();
  readonly flows: FlowResult[] = [];
  /** By engine of SQL. */
  readonly persist = new Series<PersistResult>();
  /** By engines and workload, all as ours. */
  readonly engines = new Series<AckResult>();
  /** Workloads that could not be carried through, with the reason. */
  readonly failures: string[] = [];
}

/** Runs what the options ask for. A workload that fails is reported, and the others go on. */
export async function runSuites(options: Options, ours: Target, bare: Target): Promise<Results> {
  const results = new Results();
  const bench = new Bench(options.plan, ours, bare);
  const wants = (suite: Suite): boolean => options.suites.includes(suite);
  const attempt = async (what: string, suite: () => Promise<void>): Promise<void> => {
    try {
      await suite();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      console.error(`${what} failed: ${error instanceof Error ? error.stack : reason}`);
      results.failures.push(`${what}: ${reason.split("\n")[0]}`);
    }
  };
  try {
    if (wants("direct") || wants("pairs") || wants("groups")) {
      await attempt("direct, pairs or groups", () => conversations(bench, wants, results));
    }
    if (wants("memory") || wants("world")) {
      await attempt("making guests", () =>
        bench.prepare(`${options.plan.guests} guests`, { do: "guests", count: options.plan.guests }),
      );
    }
    if (wants("memory")) {
      await attempt("memory", () => memory(bench, results));
    }
    if (wants("world")) {
      await attempt("world", () => world(bench, results));
    }
    if (wants("flows")) {
      await attempt("flows", () => measureFlows(options.plan.flows, results.flows));
    }
    if (wants("persist")) {
      await attempt("persist", () => measurePersist(options.plan, results.persist, results.failures));
    }
    if (wants("engines")) {
      await attempt("engines", () => measureEngines(options.plan, results.engines, results.failures));
    }
  } finally {
    bench.stop();
  }
  return results;
}

async function conversations(bench: Bench, wants: (suite: Suite) => boolean, results: Results): Promise<void> {
  const { conversations: span, groupSizes, ...plan } = bench.plan;
  const sizes = wants("groups") ? groupSizes : [];
  const pairs = wants("pairs") ? plan.pairs : 1;
  const members = Math.max(2 * pairs, ...sizes);
  const wish: LoadCommand = { do: "prepare", members, pairs, groups: [...sizes] };
  await bench.prepare(`${members} accounts, their friendships and groups`, wish);
  const acks = (result: LoadResult): AckResult => expect(result, "acks");
  if (wants("direct")) {
    await bench.compare("direct", { do: "direct", span }, acks, results.acks);
  }
  if (wants("pairs")) {
    await bench.compare("pairs", { do: "pairs", pairs, span }, acks, results.acks);
  }
  for (const size of sizes) {
    for (const inFlight of IN_FLIGHT) {
      const workload = `${size}/${inFlight}`;
      const group = (result: LoadResult): GroupResult => expect(result, "group");
      await bench.compare(workload, { do: "group", size, inFlight, span }, group, results.groups);
    }
  }
  for (const target of bench.both) {
    await bench.run(target, { do: "closeAll" });
  }
}

async function world(bench: Bench, results: Results): Promise<void> {
  const { readers, patienceMs, ...span } = bench.plan.world;
  for (const rate of new Set([...WORLD_RATES.bare, ...WORLD_RATES.ours])) {
    const targets = bench.both.filter((target) => WORLD_RATES[target.name].includes(rate));
    await bench.repeat(
      String(rate),
      targets,
      { do: "world", readers, senders: WORLD_SENDERS, rate, span, patienceMs },
      (result) => expect(result, "world"),
      results.worlds,
    );
  }
}

/** Each repetition on a process of its own, since memory that was used once is not always given back. */
async function memory(bench: Bench, results: Results): Promise<void> {
  const command: LoadCommand = { do: "storm", count: bench.plan.guests, atOnce: STORM_AT_ONCE };
  for (let repetition = 1; repetition <= bench.plan.repetitions; repetition++) {
    for (const target of bench.both) {
      await target.restart();
      const baseBytes = residentBytes(target.workerdPid);
      const storm = expect(await bench.run(target, command), "storm");
      await sleep(bench.plan.idleMs);
      const idleBytes = residentBytes(target.workerdPid);
      const sockets = storm.sockets - storm.failed;
      const perSocketBytes = (idleBytes - baseBytes) / sockets;
      await bench.run(target, { do: "closeAll" });
      results.storms.add("storm", target.name, storm);
      const result: MemoryResult = { sockets, baseBytes, idleBytes, perSocketBytes, load: storm.load };
      results.memory.add("memory", target.name, result);
      console.log(`${target.name} idle: ${(perSocketBytes / 1024).toFixed(0)} KiB a socket; storm: ${headline(storm)}`);
    }
  }
  for (const target of bench.both) {
    await target.restart();
  }
}

/** The two servers, a load process for each, and how a workload is repeated on them. */
class Bench {
  readonly plan: Plan;
  readonly both: readonly Target[];
  readonly #loaders: Readonly<Record<TargetName, Loader>>;

  constructor(plan: Plan, ours: Target, bare: Target) {
    this.plan = plan;
    this.both = [ours, bare];
    this.#loaders = { ours: new Loader(ours), bare: new Loader(bare) };
  }

  /** One command, when the server has nothing left to do. */
  async run(target: Target, command: LoadCommand): Promise<LoadResult> {
    await quiet(target);
    return await this.#loaders[target.name].run(command);
  }

  /** What later commands need; on the bare server there is less to prepare. */
  async prepare(what: string, command: LoadCommand): Promise<void> {
    const begun = performance.now();
    await this.#loaders.ours.run(command);
    await this.#loaders.bare.run(command);
    console.log(`made ${what} in ${((performance.now() - begun) / 1_000).toFixed(0)} s`);
  }

  /** One workload on ours, on the bare objects, and on the bare shape of ours. */
  async compare<T extends AckResult | GroupResult>(
    workload: string,
    command: Extract<LoadCommand, { shape?: Shape }>,
    take: (result: LoadResult) => T,
    series: Series<T>,
  ): Promise<void> {
    await this.repeat(workload, this.both, command, take, series, { ...command, shape: true });
  }

  /**
   * One workload on each server in turn, until there are enough repetitions in which nothing else ran on the machine,
   * or patience ends.
   */
  async repeat<T extends AckResult | GroupResult | WorldResult>(
    workload: string,
    targets: readonly Target[],
    command: LoadCommand,
    take: (result: LoadResult) => T,
    series: Series<T>,
    shape?: LoadCommand,
  ): Promise<void> {
    const { repetitions, mostRepetitions } = this.plan;
    let undisturbed = 0;
    for (let turn = 1; undisturbed < repetitions && turn <= mostRepetitions; turn++) {
      let calm = true;
      for (const target of targets) {
        const result = take(await this.run(target, command));
        series.add(workload, target.name, result);
        calm &&= isCalm(result.load);
        console.log(`[${turn}] ${target.name} ${result.kind} ${workload}: ${headline(result)}`);
        if (shape !== undefined && target.name === "ours") {
          series.add(shapeOf(workload), "ours", result);
        }
      }
      const bare = targets.find((target) => target.name === "bare");
      if (shape !== undefined && bare !== undefined) {
        const result = take(await this.run(bare, shape));
        series.add(shapeOf(workload), "bare", result);
        calm &&= isCalm(result.load);
        console.log(`[${turn}] shape ${result.kind} ${workload}: ${headline(result)}`);
      }
      undisturbed += calm ? 1 : 0;
    }
  }

  stop(): void {
    this.#loaders.ours.stop();
    this.#loaders.bare.stop();
  }
}

type OfKind<K> = Extract<LoadResult, { kind: K }>;

function expect<K extends LoadResult["kind"]>(result: LoadResult, kind: K): OfKind<K> {
  if (result.kind !== kind) {
    throw new Error(`expected a result of kind ${kind}, got ${result.kind}`);
  }
  // The kind is what tells the results apart; TypeScript does not carry that over to the parameter.
  return result as OfKind<K>;
}

/** One line for whoever watches the run. */
function headline(result: LoadResult): string {
  switch (result.kind) {
    case "acks":
      return `${result.acksPerSecond.toFixed(0)} acks/s, P50 ${result.ack.p50Ms.toFixed(2)} ms, P99 ${result.ack.p99Ms.toFixed(2)} ms; ${counts(result)}, confirmed ${result.confirmed} ${busy(result.load)}`;
    case "group":
      return `${result.deliveriesPerSecond.toFixed(0)} deliveries/s, last member P50 ${result.lastMember.p50Ms.toFixed(2)} ms, P99 ${result.lastMember.p99Ms.toFixed(2)} ms, ack P50 ${result.ack.p50Ms.toFixed(2)} ms; ${counts(result)} of ${result.expected} ${busy(result.load)}`;
    case "world":
      return `${result.complete ? "complete" : "NOT complete"}, delivery P50 ${result.delivery.p50Ms.toFixed(0)} ms, P99 ${result.delivery.p99Ms.toFixed(0)} ms, ack P50 ${result.ack.p50Ms.toFixed(1)} ms, actual ${result.actualPerSecond.toFixed(1)}/s, drained in ${result.drainMs.toFixed(0)} ms; ${counts(result)} of ${result.expected} ${busy(result.load)}`;
    case "storm":
      return `${result.sockets} sockets in ${(result.totalMs / 1_000).toFixed(2)} s, P99 ${result.perSocket.p99Ms.toFixed(0)} ms, ${result.failed} failed ${busy(result.load)}`;
    case "done":
      return "done";
  }
}

function counts(result: AckResult | GroupResult | WorldResult): string {
  return `sent ${result.sent}, acked ${result.acked}, refused ${result.refused}, again ${result.again}, skipped ${result.skipped}, received ${result.received}`;
}

function busy(load: { server: number; client: number; others: number }): string {
  return `[cores: server ${load.server.toFixed(2)}, client ${load.client.toFixed(2)}, others ${load.others.toFixed(2)}]`;
}

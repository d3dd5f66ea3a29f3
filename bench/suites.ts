/**
 * The workloads, and in which order they run: ours, then the baseline, then ours again, each alone on the machine.
 * Figures of one repetition stand beside each other, so that both met the machine in the same mood.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { AckResult } from "./load/acks.ts";
import type { GroupResult } from "./load/group.ts";
import type { Span } from "./load/measures.ts";
import type { LoadCommand, LoadResult } from "./load/protocol.ts";
import type { StormResult } from "./load/storm.ts";
import type { WorldResult } from "./load/world.ts";
import { Loader } from "./loader.ts";
import { residentBytes } from "./meters.ts";
import type { Options } from "./options.ts";
import { quiet, type Target, type TargetName } from "./targets.ts";

/** Sizes of the groups, and sends in flight. Source: the targets of DESIGN section 6. */
export const GROUP_SIZES = [50, 500];
export const IN_FLIGHT = [1, 8];
export const PAIRS = 50;
export const WORLD_READERS = 4_000;
export const WORLD_SENDERS = 100;
/** Messages a second. The bare object is driven at the rate that it is known to manage as well. */
export const WORLD_RATES = { ours: [50, 100], bare: [10, 50] } as const;
export const IDLE_USERS = 2_000;
/** Upgrades at one time in the connect storm. */
export const STORM_AT_ONCE = 200;

/** An object hibernates about ten seconds after its last event; then the allocator gets time to give back. */
const IDLE_MS = 30_000;
const QUICK_IDLE_MS = 14_000;

export interface MemoryResult {
  readonly kind: "memory";
  readonly sockets: number;
  /** Resident memory of workerd before anybody connected, and when all had been idle for a while. */
  readonly baseBytes: number;
  readonly idleBytes: number;
  readonly perSocketBytes: number;
}

/** Results by workload and server, one for each repetition. */
export class Results {
  readonly acks = new Series<AckResult>();
  readonly groups = new Series<GroupResult>();
  readonly worlds = new Series<WorldResult>();
  readonly storms = new Series<StormResult>();
  readonly memory = new Series<MemoryResult>();
}

export class Series<T> {
  readonly #runs = new Map<string, T[]>();

  add(workload: string, target: TargetName, result: T): void {
    const key = `${workload} ${target}`;
    this.#runs.set(key, [...(this.#runs.get(key) ?? []), result]);
  }

  of(workload: string, target: TargetName): readonly T[] {
    return this.#runs.get(`${workload} ${target}`) ?? [];
  }
}

/** Runs what the options ask for. */
export async function runSuites(options: Options, ours: Target, bare: Target): Promise<Results> {
  const results = new Results();
  const loaders = { ours: new Loader(ours), bare: new Loader(bare) };
  const run = async (target: Target, command: LoadCommand): Promise<LoadResult> => {
    await quiet(target);
    return await loaders[target.name].run(command);
  };
  const wants = (suite: Options["suites"][number]): boolean => options.suites.includes(suite);
  const span: Span = options.quick ? { warmMs: 500, measureMs: 1_500 } : { warmMs: 2_000, measureMs: 5_000 };
  try {
    if (wants("direct") || wants("pairs") || wants("groups")) {
      const groups = wants("groups") ? GROUP_SIZES : [];
      const members = Math.max(wants("pairs") ? 2 * PAIRS : 2, ...groups);
      console.log(`making ${members} accounts, their friendships and groups`);
      await run(ours, { do: "prepare", members, pairs: wants("pairs") ? PAIRS : 1, groups });
    }
    for (let repetition = 1; repetition <= options.repetitions; repetition++) {
      for (const target of [ours, bare]) {
        const say = (workload: string, result: LoadResult): void => {
          console.log(`[${repetition}/${options.repetitions}] ${target.name} ${workload}: ${headline(result)}`);
        };
        if (wants("direct")) {
          const result = await run(target, { do: "direct", span });
          say("direct", result);
          results.acks.add("direct", target.name, expect(result, "acks"));
        }
        if (wants("pairs")) {
          const result = await run(target, { do: "pairs", pairs: PAIRS, span });
          say("pairs", result);
          results.acks.add("pairs", target.name, expect(result, "acks"));
        }
        for (const size of wants("groups") ? GROUP_SIZES : []) {
          for (const inFlight of IN_FLIGHT) {
            const result = await run(target, { do: "group", size, inFlight, span });
            say(`group of ${size}, ${inFlight} in flight`, result);
            results.groups.add(`${size}/${inFlight}`, target.name, expect(result, "group"));
          }
        }
      }
    }
    for (const loader of Object.values(loaders)) {
      await loader.run({ do: "closeAll" });
    }
    if (wants("memory") || wants("world")) {
      console.log(`making ${IDLE_USERS} guests`);
      await run(ours, { do: "guests", count: IDLE_USERS });
    }
    if (wants("memory")) {
      await memory(options, [ours, bare], loaders, results);
    }
    if (wants("world")) {
      await world(options, [ours, bare], run, results);
    }
  } finally {
    loaders.ours.stop();
    loaders.bare.stop();
  }
  return results;
}

/** Each repetition on a process of its own, since memory that was used once is not always given back. */
async function memory(
  options: Options,
  targets: readonly Target[],
  loaders: Readonly<Record<TargetName, Loader>>,
  results: Results,
): Promise<void> {
  for (let repetition = 1; repetition <= options.repetitions; repetition++) {
    for (const target of targets) {
      await target.restart();
      await quiet(target);
      const baseBytes = residentBytes(target.workerdPid);
      const loader = loaders[target.name];
      const storm = expect(await loader.run({ do: "storm", count: IDLE_USERS, atOnce: STORM_AT_ONCE }), "storm");
      await sleep(options.quick ? QUICK_IDLE_MS : IDLE_MS);
      const idleBytes = residentBytes(target.workerdPid);
      const sockets = storm.sockets - storm.failed;
      await loader.run({ do: "closeAll" });
      results.storms.add("storm", target.name, storm);
      const perSocketBytes = (idleBytes - baseBytes) / sockets;
      results.memory.add("memory", target.name, { kind: "memory", sockets, baseBytes, idleBytes, perSocketBytes });
      console.log(
        `[${repetition}/${options.repetitions}] ${target.name} storm: ${headline(storm)}; ` +
          `idle: ${(perSocketBytes / 1024).toFixed(0)} KiB a socket`,
      );
    }
  }
  for (const target of targets) {
    await target.restart();
  }
}

async function world(
  options: Options,
  targets: readonly Target[],
  run: (target: Target, command: LoadCommand) => Promise<LoadResult>,
  results: Results,
): Promise<void> {
  const span: Span = options.quick ? { warmMs: 1_000, measureMs: 3_000 } : { warmMs: 3_000, measureMs: 15_000 };
  const size = { readers: WORLD_READERS, senders: WORLD_SENDERS, patienceMs: 20_000 };
  for (let repetition = 1; repetition <= options.repetitions; repetition++) {
    for (const target of targets) {
      for (const rate of WORLD_RATES[target.name]) {
        const result = expect(await run(target, { do: "world", ...size, rate, span }), "world");
        console.log(`[${repetition}/${options.repetitions}] ${target.name} world at ${rate}/s: ${headline(result)}`);
        results.worlds.add(String(rate), target.name, result);
      }
    }
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

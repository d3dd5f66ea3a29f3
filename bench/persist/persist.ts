/**
 * How fast messages get into SQL: rooms have accepted them and hold them in their logs, the bus lets them through, the consumer writes
 * batches, and rooms hear how far their logs are safe and tell the senders. D1 and MariaDB in turn, each alone.
 */
import { createGroup, register, type User } from "../load/accounts.ts";
import { type Load, LoadMeter } from "../load/measures.ts";
import { inPool } from "../load/pool.ts";
import { cpuSeconds } from "../meters.ts";
import type { PersistPlan, Plan } from "../plan.ts";
import { isCalm, type Series } from "../series.ts";
import { quiet } from "../targets.ts";
import { missingFor, type Persisting, SQL_ENGINES, type SqlEngine, startEngine } from "./engines.ts";

export interface PersistResult {
  readonly messages: number;
  /** What rooms have handed over: each up to 500 messages, or 120 kB, of one conversation. */
  readonly batches: number;
  readonly messagesPerSecond: number;
  /** `server`: the Worker, the bridge and the database together. */
  readonly load: Load;
  /** Processor seconds per second of each. */
  readonly cores: { readonly worker: number; readonly bridge: number; readonly database: number };
}

const CALLS_AT_ONCE = 8;
/** Sends of one user that wait for their acknowledgement. */
const IN_FLIGHT = 50;
const TEXT = "x".repeat(200);

/** An engine that cannot be had is reported, and the other one measured. */
export async function measurePersist(plan: Plan, series: Series<PersistResult>, failures: string[]): Promise<void> {
  const setups: { engine: SqlEngine; setup: Setup }[] = [];
  try {
    for (const engine of SQL_ENGINES) {
      const missing = missingFor(engine);
      if (missing === undefined) {
        setups.push({ engine, setup: await prepare(await startEngine(engine), plan.persist) });
      } else {
        console.error(missing);
        failures.push(`persist into ${engine}: ${missing.split("\n")[0]}`);
      }
    }
    let undisturbed = 0;
    for (let turn = 1; undisturbed < plan.repetitions && turn <= plan.mostRepetitions; turn++) {
      let calm = true;
      for (const { engine, setup } of setups) {
        const result = await once(setup, plan.persist);
        series.add(engine, "ours", result);
        calm &&= isCalm(result.load);
        console.log(`[${turn}] persist ${engine}: ${headline(result)}`);
      }
      undisturbed += calm ? 1 : 0;
    }
  } finally {
    for (const { setup } of setups) {
      setup.rooms.forEach(({ owner }) => owner.chat.disconnect());
      await setup.persisting.dispose();
    }
  }
}

interface Setup {
  readonly persisting: Persisting;
  readonly rooms: readonly { owner: User; id: string }[];
}

async function prepare(persisting: Persisting, plan: PersistPlan): Promise<Setup> {
  const names = Array.from({ length: plan.users }, (_, index) => `persist_${index}`);
  const owners = await inPool(names, CALLS_AT_ONCE, (name) => register(persisting.server.url, name));
  await inPool(owners, CALLS_AT_ONCE, (owner) => owner.connect());
  const turns = Array.from({ length: plan.rooms }, (_, index) => index);
  const rooms = await inPool(turns, CALLS_AT_ONCE, async (index) => {
    const [owner, other] = [owners[index % owners.length], owners[(index + 1) % owners.length]];
    if (owner === undefined || other === undefined) {
      throw new Error("nobody registered");
    }
    return { owner, id: await createGroup([owner, other]) };
  });
  return { persisting, rooms };
}

async function once({ persisting, rooms }: Setup, plan: PersistPlan): Promise<PersistResult> {
  const { server, bus, pids } = persisting;
  const before = await persisting.stored();
  const heads = new Map<string, number>();
  const each = Math.ceil(plan.messages / rooms.length);
  await inPool(rooms, CALLS_AT_ONCE, async ({ owner, id }) => {
    for (let sent = 0; sent < each; sent += IN_FLIGHT) {
      const sends = Array.from(
        { length: Math.min(IN_FLIGHT, each - sent) },
        () => owner.chat.conversation(id).send(TEXT).accepted,
      );
      heads.set(id, Math.max(...(await Promise.all(sends)).map(({ seqId }) => seqId)));
    }
  });
  await quiet(server);
  const worker = server.workerdPid;
  const [meter, began] = [new LoadMeter(worker), secondsOf({ worker, ...pids })];
  const release = await bus.release(heads);
  const [load, ended] = [meter.read(), secondsOf({ worker, ...pids })];
  const cores = (of: keyof typeof began): number => ((ended[of] - began[of]) * 1_000) / release.tookMs;
  const parts = { worker: cores("worker"), bridge: cores("bridge"), database: cores("database") };
  const stored = (await persisting.stored()) - before;
  if (stored !== release.messages) {
    throw new Error(`${stored} of ${release.messages} messages are in SQL`);
  }
  const beside = parts.bridge + parts.database;
  return {
    messages: release.messages,
    batches: release.batches,
    messagesPerSecond: (release.messages * 1_000) / release.tookMs,
    load: { ...load, server: load.server + beside, others: Math.max(0, load.others - beside) },
    cores: parts,
  };
}

function secondsOf(pids: { worker: number; bridge?: number; database?: number }) {
  const of = (pid: number | undefined): number => (pid === undefined ? 0 : cpuSeconds(pid));
  return { worker: of(pids.worker), bridge: of(pids.bridge), database: of(pids.database) };
}

function headline({ messages, batches, messagesPerSecond, load, cores }: PersistResult): string {
  const { worker, bridge, database } = cores;
  const text = [worker, bridge, database, load.client, load.others].map((value) => value.toFixed(2)).join(", ");
  return `${messagesPerSecond.toFixed(0)} messages/s, ${messages} in ${batches} batches [cores: worker, bridge, database, client, others ${text}]`;
}

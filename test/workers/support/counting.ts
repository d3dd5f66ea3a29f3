/**
 * What a call costs, by what is billed: requests to objects, rows of their SQLite and of SQL, queue messages; and by what takes
 * time: round trips to SQL and to the cache.
 */
import { env } from "cloudflare:workers";
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { jsonBytes } from "../../../src/domain/jsonSize.ts";
import { vi } from "vitest";
import { app } from "../../../src/http/app.ts";
import { CacheStore } from "../../../src/objects/CacheStore.ts";
import { ConversationRoom } from "../../../src/objects/ConversationRoom.ts";
import { FanoutShard } from "../../../src/objects/FanoutShard.ts";
import { UserSession } from "../../../src/objects/UserSession.ts";
import type { CacheCommand } from "../../../src/platform/rpc.ts";
import { OWNERS, type Ledger, type Owner } from "../../support/ledger.ts";
import { Patches, Pending } from "./pending.ts";

/** `Metrics` is left out: it is asked once in ten seconds by an isolate that is busy, whatever that does. */
const CLASSES = { room: ConversationRoom, session: UserSession, shard: FanoutShard, cache: CacheStore } as const;
const BINDINGS = { room: "ROOMS", session: "SESSIONS", shard: "SHARDS", cache: "CACHE_STORE" } as const;

/** What 500 objects do at once takes some seconds on a machine that is busy with other tests. */
const REST_MS = 60_000;
/** Source: Cloudflare's price list. A message is counted for each 64 KB (of 1,000 bytes), with about 100 bytes of its own. */
const QUEUE_CHUNK_BYTES = 64_000;
const QUEUE_ENVELOPE_BYTES = 100;
/** Written, read, deleted. */
const OPERATIONS_A_CHUNK = 3;

type Method = (this: object, ...args: unknown[]) => unknown;
/** Of a namespace: by name, or by id. */
type Finder = (this: object, which: unknown) => object;
type Cursor = { readonly rowsRead: number; readonly rowsWritten: number };
type Exec = SqlStorage["exec"];
type Fetching = { fetch(input: unknown, init: { body: string }): Promise<Response> };

export type Cost = Pick<Ledger, "sqlTrips" | "statements" | "cacheTrips" | "commands">;

/** Counts everything that happens while `work` runs, objects and what goes on after the answer included. */
export async function costOf<T>(work: () => Promise<T>): Promise<{ value: T; cost: Cost }> {
  const meter = new Meter();
  await meter.begin();
  try {
    const value = await work();
    const { sqlTrips, statements, cacheTrips, commands } = await meter.read();
    return { value, cost: { sqlTrips, statements, cacheTrips, commands } };
  } finally {
    meter.end();
  }
}

function nothing(): Record<Owner, number> {
  return { room: 0, session: 0, shard: 0, cache: 0 };
}

/** Counts from `begin` to `end`. Create it before anything is under way that it is to wait for. */
export class Meter {
  /** Frames and closes of clients that have come so far: who waits for one sees it here. */
  socketEvents = 0;
  readonly #patches = new Patches();
  readonly #pending = new Pending();
  #requests = nothing();
  /** As before they were watched. */
  readonly #stubs: Partial<Record<Owner, (name: string) => DurableObjectStub>> = {};
  readonly #owners = new WeakMap<object, Owner>();
  /** Read at the end: a cursor has counted only when it was read. The constructor of an object asks before its owner is known. */
  #cursors: { sql: object; cursor: Cursor }[] = [];
  #alarms: object[] = [];
  #answers: Promise<{ statements: number; rowsRead: number; rowsWritten: number }>[] = [];
  #workerRequests = 0;
  #socketMessages = 0;
  #queueMessages = 0;
  #queueOperations = 0;
  #cacheTrips = 0;
  #commands = 0;

  async begin(): Promise<void> {
    await runInDurableObject(env.CACHE_STORE.getByName("cache-0"), (_object, { storage }) => {
      this.#watchStorage(storage);
    });
    for (const owner of OWNERS) {
      this.#watchObjects(owner, CLASSES[owner].prototype);
      const namespace = env[BINDINGS[owner]];
      this.#stubs[owner] = namespace.getByName.bind(namespace) as (name: string) => DurableObjectStub;
      this.#watchStubs(owner, namespace);
    }
    this.#watchSql();
    this.#watchQueues();
    this.#pending.watchTimers(this.#patches);
    const { fetch } = app;
    this.#patches.shadow(app, "fetch", (...args: Parameters<typeof fetch>) => {
      this.#workerRequests += 1;
      return this.#pending.during(fetch(...args));
    });
  }

  /** From zero. */
  restart(): void {
    this.#requests = nothing();
    this.#cursors = [];
    this.#alarms = [];
    this.#answers = [];
    this.#workerRequests = 0;
    this.#socketMessages = 0;
    this.#queueMessages = 0;
    this.#queueOperations = 0;
    this.#cacheTrips = 0;
    this.#commands = 0;
  }

  /** Until no call is under way and no timer is about to go off. */
  async rest(): Promise<void> {
    await vi.waitFor(
      () => {
        if (!this.#pending.isNothing) {
          throw new Error("it does not come to rest");
        }
      },
      { timeout: REST_MS, interval: 10 },
    );
  }

  /** Lets an object's alarm go off, if one is set. */
  async alarm(owner: Owner, name: string): Promise<void> {
    const stub = this.#stubs[owner]?.(name);
    if (stub !== undefined) {
      await runDurableObjectAlarm(stub);
    }
  }

  async read(): Promise<Ledger> {
    const rowsRead = { ...nothing(), sql: 0 };
    const rowsWritten = { ...nothing(), sql: 0 };
    for (const { sql, cursor } of this.#cursors) {
      const owner = this.#owners.get(sql);
      if (owner !== undefined) {
        rowsRead[owner] += cursor.rowsRead;
        rowsWritten[owner] += cursor.rowsWritten;
      }
    }
    for (const storage of this.#alarms) {
      const owner = this.#owners.get(storage);
      if (owner !== undefined) {
        // Billed as one row. Source: Cloudflare's price list.
        rowsWritten[owner] += 1;
      }
    }
    const answers = await Promise.all(this.#answers);
    for (const answer of answers) {
      rowsRead.sql += answer.rowsRead;
      rowsWritten.sql += answer.rowsWritten;
    }
    return {
      workerRequests: this.#workerRequests,
      requests: { ...this.#requests },
      socketMessages: this.#socketMessages,
      rowsRead,
      rowsWritten,
      sqlTrips: answers.length,
      statements: answers.reduce((sum, answer) => sum + answer.statements, 0),
      queueMessages: this.#queueMessages,
      queueOperations: this.#queueOperations,
      cacheTrips: this.#cacheTrips,
      commands: this.#commands,
    };
  }

  end(): void {
    this.#patches.undo();
  }

  // ---- what is watched

  /** Every call through a stub is billed as a request; until it is answered, something goes on. */
  #watchStubs(owner: Owner, namespace: object): void {
    for (const name of ["get", "getByName"] as const) {
      const find = Reflect.get(namespace, name) as Finder;
      this.#patches.shadow(namespace, name, (which: unknown) => {
        const stub = find.call(namespace, which);
        return new Proxy(stub, {
          get: (_stub, method) => {
            const real: unknown = Reflect.get(stub, method);
            return typeof real === "function"
              ? (...args: unknown[]) => this.#called(owner, args, () => Reflect.apply(real, stub, args))
              : real;
          },
        });
      });
    }
  }

  #called(owner: Owner, args: readonly unknown[], call: () => unknown): unknown {
    this.#requests[owner] += 1;
    if (owner === "cache") {
      this.#cacheTrips += 1;
      this.#commands += (args[0] as CacheCommand[]).length;
    }
    return this.#pending.during(call());
  }

  /** From within: whose storage it is, and what no stub calls. */
  #watchObjects(owner: Owner, prototype: object): void {
    const enter = (object: object, name: string): void => this.#entered(owner, object, name);
    const during = (result: unknown): unknown => this.#pending.during(result);
    for (const name of Object.getOwnPropertyNames(prototype)) {
      if (name !== "constructor") {
        this.#patches.replace<Method>(
          prototype,
          name,
          (real) =>
            function (this: object, ...args) {
              enter(this, name);
              return during(real.apply(this, args));
            },
        );
      }
    }
  }

  #entered(owner: Owner, object: object, name: string): void {
    const { ctx } = object as { ctx: DurableObjectState };
    this.#owners.set(ctx.storage, owner);
    this.#owners.set(ctx.storage.sql, owner);
    this.#requests[owner] += name === "alarm" ? 1 : 0;
    this.#socketMessages += name === "webSocketMessage" ? 1 : 0;
    this.socketEvents += name.startsWith("webSocket") ? 1 : 0;
  }

  #watchStorage(storage: DurableObjectStorage): void {
    const ran = (sql: object, cursor: Cursor) => this.#cursors.push({ sql, cursor });
    const armed = (of: object) => this.#alarms.push(of);
    this.#patches.replace<Exec>(
      Object.getPrototypeOf(storage.sql) as object,
      "exec",
      (real) =>
        function (this: SqlStorage, ...args) {
          const cursor = real.apply(this, args);
          ran(this, cursor);
          // `exec` is generic in its rows, which nobody looks at here.
          return cursor as never;
        },
    );
    this.#patches.replace<DurableObjectStorage["setAlarm"]>(
      Object.getPrototypeOf(storage) as object,
      "setAlarm",
      (real) =>
        function (this: DurableObjectStorage, ...args) {
          armed(this);
          return real.apply(this, args);
        },
    );
  }

  /** Below the builders: what goes over the wire to D1, one request a trip, with what its answer says that it cost. */
  #watchSql(): void {
    // The runtime's own field, which its types leave out.
    const session = (env.DB as unknown as { alwaysPrimarySession: { fetcher: Fetching } }).alwaysPrimarySession;
    const { fetcher } = session;
    session.fetcher = {
      fetch: (input, init) => {
        const asked = JSON.parse(init.body) as unknown;
        const answer = fetcher.fetch(input, init);
        const statements = Array.isArray(asked) ? asked.length : 1;
        this.#answers.push(answer.then((response) => costOfAnswer(response.clone(), statements)));
        return this.#pending.during(answer) as Promise<Response>;
      },
    };
    this.#patches.later(() => {
      session.fetcher = fetcher;
    });
  }

  #watchQueues(): void {
    for (const binding of Object.keys(env).filter((name) => name.startsWith("Q_"))) {
      const queue = env[binding as keyof Env] as Queue;
      const { send, sendBatch } = queue;
      this.#patches.shadow(queue, "send", (body: unknown, options?: QueueSendOptions) => {
        this.#queued([body]);
        return this.#pending.during(send.call(queue, body, options));
      });
      this.#patches.shadow(
        queue,
        "sendBatch",
        (messages: Iterable<MessageSendRequest>, options?: QueueSendBatchOptions) => {
          const batch = [...messages];
          this.#queued(batch.map((message) => message.body));
          return this.#pending.during(sendBatch.call(queue, batch, options));
        },
      );
    }
  }

  #queued(bodies: readonly unknown[]): void {
    this.#queueMessages += bodies.length;
    for (const body of bodies) {
      const chunks = Math.ceil((jsonBytes(body) + QUEUE_ENVELOPE_BYTES) / QUEUE_CHUNK_BYTES);
      this.#queueOperations += chunks * OPERATIONS_A_CHUNK;
    }
  }
}

type Meta = { meta?: { rows_read?: number; rows_written?: number } };

async function costOfAnswer(response: Response, statements: number) {
  const answer = (await response.json()) as Meta | Meta[];
  const metas = (Array.isArray(answer) ? answer : [answer]).map(({ meta }) => meta);
  return {
    statements,
    rowsRead: metas.reduce((sum, meta) => sum + (meta?.rows_read ?? 0), 0),
    rowsWritten: metas.reduce((sum, meta) => sum + (meta?.rows_written ?? 0), 0),
  };
}

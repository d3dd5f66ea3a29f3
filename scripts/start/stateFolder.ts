/**
 * The state folder (GOCHAT_DATA):
 *
 *     lock.sqlite   held by the running server; a kernel lock, so it never outlives the process
 *     server.json   who that is, and which workerd processes it started
 *     jwt-keys      the signing key, made at the first start, mode 0600
 *     rows-in       which database has the rows of SQL (rowsIn.ts)
 *     state/        Durable Objects, D1 and R2, laid out by miniflare
 *     tmp/          emptied at each start
 */
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { reasonOf, StartError } from "./errors.ts";
import { writeWhole } from "./files.ts";
import { identify, type ProcessIdentity } from "./processes.ts";

/** A server that was killed a moment ago may need this long to let go of its lock. */
const LOCK_PATIENCE_MS = 500;
const SQLITE_BUSY = 5;

interface ServerRecord {
  readonly server: ProcessIdentity;
  readonly workerds: readonly ProcessIdentity[];
}

/** An open state folder: nobody else has it while this process lives. */
export class StateFolder {
  readonly path: string;
  readonly #lock: DatabaseSync;
  readonly #self: ProcessIdentity;
  #workerds: ProcessIdentity[];

  private constructor(path: string, lock: DatabaseSync, self: ProcessIdentity) {
    this.path = path;
    this.#lock = lock;
    this.#self = self;
    // What the previous server recorded stays on record until `forgetWorkerds`.
    this.#workerds = [...(readRecord(path)?.workerds ?? [])];
  }

  /** Makes the folder where it is missing and locks it. Throws a `StartError` when it cannot be used. */
  static open(folder: string): StateFolder {
    const self = identify(process.pid) ?? { pid: process.pid, began: "unknown" };
    try {
      makeFolder(resolve(folder));
      const path = realpathSync(folder);
      const state = new StateFolder(path, lockFolder(path), self);
      state.#save();
      return state;
    } catch (error) {
      if (error instanceof StartError) {
        throw error;
      }
      throw new StartError(
        `The state folder ${folder} cannot be written (${reasonOf(error)}): set GOCHAT_DATA to a folder that can.`,
      );
    }
  }

  /** Where miniflare keeps Durable Objects, D1 and R2. */
  get storage(): string {
    return join(this.path, "state");
  }

  /** A new, empty folder for what need not outlive the server. Miniflare would leave its own in /tmp after a kill -9. */
  emptyTemporary(): string {
    const path = join(this.path, "tmp");
    rmSync(path, { recursive: true, force: true });
    mkdirSync(path);
    return path;
  }

  /** Every workerd that this server, or one before it, started here and nobody has seen the end of. */
  get workerds(): readonly ProcessIdentity[] {
    return this.#workerds;
  }

  /** To be called the moment a workerd exists, so that the next start finds it whatever happens to this process. */
  rememberWorkerd(workerd: ProcessIdentity): void {
    this.#workerds.push(workerd);
    this.#save();
  }

  forgetWorkerds(): void {
    this.#workerds = [];
    this.#save();
  }

  /** Lets the next server in. */
  close(): void {
    this.#lock.close();
  }

  #save(): void {
    const record: ServerRecord = { server: this.#self, workerds: this.#workerds };
    writeWhole(join(this.path, "server.json"), `${JSON.stringify(record)}\n`);
  }
}

/**
 * SQLite's file locks are locks of the kernel: two servers cannot both get one, and kill -9 releases it. A file with a
 * process id in it would need rules for when it is stale, and two servers could apply them at the same time.
 */
function lockFolder(path: string): DatabaseSync {
  const database = new DatabaseSync(join(path, "lock.sqlite"), { timeout: LOCK_PATIENCE_MS });
  try {
    database.exec("BEGIN EXCLUSIVE");
    return database;
  } catch (error) {
    database.close();
    if (error instanceof Error && "errcode" in error && error.errcode === SQLITE_BUSY) {
      const holder = readRecord(path)?.server.pid;
      throw new StartError(
        `The state folder ${path} is in use by a running server${holder === undefined ? "" : ` (process ${holder})`}: ` +
          "stop that one, or set GOCHAT_DATA to another folder.",
      );
    }
    throw error;
  }
}

/** With the folders above it. Node's `recursive` never ends where a file system answers "no such file", as /proc does. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) {
    return;
  }
  makeFolder(dirname(folder));
  try {
    mkdirSync(folder);
  } catch (error) {
    // Made by somebody else meanwhile.
    if (reasonOf(error) !== "EEXIST") {
      throw error;
    }
  }
}

function readRecord(path: string): ServerRecord | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(join(path, "server.json"), "utf8"));
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined; // Not there yet, or not ours: then nothing is known.
  }
}

function isRecord(value: unknown): value is ServerRecord {
  return (
    hasKey(value, "server") &&
    isIdentity(value.server) &&
    hasKey(value, "workerds") &&
    Array.isArray(value.workerds) &&
    value.workerds.every(isIdentity)
  );
}

function isIdentity(value: unknown): value is ProcessIdentity {
  return (
    hasKey(value, "pid") && Number.isInteger(value.pid) && hasKey(value, "began") && typeof value.began === "string"
  );
}

function hasKey<K extends string>(value: unknown, key: K): value is Record<K, unknown> {
  return typeof value === "object" && value !== null && key in value;
}

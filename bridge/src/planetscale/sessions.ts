/**
 * Sessions over HTTP. A session is a name that the client sends back with each statement; it holds a connection only
 * while it must: in a transaction, and after statements that leave something on the connection. What it holds ends
 * after a time, and a session that has lost its transaction fails until it says ROLLBACK: no statement that was meant
 * for a transaction ever runs outside of one, and no COMMIT of nothing is answered as done.
 */
import { randomUUID } from "node:crypto";
import type { Pool, PoolConnection } from "mysql2";
import type { Deps } from "../dialect.ts";
import type { MysqlSettings } from "../settings.ts";
import { acquire, kill, type Limits, run, type StatementResult } from "./connections.ts";
import { fault, faultOf, isConnectionError, type SqlFault } from "./errors.ts";
import type { ResultHold } from "./memory.ts";
import { kindOf } from "./statements.ts";

/** What the client echoes. */
export interface SessionToken {
  readonly id: string;
  readonly inTransaction: boolean;
}

export type Outcome = { session: SessionToken } & (
  | { ok: true; result: Exclude<StatementResult, { kind: "too-large" | "no-memory" }> }
  | { ok: false; fault: SqlFault }
);

/** A connection that belongs to one session. */
interface Pin {
  readonly id: string;
  readonly user: string;
  readonly connection: PoolConnection;
  inTransaction: boolean;
  /** Something was left on the connection: it is closed in the end, and never given to others. */
  isChanged: boolean;
  isBusy: boolean;
  /** Ends the statement that runs on it, if one does. */
  abort: ((told: SqlFault) => void) | undefined;
  timer: NodeJS.Timeout | undefined;
}

/** A deadlock rolls back the whole transaction: what follows on that connection would be outside of it. */
const DEADLOCK = 1213;

export class Sessions {
  readonly #pool: Pool;
  readonly #settings: MysqlSettings;
  readonly #metrics: Deps["metrics"];
  readonly #limits: Limits;
  readonly #database: string;
  readonly #pins = new Map<string, Pin>();

  constructor(pool: Pool, settings: MysqlSettings, { metrics }: Pick<Deps, "metrics">) {
    this.#pool = pool;
    this.#settings = settings;
    this.#metrics = metrics;
    this.#limits = { maxRows: settings.maxRows, maxBytes: settings.maxResultBytes };
    this.#database = decodeURIComponent(new URL(settings.url).pathname.slice(1));
  }

  create(): SessionToken {
    return { id: randomUUID(), inTransaction: false };
  }

  /** Runs a statement in a session of this user; never throws. The hold is released by the caller, when the answer is made. */
  async execute(user: string, sql: string, token: SessionToken | undefined, hold: ResultHold): Promise<Outcome> {
    const session = token ?? this.create();
    const pin = this.#pinOf(session.id, user);
    const kind = kindOf(sql);
    if (kind === "refused") {
      return this.#failed(session, fault("UNIMPLEMENTED", "this statement is not available over HTTP"));
    }
    if (!pin && session.inTransaction) {
      return this.#withoutTransaction(session, kind);
    }
    if (!pin && (kind === "commit" || kind === "rollback")) {
      return { ok: true, session, result: NOTHING };
    }
    if (pin?.isBusy) {
      return this.#failed(session, fault("PERMISSION_DENIED", "session already in use"));
    }
    return pin || kind === "begin" || kind === "session"
      ? this.#onPin(pin, { ...session, user }, sql, kind, hold)
      : this.#alone(session, sql, hold);
  }

  /** Rolls back what the session had open. */
  end(user: string, id: string): void {
    const pin = this.#pinOf(id, user);
    if (pin) {
      this.#drop(pin);
    }
  }

  close(): void {
    for (const pin of this.#pins.values()) {
      this.#drop(pin);
    }
  }

  /** A session is its user's own: to everybody else it does not exist. */
  #pinOf(id: string, user: string): Pin | undefined {
    const pin = this.#pins.get(id);
    return pin?.user === user ? pin : undefined;
  }

  #withoutTransaction(session: SessionToken, kind: string): Outcome {
    // ROLLBACK is true whatever happened; the client may go on from here.
    return kind === "rollback"
      ? { ok: true, session: { ...session, inTransaction: false }, result: NOTHING }
      : this.#failed(session, fault("ABORTED", `transaction ${session.id}: not found`));
  }

  #failed(session: SessionToken, told: SqlFault): Outcome {
    return { ok: false, session, fault: told };
  }

  async #alone(session: SessionToken, sql: string, hold: ResultHold): Promise<Outcome> {
    let connection: PoolConnection;
    try {
      connection = await acquire(this.#pool);
    } catch (error) {
      return this.#failed(session, this.#faultOf(error));
    }
    try {
      return this.#told(session, await this.#timed(connection, sql, hold).result);
    } catch (error) {
      return this.#failed(session, this.#faultOf(error));
    } finally {
      // After `destroy` this does nothing.
      connection.release();
    }
  }

  async #onPin(
    existing: Pin | undefined,
    session: SessionToken & { user: string },
    sql: string,
    kind: string,
    hold: ResultHold,
  ): Promise<Outcome> {
    let pin: Pin;
    try {
      pin = existing ?? this.#pin(session.id, session.user, await acquire(this.#pool));
    } catch (error) {
      return this.#failed({ id: session.id, inTransaction: false }, this.#faultOf(error));
    }
    pin.isBusy = true;
    pin.isChanged ||= kind === "session";
    const statement = this.#timed(pin.connection, sql, hold);
    pin.abort = statement.abort;
    try {
      const result = await statement.result;
      pin.isBusy = false;
      this.#follow(pin, result);
      return this.#told({ id: pin.id, inTransaction: pin.inTransaction }, result);
    } catch (error) {
      pin.isBusy = false;
      const { inTransaction } = pin;
      const isLost = isConnectionError(error) || (inTransaction && isDeadlock(error));
      if (isLost || (!inTransaction && !pin.isChanged)) {
        this.#drop(pin);
      }
      return this.#failed({ id: pin.id, inTransaction }, this.#faultOf(error));
    }
  }

  #pin(id: string, user: string, connection: PoolConnection): Pin {
    const blank = { inTransaction: false, isChanged: false, isBusy: false, abort: undefined, timer: undefined };
    const pin: Pin = { id, user, connection, ...blank };
    this.#pins.set(id, pin);
    this.#metrics.sqlSessions.set(this.#pins.size);
    return pin;
  }

  /** MySQL says after each statement whether a transaction is open: BEGIN, an implied commit and CHAIN all show. */
  #follow(pin: Pin, result: StatementResult): void {
    const was = pin.inTransaction;
    if (result.kind === "changed") {
      pin.inTransaction = result.inTransaction;
    }
    if (!pin.inTransaction && !pin.isChanged) {
      this.#unpin(pin);
      pin.connection.release();
    } else if (!was || !pin.inTransaction) {
      // A transaction's time runs from its beginning; a changed session's from its last statement.
      this.#arm(pin);
    }
  }

  #arm(pin: Pin): void {
    clearTimeout(pin.timer);
    const limitMs = this.#settings.transactionTimeoutMs;
    pin.timer = setTimeout(() => {
      this.#metrics.sqlTimeouts.inc({ kind: pin.inTransaction ? "transaction" : "session" });
      this.#drop(pin, fault("ABORTED", `transaction ${pin.id}: ended after ${limitMs} ms (exceeded timeout)`));
    }, limitMs);
    pin.timer.unref();
  }

  #unpin(pin: Pin): void {
    clearTimeout(pin.timer);
    if (this.#pins.get(pin.id) === pin) {
      this.#pins.delete(pin.id);
    }
    this.#metrics.sqlSessions.set(this.#pins.size);
  }

  /** Closing the connection rolls back; a statement that still runs is killed. */
  #drop(pin: Pin, told = fault("ABORTED", `transaction ${pin.id}: ended`)): void {
    this.#unpin(pin);
    if (pin.isBusy) {
      kill(this.#pool, pin.connection);
      pin.abort?.(told);
    } else {
      pin.connection.destroy();
    }
  }

  /** mysql2 leaves a statement on a destroyed connection without an answer, so whoever destroys says what to answer. */
  #timed(
    connection: PoolConnection,
    sql: string,
    hold: ResultHold,
  ): { result: Promise<StatementResult>; abort: (told: SqlFault) => void } {
    const aborted = Promise.withResolvers<never>();
    const abort = (told: SqlFault): void => aborted.reject(new Ended(told));
    const timer = setTimeout(() => {
      this.#metrics.sqlTimeouts.inc({ kind: "statement" });
      kill(this.#pool, connection);
      abort(TOO_LONG);
    }, this.#settings.queryTimeoutMs);
    const running = run(connection, sql, this.#limits, hold);
    const result = Promise.race([running, aborted.promise]).finally(() => clearTimeout(timer));
    return { result, abort };
  }

  #faultOf(error: unknown): SqlFault {
    return error instanceof Ended ? error.told : faultOf(error, this.#database);
  }

  #told(session: SessionToken, result: StatementResult): Outcome {
    if (result.kind === "no-memory") {
      return this.#failed(session, NO_MEMORY);
    }
    if (result.kind !== "too-large") {
      return { ok: true, session, result };
    }
    const { maxRows, maxBytes } = this.#limits;
    const text = `the result has more than ${maxRows} rows or ${maxBytes} bytes`;
    return this.#failed(session, fault("RESOURCE_EXHAUSTED", text));
  }
}

const NOTHING = { kind: "changed", rowsAffected: "0", insertId: "0", inTransaction: false } as const;
const NO_MEMORY = fault("RESOURCE_EXHAUSTED", "other results have all memory that there is for them", 503);
const TOO_LONG = fault("DEADLINE_EXCEEDED", "the statement took too long and was ended");

/** A statement that the bridge has ended. */
class Ended extends Error {
  readonly told: SqlFault;

  constructor(told: SqlFault) {
    super(told.code);
    this.told = told;
  }
}

function isDeadlock(error: unknown): boolean {
  return typeof error === "object" && error !== null && "errno" in error && error.errno === DEADLOCK;
}

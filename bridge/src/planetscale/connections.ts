/** MySQL's side: a pool whose connections are all set up alike, and statements whose results are bounded. */
import { createPool, type Pool, type PoolConnection, type SslOptions } from "mysql2";
import type { MysqlSettings, TlsSettings } from "../settings.ts";
import type { ResultHold } from "./memory.ts";
import { type Column, type Field, fieldOf, insertIdText, type Row, rowOf } from "./results.ts";

/** Waiting for a connection longer than this helps nobody: the caller's own limit is near. */
const ACQUIRE_LIMIT_MS = 5_000;
const CONNECT_TIMEOUT_MS = 5_000;
/** Requests that may wait for a connection. */
const QUEUE_LIMIT = 1_000;
const DEFAULT_PORT = 3306;
/** SERVER_STATUS_IN_TRANS of MySQL's protocol. */
const IN_TRANSACTION = 1;

/**
 * The client writes values into the statement with backslash escapes, in UTF-8: a server that read them otherwise
 * would be open to injection, so every connection says how. Strict, and in UTC, as PlanetScale is.
 */
const SET_UP =
  "SET time_zone = '+00:00', sql_mode = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE," +
  "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'";

/** What a statement gave: rows, or how many it changed. */
export type StatementResult =
  | { kind: "rows"; fields: Field[]; rows: Row[] }
  | { kind: "changed"; rowsAffected: string; insertId: string; inTransaction: boolean }
  /** More than the limits allow, or than there is memory for at the moment: read to the end, and not kept. */
  | { kind: "too-large" }
  | { kind: "no-memory" };

export interface Limits {
  readonly maxRows: number;
  readonly maxBytes: number;
}

export function connectionPool(settings: MysqlSettings): Pool {
  const address = new URL(settings.url);
  const pool = createPool({
    host: address.hostname.replace(/^\[|\]$/g, ""),
    port: address.port === "" ? DEFAULT_PORT : Number(address.port),
    user: decodeURIComponent(address.username),
    password: decodeURIComponent(address.password),
    database: decodeURIComponent(address.pathname.slice(1)),
    ...(settings.tls ? { ssl: tlsOf(settings.tls) } : {}),
    charset: "utf8mb4",
    connectionLimit: settings.connections,
    queueLimit: QUEUE_LIMIT,
    connectTimeout: CONNECT_TIMEOUT_MS,
    multipleStatements: false,
    supportBigNumbers: true,
    bigNumberStrings: true,
    // No code is made from the columns of a result, and so none of it has to be kept.
    disableEval: true,
  });
  pool.on("connection", (connection) => {
    connection.query(SET_UP, (error) => {
      if (error) {
        connection.destroy();
      }
    });
    // What runs on it is told by its own callback.
    connection.on("error", () => undefined);
  });
  return pool;
}

/** mysql2 would take any certificate that somebody vouches for, whomever it names. */
function tlsOf({ ca }: TlsSettings): SslOptions {
  return { verifyIdentity: true, ...(ca === undefined ? {} : { ca }) };
}

/** A connection of the pool; rejects when there is none in time, and gives back one that comes too late. */
export function acquire(pool: Pool): Promise<PoolConnection> {
  const { promise, resolve, reject } = Promise.withResolvers<PoolConnection>();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    reject(new Error("no connection in time"));
  }, ACQUIRE_LIMIT_MS);
  pool.getConnection((error, connection) => {
    clearTimeout(timer);
    if (error) {
      reject(error);
    } else if (late) {
      connection.release();
    } else {
      resolve(connection);
    }
  });
  return promise;
}

/** What a row costs besides its values. */
const ROW_BYTES = 64;

/** Runs one statement. Rejects with MySQL's error, or with the connection's. The hold is the caller's to release. */
export function run(
  connection: PoolConnection,
  sql: string,
  limits: Limits,
  hold: ResultHold,
): Promise<StatementResult> {
  const { promise, resolve, reject } = Promise.withResolvers<StatementResult>();
  const fields: Field[] = [];
  const rows: Row[] = [];
  let bytes = 0;
  let refused: "too-large" | "no-memory" | undefined;
  let changed: StatementResult | undefined;
  const query = connection.query({ sql, rowsAsArray: true, typeCast: (field) => field.buffer() });
  query.on("error", reject);
  query.on("fields", (columns: unknown) => {
    if (Array.isArray(columns)) {
      fields.push(...columns.map((column: Column) => fieldOf(column)));
    }
  });
  query.on("result", (result: unknown) => {
    if (!Array.isArray(result)) {
      changed = changeOf(result);
      return;
    }
    if (refused) {
      return;
    }
    const row = rowOf(result);
    bytes += row.values.length;
    if (rows.length >= limits.maxRows || bytes > limits.maxBytes) {
      refused = "too-large";
    } else if (!hold.take(row.values.length + ROW_BYTES)) {
      refused = "no-memory";
    } else {
      rows.push(row);
      return;
    }
    rows.length = 0;
    hold.release();
  });
  query.on("end", () => resolve(changed ?? (refused ? { kind: refused } : { kind: "rows", fields, rows })));
  return promise;
}

interface ResultHeader {
  readonly affectedRows?: number | string;
  readonly insertId?: number | string;
  readonly serverStatus?: number;
}

function changeOf(result: unknown): StatementResult {
  const header: ResultHeader = typeof result === "object" && result !== null ? result : {};
  return {
    kind: "changed",
    rowsAffected: String(header.affectedRows ?? 0),
    insertId: insertIdText(header.insertId ?? 0),
    inTransaction: ((header.serverStatus ?? 0) & IN_TRANSACTION) !== 0,
  };
}

/** Ends a statement that runs too long. Closing the connection alone would let MySQL work on; best effort. */
export function kill(pool: Pool, connection: PoolConnection): void {
  const { threadId } = connection;
  connection.destroy();
  pool.query(`KILL ${Number(threadId)}`, () => undefined);
}

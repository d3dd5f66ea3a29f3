/**
 * What a failing database means, whichever it is: the one place that knows the error texts of D1 and the error numbers of
 * MySQL. Every query runs behind one breaker and within a time limit.
 */
import { breakerFor, DependencyDown } from "../telemetry/breaker.ts";

/** SQL did not answer, or refused for a reason that goes away: an outage, not a mistake in a statement. */
export class SqlUnavailable extends Error {
  override readonly name = "SqlUnavailable";
}

/**
 * What MySQL says, without its text: that one repeats the statement, with everything that users wrote in it, and errors
 * are logged.
 */
export class MysqlError extends Error {
  override readonly name = "MysqlError";
  /** MySQL's number of the error; `null` when the answer came from something before it (Vitess, the bridge, a proxy). */
  readonly errno: number | null;
  /** Of the answer, as Vitess calls it (`UNAVAILABLE`, …). */
  readonly code: string;
  /** HTTP status of the answer; 400 for what the database itself refused. */
  readonly status: number;
  /** Name of the unique index that a row violated. */
  readonly index: string | null;

  constructor(parts: { errno: number | null; code: string; status: number; index: string | null }) {
    const { errno, code, status, index } = parts;
    const what = errno === null ? `${code}, HTTP ${status}` : `error ${errno}`;
    super(`MySQL: ${what}${index === null ? "" : ` on ${index}`}`);
    this.errno = errno;
    this.code = code;
    this.status = status;
    this.index = index;
  }
}

/** A query takes some milliseconds; whoever waits for an answer gets one within this time, be it "later". */
const LIMIT_MS = 4_000;

const breaker = breakerFor("sql", { limitMs: LIMIT_MS, isOutage });

/**
 * Runs one query, within its time limit and behind the breaker of SQL.
 * @param limitMs where the usual time limit does not fit
 * @throws SqlUnavailable when the database is away; anything else thrown is a bug or a violated constraint
 */
export async function guarded<T>(query: () => PromiseLike<T>, limitMs: number = LIMIT_MS): Promise<T> {
  try {
    return await breaker.run(query, limitMs);
  } catch (error) {
    if (error instanceof DependencyDown || isOutage(error)) {
      throw new SqlUnavailable("SQL is not available", { cause: error });
    }
    throw error;
  }
}

/** Texts of SQLite and D1 that mean "the statement is wrong", for which no waiting helps. */
const STATEMENT_FAULT =
  /SQLITE_(CONSTRAINT|ERROR|MISMATCH|TOOBIG|AUTH|RANGE)|constraint failed|no such (table|column)|syntax error|D1_TYPE_ERROR/;

/**
 * Texts of the platform between the Worker and the database. Source: Cloudflare's list of D1 errors and the Durable
 * Object error page; D1 prefixes its own with "D1_ERROR". The last two: `fetch` to the front of a MySQL, from workerd and Node.
 */
const OUTAGE =
  /D1_ERROR|D1_EXEC_ERROR|Network connection lost|internal error|overloaded|caused object to be reset|timed out|fetch failed|aborted due to timeout/i;

/**
 * Numbers of MySQL that go away: too many connections, shutting down, lock wait, deadlock (which was tried again before), read-only (a failover),
 * server gone, connection lost or killed, query interrupted or too slow. Source: MySQL 8 and MariaDB error references.
 */
const OUTAGE_NUMBERS: ReadonlySet<number> = new Set([
  1040, 1053, 1152, 1158, 1159, 1160, 1161, 1203, 1205, 1213, 1290, 1317, 1836, 1927, 1969, 2002, 2003, 2006, 2013,
  3024,
]);

/** Codes of Vitess, and of gRPC, for a database that does not serve now. */
const OUTAGE_CODES: ReadonlySet<string> = new Set([
  "UNAVAILABLE",
  "DEADLINE_EXCEEDED",
  "RESOURCE_EXHAUSTED",
  "ABORTED",
  "CANCELED",
]);

/** Will waiting help? */
export function isOutage(error: unknown): boolean {
  if (error instanceof MysqlError) {
    const { errno, code, status } = error;
    // Refused credentials (401, 403) are somebody's mistake, but nobody's who sends a request.
    return errno === null ? OUTAGE_CODES.has(code) || status !== 400 : OUTAGE_NUMBERS.has(errno);
  }
  const texts = [...messagesOf(error)];
  return texts.some((text) => OUTAGE.test(text)) && !texts.some((text) => STATEMENT_FAULT.test(text));
}

/**
 * The unique index that a statement violated, or `null` for any other error. An index over one column is named
 * `table_column`, also where the database names the column (SQLite: "UNIQUE constraint failed: users.email_lower").
 */
export function violatedIndex(error: unknown): string | null {
  if (error instanceof MysqlError) {
    return error.index;
  }
  for (const text of messagesOf(error)) {
    const column = /UNIQUE constraint failed: (\w+\.\w+)/.exec(text)?.[1];
    if (column !== undefined) {
      return column.replace(".", "_");
    }
  }
  return null;
}

/** Drizzle wraps D1 wraps SQLite; eight levels is more than they ever do, and ends a cycle. */
const MAX_CAUSES = 8;

/** Drizzle's own message repeats statement and parameters, so what a user wrote could look like an error's text. */
const DRIZZLE_WRAPPER = "Failed query:";

function* messagesOf(error: unknown): Generator<string> {
  let current = error;
  for (let depth = 0; depth < MAX_CAUSES && current instanceof Error; depth++) {
    if (!current.message.startsWith(DRIZZLE_WRAPPER)) {
      yield current.message;
    }
    current = current.cause;
  }
}

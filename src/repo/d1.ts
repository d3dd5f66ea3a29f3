/**
 * What every D1 repository needs: one way to run a batch, and one place that knows D1's error texts. D1 has no
 * interactive transactions; what must be atomic is one `batch` whose conditions stand inside the SQL.
 */
import { sql, type SQL } from "drizzle-orm";
import type { BatchItem } from "drizzle-orm/batch";
import { drizzle, type DrizzleD1Database } from "drizzle-orm/d1";
import { breakerFor, DependencyDown } from "../telemetry/breaker.ts";

/**
 * The database as the repositories use it: builders and the `sql` tag, no relational queries. Two things that Drizzle's D1
 * driver cannot do inside a `batch`: `db.run(sql)` with parameters (it has no statement to bind them to), and a join of
 * two tables with a column name in common (rows come back by name). So batches hold builders over one table each.
 */
export type Db = DrizzleD1Database;

export type Statement = BatchItem<"sqlite">;

/** Opens Drizzle on a D1 binding (or a D1 session). It holds no state; one a request is fine. */
export function openD1(binding: D1Database): Db {
  return drizzle(binding);
}

/** SQL did not answer, or refused for a reason that goes away: an outage, not a mistake in a statement. */
export class SqlUnavailable extends Error {
  override readonly name = "SqlUnavailable";
}

/**
 * Runs statements as one transaction and answers their results in order.
 * @param limitMs where the usual time limit does not fit
 * @throws SqlUnavailable when the database is away; anything else thrown is a bug or a violated constraint
 */
export async function runBatch(
  db: Db,
  statements: readonly Statement[],
  limitMs?: number,
): Promise<readonly unknown[]> {
  const [first, ...rest] = statements;
  if (first === undefined) {
    return [];
  }
  return guarded(() => db.batch([first, ...rest]), limitMs);
}

/** A query takes some milliseconds; whoever waits for an answer gets one within this time, be it "later". */
const LIMIT_MS = 4_000;

const breaker = breakerFor("sql", { limitMs: LIMIT_MS, isOutage });

/** Runs one query, within its time limit and behind the breaker of SQL; throws as `runBatch` does. */
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
 * Object error page; D1 prefixes its own with "D1_ERROR".
 */
const OUTAGE =
  /D1_ERROR|D1_EXEC_ERROR|Network connection lost|internal error|overloaded|caused object to be reset|timed out|fetch failed/i;

function isOutage(error: unknown): boolean {
  const texts = [...messagesOf(error)];
  return texts.some((text) => OUTAGE.test(text)) && !texts.some((text) => STATEMENT_FAULT.test(text));
}

/**
 * The `table.column` whose unique index a statement violated, or `null` for any other error.
 * SQLite's text: "UNIQUE constraint failed: users.email_lower".
 */
export function violatedColumn(error: unknown): string | null {
  for (const text of messagesOf(error)) {
    const column = uniqueColumnIn(text);
    if (column !== null) {
      return column;
    }
  }
  return null;
}

function uniqueColumnIn(text: string): string | null {
  return /UNIQUE constraint failed: (\w+\.\w+)/.exec(text)?.[1] ?? null;
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

/** An id list as one JSON parameter: D1 binds only 100 values. */
export function idsIn(ids: readonly string[]): SQL {
  return sql`(SELECT value FROM json_each(${JSON.stringify(ids)}))`;
}

/** How many rows a `db.run` of a batch changed. */
export function changesOf(result: unknown): number {
  const meta = typeof result === "object" && result !== null && "meta" in result ? result.meta : undefined;
  const changes = typeof meta === "object" && meta !== null && "changes" in meta ? meta.changes : undefined;
  return typeof changes === "number" ? changes : 0;
}

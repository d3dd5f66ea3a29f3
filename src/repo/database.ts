/**
 * A database as the repositories see it, which are written once: Drizzle's builders, one way to run them, and a few words
 * that dialects say differently. D1 (d1.ts) and MySQL (mysql.ts) implement it.
 *
 * Types are those of SQLite in both: the two schemas are equal (schema/equal.test.ts), and so are the parts of Drizzle's builders
 * named here. What is not alike (conflicts of an insert, lists, JSON, results of writes) goes through `dialect` and `affectedBy`. The same
 * tests run on both databases (test/repo).
 */
import type { SQL, SQLWrapper } from "drizzle-orm";
import type { BatchItem, BatchResponse } from "drizzle-orm/batch";
import type { DrizzleD1Database } from "drizzle-orm/d1";
import type { RunnableQuery } from "drizzle-orm/runnable-query";
import type { AnySQLiteInsert, SQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import type * as schema from "../../schema/sqlite.ts";
import type { RoomRows } from "./roomRows.ts";

export type Tables = typeof schema;

/** Queries without relations, `returning` and `onConflict…`, which not every dialect has. */
export type Builders = Pick<DrizzleD1Database, "select" | "insert" | "update" | "delete">;

/** A builder that has not run yet; to await it runs it. */
export type Statement = BatchItem<"sqlite"> & PromiseLike<unknown>;
/** A builder whose rows are known. */
export type Query<Row> = RunnableQuery<Row[], "sqlite"> & PromiseLike<Row[]>;
export type Statements = Readonly<[Statement, ...Statement[]]>;

/** `"recent"`: may miss what was written a moment ago, so a replica may answer. */
export type Freshness = "now" | "recent";

/** Every method throws `SqlUnavailable` when the database is away; anything else thrown is a bug or a violated constraint. */
export interface Database {
  readonly tables: Tables;
  readonly dialect: Dialect;
  /** The rows of one query. */
  query<T>(make: (db: Builders) => PromiseLike<T>, freshness?: Freshness): Promise<T>;
  /** The rows of a query that no builder can say, by the names of its columns; whole numbers are numbers. */
  rows<T>(query: SQL, freshness?: Freshness): Promise<T[]>;
  /** One statement that changes something. Answers `affectedBy`. */
  change(make: (db: Builders) => Statement): Promise<number>;
  /** Several queries in the time of one. Not a snapshot: what changes meanwhile may be in some answers only. */
  queries<T extends Statements>(make: (db: Builders) => T): Promise<BatchResponse<T>>;
  /**
   * Statements as one transaction; results in order. No statement can depend on an earlier one's result, except by what it finds in
   * the tables: D1 has no interactive transactions. `make` may be called again, when the transaction met a deadlock.
   */
  atomically<T extends Statements>(make: (db: Builders) => T): Promise<BatchResponse<T>>;
  /**
   * Writes copies of rooms; see roomRows.ts for what makes it idempotent.
   * @param limitMs how long it may take in all, where nobody waits for the answer
   */
  applyRows(rows: RoomRows, limitMs?: number): Promise<void>;
}

/** What the dialects say differently. */
export interface Dialect {
  /** `(…)` behind IN, of any number of values. An empty list holds nothing. */
  list(values: readonly (string | number)[]): SQL;
  /** The larger of two numbers; NULL when one of them is. */
  greatest(a: SQLWrapper, b: SQLWrapper): SQL;
  /** In the assignments of an upsert: what the row that was to be inserted has in this column. */
  incoming(column: SQLiteColumn): SQL;
  /** Leaves a row alone that has the same key already. */
  keepFirst(insert: AnySQLiteInsert, key: readonly [SQLiteColumn, ...SQLiteColumn[]]): Statement;
  /** Changes the row that has the same key already. */
  upsert(table: SQLiteTable, insert: AnySQLiteInsert, upsert: Upsert): Statement;
  /** RFC 7396: `patch` on top of the JSON text `base`; what is NULL in the patch is left out. */
  mergeJson(base: string, patch: SQL): SQL;
  /** JSON's true where the condition holds, else false. */
  jsonBoolean(condition: SQL): SQL;
  /** The newest stored message of each of these conversations. */
  newest(db: Builders, conversationIds: readonly string[]): Query<Tables["messages"]["$inferSelect"]>;
}

/** What becomes of a row that an insert meets. */
export interface Upsert {
  readonly key: SQLiteColumn[];
  /**
   * New values by property name. MySQL assigns one after the other and lets the later ones see the new values: columns that `where` reads
   * stand last, and must not make it false for those behind them unless these have their new value anyway.
   */
  readonly set: Readonly<Record<string, SQL>>;
  /** Only where this holds. */
  readonly where?: SQL;
}

/**
 * How many rows a statement has met. For an update on MySQL, whether rows count that had the new values already depends on a flag
 * of the connection: 0 does not prove that there is no such row.
 * @param result of a write: D1's or the PlanetScale driver's
 */
export function affectedBy(result: unknown): number {
  const { meta, rowsAffected } = fieldsOf(result);
  const count = rowsAffected ?? fieldsOf(meta)["changes"];
  return typeof count === "number" ? count : 0;
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

/** The two ends of a copy, and the tables that are copied. The schemas of both databases are equal (schema/equal.test.ts), so one of them names all. */
import { getTableConfig, type MySqlTable } from "drizzle-orm/mysql-core";
import * as schema from "../../schema/mysql.ts";
import { WORLD_ROOM_ID } from "../../src/domain/records.ts";
import type { SqlEngine } from "../start/rowsIn.ts";

export type Cell = string | number | null;
export type Row = readonly Cell[];

export interface Table {
  readonly name: string;
  /** In the order of a row's cells. */
  readonly columns: readonly string[];
  readonly primaryKey: readonly string[];
}

export const TABLES: readonly Table[] = Object.values(schema).map((table: MySqlTable) => {
  const { name, columns, primaryKeys } = getTableConfig(table);
  return {
    name,
    columns: columns.map((column) => column.name),
    primaryKey: [...columns.filter((column) => column.primary), ...primaryKeys.flatMap((key) => key.columns)].map(
      (column) => column.name,
    ),
  };
});

/** Rows in one step. Messages are the largest: their content is below 64 KiB. */
export const PAGE_ROWS = 500;

export interface Side {
  /** For whoever reads the terminal; without credentials. */
  readonly name: string;
  readonly engine: SqlEngine;
  /** Real path of the state folder that it lies in; undefined for a file of its own, and for MySQL. */
  readonly stateFolder?: string | undefined;
  count(table: Table): Promise<number>;
  /** All rows by primary key, page by page. */
  pages(table: Table): AsyncIterable<Row[]> | Iterable<Row[]>;
  insert(table: Table, rows: readonly Row[]): Promise<void>;
  /** Removes every row. */
  empty(table: Table): Promise<void>;
  close(): Promise<void>;
}

/** Every database has the world room, from its migrations: a copy brings its own. */
export async function isFresh(side: Side): Promise<boolean> {
  for (const table of TABLES) {
    if ((await side.count(table)) > (table.name === "conversations" ? 1 : 0)) {
      return false;
    }
  }
  const conversations = TABLES.find((table) => table.name === "conversations");
  if (conversations !== undefined) {
    for await (const rows of side.pages(conversations)) {
      return rows.every(([id]) => id === WORLD_ROOM_ID);
    }
  }
  return true;
}

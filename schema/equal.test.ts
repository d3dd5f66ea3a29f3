import { is } from "drizzle-orm";
import type { MySqlTable } from "drizzle-orm/mysql-core";
import { getTableConfig as mysqlConfig } from "drizzle-orm/mysql-core";
import { getTableConfig as sqliteConfig, SQLiteTable } from "drizzle-orm/sqlite-core";
import { describe, expectTypeOf, it } from "vitest";
import * as mysql from "./mysql.ts";
import * as sqlite from "./sqlite.ts";

/** What both dialects must have alike: everything but the names of the column types. */
interface Described {
  readonly name: string;
  readonly columns: { key: string; name: string; value: string; notNull: boolean; byDefault: unknown }[];
  readonly primaryKey: string[];
  readonly indexes: { name: string; unique: boolean; columns: string[] }[];
}

type AnyConfig = ReturnType<typeof sqliteConfig> | ReturnType<typeof mysqlConfig>;

function described(table: SQLiteTable | MySqlTable): Described {
  const config: AnyConfig = is(table, SQLiteTable) ? sqliteConfig(table) : mysqlConfig(table);
  const keyOf = new Map(Object.entries(table).map(([key, column]) => [column, key]));
  return {
    name: config.name,
    columns: config.columns.map((column) => ({
      key: keyOf.get(column) ?? "",
      name: column.name,
      // A custom type of MySQL is always one of our texts.
      value: column.dataType === "custom" ? "string" : column.dataType,
      notNull: column.notNull,
      byDefault: column.default,
    })),
    primaryKey: [
      ...config.columns.filter((column) => column.primary).map((column) => column.name),
      ...config.primaryKeys.flatMap((key) => key.columns.map((column) => column.name)),
    ],
    indexes: config.indexes
      .map(({ config: { name, unique, columns } }) => ({
        name: name ?? "",
        unique: unique ?? false,
        columns: columns.map((column) => ("name" in column ? String(column.name) : "an expression")),
      }))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

/** Tables by the name they are exported under. */
const ofMysql = new Map<string, MySqlTable>(Object.entries(mysql));
const ofSqlite = new Map<string, SQLiteTable>(Object.entries(sqlite));

describe("the two schemas", () => {
  it("have the same tables, under the same names", ({ expect }) => {
    expect([...ofMysql.keys()].toSorted()).toEqual([...ofSqlite.keys()].toSorted());
  });

  it.for([...ofSqlite])("%s: the same columns in the same order, keys and indexes", ([name, table], { expect }) => {
    const other = ofMysql.get(name);
    expect(other && described(other)).toEqual(described(table));
  });

  it("give the same rows to TypeScript, read and written", () => {
    expectTypeOf<Rows<typeof mysql>>().toEqualTypeOf<Rows<typeof sqlite>>();
    expectTypeOf<NewRows<typeof mysql>>().toEqualTypeOf<NewRows<typeof sqlite>>();
  });

  it("has no key that MySQL cannot hold", ({ expect }) => {
    const KEY_LIMIT_BYTES = 3072; // InnoDB, rows of format DYNAMIC.
    for (const table of ofMysql.values()) {
      const config = mysqlConfig(table);
      const { primaryKey, indexes } = described(table);
      const keys = [primaryKey, ...indexes.map((index) => index.columns)];
      for (const key of keys) {
        const parts = config.columns.filter((column) => key.includes(column.name));
        const bytes = parts.reduce((sum, column) => sum + bytesOf(column.getSQLType()), 0);
        expect(bytes, `${config.name}: ${key.join(", ")}`).toBeLessThanOrEqual(KEY_LIMIT_BYTES);
      }
    }
  });
});

type Rows<T extends Record<keyof T, { $inferSelect: unknown }>> = { [K in keyof T]: T[K]["$inferSelect"] };
type NewRows<T extends Record<keyof T, { $inferInsert: unknown }>> = { [K in keyof T]: T[K]["$inferInsert"] };

/** Of one column within a key; four bytes a character, and no long text may be there at all. */
function bytesOf(type: string): number {
  const length = /^varchar\((\d+)\)/.exec(type)?.[1];
  return type.startsWith("mediumtext") ? Infinity : length === undefined ? 8 : 4 * Number(length) + 2;
}

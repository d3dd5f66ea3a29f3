/** A D1 as one end of a copy: the file of a stopped server, or a file that goes to or comes from Cloudflare. */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { d1File } from "../start/d1File.ts";
import { StartError } from "../start/errors.ts";
import { applyMigrations, type MigratedDatabase } from "../start/migrations.ts";
import { StateFolder } from "../start/stateFolder.ts";
import { type Cell, PAGE_ROWS, type Row, type Side, type Table } from "./side.ts";

const MIGRATIONS = join(import.meta.dirname, "../../schema/migrations/sqlite");

/**
 * @param path the state folder of a server that does not run, or a file of SQLite, which is made where there is none
 * @throws StartError when the folder is in use, or has no database yet
 */
export async function sqliteSide(path: string): Promise<Side> {
  const isFolder = existsSync(path) && statSync(path).isDirectory();
  const folder = isFolder ? StateFolder.open(path) : undefined;
  const file = isFolder ? d1File(path) : path;
  if (file === undefined) {
    folder?.close();
    throw new StartError(`The state folder ${path} has no database yet: start the server on it once.`);
  }
  const database = new DatabaseSync(file);
  await applyMigrations(asMigrated(database), MIGRATIONS);
  return {
    name: path,
    count: ({ name }) => Promise.resolve(Number(database.prepare(`SELECT count(*) AS n FROM ${name}`).get()?.["n"])),
    pages: (table) => pages(database, table),
    insert({ name, columns }, rows) {
      const places = columns.map(() => "?").join(", ");
      const insert = database.prepare(`INSERT INTO ${name} (${columns.join(", ")}) VALUES (${places})`);
      database.exec("BEGIN");
      try {
        for (const row of rows) {
          insert.run(...row);
        }
        database.exec("COMMIT");
      } catch (error) {
        database.exec("ROLLBACK");
        throw error;
      }
      return Promise.resolve();
    },
    empty({ name }) {
      database.exec(`DELETE FROM ${name}`);
      return Promise.resolve();
    },
    close() {
      database.close();
      folder?.close();
      return Promise.resolve();
    },
  };
}

function* pages(database: DatabaseSync, { name, columns, primaryKey }: Table): Generator<Row[]> {
  const select = database.prepare(`SELECT ${columns.join(", ")} FROM ${name} ORDER BY ${primaryKey.join(", ")}`);
  let page: Row[] = [];
  for (const row of select.iterate()) {
    page.push(columns.map((column) => cellOf(row[column])));
    if (page.length === PAGE_ROWS) {
      yield page;
      page = [];
    }
  }
  if (page.length > 0) {
    yield page;
  }
}

function cellOf(value: unknown): Cell {
  return typeof value === "string" || typeof value === "number" ? value : null;
}

/** As the migrations know a D1; one batch is one transaction. */
function asMigrated(database: DatabaseSync): MigratedDatabase {
  const statement = (sql: string, values: readonly unknown[] = []) => ({
    bind: (...bound: unknown[]) => statement(sql, bound),
    all: () => Promise.resolve({ results: database.prepare(sql).all(...values.map(cellOf)) }),
  });
  return {
    prepare: (sql) => statement(sql),
    async batch(statements) {
      database.exec("BEGIN");
      try {
        for (const one of statements) {
          await one.all();
        }
        database.exec("COMMIT");
      } catch (error) {
        database.exec("ROLLBACK");
        throw error;
      }
    },
  };
}

/** A D1 as one end of a copy: the file of a stopped server, or a file that goes to or comes from Cloudflare. */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { d1File, hasOurTables } from "../start/d1File.ts";
import { StartError } from "../start/errors.ts";
import { endLeftovers } from "../start/leftover.ts";
import { applyMigrations, type MigratedDatabase } from "../start/migrations.ts";
import { StateFolder } from "../start/stateFolder.ts";
import { type Cell, PAGE_ROWS, type Row, type Side, type Table } from "./side.ts";

const MIGRATIONS = join(import.meta.dirname, "../../schema/migrations/sqlite");

/** Endings that a new file may have: a state folder whose name was misspelt has none of them. */
const NEW_FILE = /\.(?:sqlite3?|db)$/;
/** SQLite's number for a file that is something else. */
const SQLITE_NOTADB = 26;

/**
 * @param path the state folder of a server that does not run, or a file of SQLite
 * @param end a source has to be there; the file of a target is made where there is none
 * @throws StartError when there is no such database, or the folder is in use
 */
export async function sqliteSide(path: string, end: "source" | "target"): Promise<Side> {
  const isFolder = existsSync(path) && statSync(path).isDirectory();
  const folder = isFolder ? StateFolder.open(path) : undefined;
  try {
    // A server whose Node process was killed may serve on.
    await (folder && endLeftovers(folder));
    return sideOf(path, await opened(path, isFolder, end), folder);
  } catch (error) {
    folder?.close();
    throw error;
  }
}

async function opened(path: string, isFolder: boolean, end: "source" | "target"): Promise<DatabaseSync> {
  const file = isFolder ? d1File(path) : path;
  if (file === undefined) {
    throw new StartError(`The state folder ${path} has no database yet: start the server on it once.`);
  }
  const isNew = !existsSync(file);
  if (isNew && end === "source") {
    throw new StartError(`There is no ${path} to copy from.`);
  }
  if (isNew && !NEW_FILE.test(file)) {
    throw new StartError(`There is no state folder ${path}; the name of a new file ends with .sqlite or .db.`);
  }
  try {
    // A source that is not ours must not get our tables, and then count as an empty one of ours.
    if (!isNew && !hasOurTables(file) && (end === "source" || hasTables(file))) {
      throw new StartError(`${path} is a database of something else.`);
    }
    const database = new DatabaseSync(file);
    await applyMigrations(asMigrated(database), MIGRATIONS);
    return database;
  } catch (error) {
    if (error instanceof Error && "errcode" in error && error.errcode === SQLITE_NOTADB) {
      throw new StartError(`${path} is no database of SQLite.`);
    }
    throw error;
  }
}

function hasTables(file: string): boolean {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    return database.prepare("SELECT 1 FROM sqlite_master").get() !== undefined;
  } finally {
    database.close();
  }
}

function sideOf(path: string, database: DatabaseSync, folder: StateFolder | undefined): Side {
  return {
    name: path,
    engine: "d1",
    stateFolder: folder?.path,
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

/** SQL of a server under test, from outside: D1's file below its state folder, or the MySQL that it runs on. */
import { copyFileSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { TestServer } from "./server.ts";

export type SqlRow = Readonly<Record<string, unknown>>;

/** How long a writer waits for the server, which writes to the same file. */
const BUSY_MS = 5_000;

/** Ends statements that no server of ours sends: they need not be good ones. */
export const NOT_THE_SERVERS = "/* from a test */";

/**
 * What a statement that both engines understand answers.
 * @returns undefined when D1 was caught in the middle of a write: ask again
 */
export async function readSql(server: TestServer, statement: string): Promise<SqlRow[] | undefined> {
  return server.engines === undefined
    ? readCopy(server.dataDir, statement)
    : (await server.engines.sql.execute(`${statement} ${NOT_THE_SERVERS}`)).rows;
}

/** Changes rows behind the server's back. */
export async function writeSql(server: TestServer, statement: string, ...values: (string | number)[]): Promise<void> {
  if (server.engines !== undefined) {
    await server.engines.sql.execute(`${statement} ${NOT_THE_SERVERS}`, values);
    return;
  }
  const [file] = filesOf(server.dataDir).filter((name) => name.endsWith(".sqlite"));
  if (file === undefined) {
    throw new Error(`no D1 database below ${server.dataDir}`);
  }
  const database = new DatabaseSync(file, { timeout: BUSY_MS });
  try {
    database.prepare(statement).run(...values);
  } finally {
    database.close();
  }
}

/** The running server holds its files locked, so copies are read; one that was caught in the middle of a write may not open. */
function readCopy(dataDir: string, statement: string): SqlRow[] | undefined {
  const copy = mkdtempSync(join(tmpdir(), "gochat-sql-"));
  try {
    const names = filesOf(dataDir);
    names.forEach((name) => copyFileSync(name, join(copy, basename(name))));
    const file = names.find((name) => name.endsWith(".sqlite"));
    if (file === undefined) {
      return undefined;
    }
    const database = new DatabaseSync(join(copy, basename(file)));
    try {
      return database.prepare(statement).all();
    } finally {
      database.close();
    }
  } catch {
    return undefined;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** The database and its log of writes. */
function filesOf(dataDir: string): string[] {
  return readdirSync(dataDir, { recursive: true, encoding: "utf8" })
    .filter((name) => name.includes("D1DatabaseObject") && /\.sqlite(-wal)?$/.test(name))
    .filter((name) => !basename(name).startsWith("metadata"))
    .map((name) => join(dataDir, name));
}

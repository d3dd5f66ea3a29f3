/** Applies the migrations of D1, with the books that `wrangler d1 migrations apply` keeps, so that both can take turns. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { unstable_splitSqlQuery } from "wrangler";

/** wrangler's own table, as wrangler makes it. */
const BOOKS = `CREATE TABLE IF NOT EXISTS d1_migrations(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT UNIQUE,
  applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL
)`;

/** The part of a D1 binding that is used here. */
export interface MigratedDatabase {
  prepare(sql: string): MigratedStatement;
  batch(statements: MigratedStatement[]): Promise<unknown>;
}

interface MigratedStatement {
  bind(...values: unknown[]): MigratedStatement;
  all(): Promise<{ results: Record<string, unknown>[] }>;
}

/** Applies what is missing, in the order of the names, each with its book entry in one transaction. Answers their names. */
export async function applyMigrations(database: MigratedDatabase, folder: string): Promise<string[]> {
  await database.batch([database.prepare(BOOKS)]);
  const { results } = await database.prepare("SELECT name FROM d1_migrations").all();
  const applied = new Set(results.map((row) => row["name"]));
  const files = (await readdir(folder)).filter((name) => name.endsWith(".sql"));
  const missing = files.filter((name) => !applied.has(name)).toSorted();
  for (const name of missing) {
    const statements = unstable_splitSqlQuery(await readFile(join(folder, name), "utf8"));
    await database.batch([
      ...statements.map((sql) => database.prepare(sql)),
      database.prepare("INSERT INTO d1_migrations (name) VALUES (?)").bind(name),
    ]);
  }
  return missing;
}

/** Where miniflare keeps D1. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** D1's file in the state folder of a server: the one with our tables. */
export function d1File(folder: string): string | undefined {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".sqlite"));
  const found = files.find((file) => file !== "lock.sqlite" && hasOurTables(join(folder, file)));
  return found === undefined ? undefined : join(folder, found);
}

/** Is this SQLite file a D1 of ours? Throws when it is no SQLite file. */
export function hasOurTables(file: string): boolean {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    const statement = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'conversation_members'";
    return database.prepare(statement).get() !== undefined;
  } finally {
    database.close();
  }
}

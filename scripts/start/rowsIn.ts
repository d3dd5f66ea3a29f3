/**
 * Which database has the rows of a state folder (its file `rows-in`): `d1`, `planetscale`, or both between a copy and the next start.
 * Accounts are nowhere but in SQL, so a server that comes up on the other database would have none of them, and would take new ones
 * beside them.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { EngineSettings } from "../../src/platform/engines.ts";
import { d1File } from "./d1File.ts";
import { reasonOf, StartError } from "./errors.ts";
import { writeWhole } from "./files.ts";

export type SqlEngine = EngineSettings["sql"];

const FILE = "rows-in";
const NAMES: Readonly<Record<SqlEngine, string>> = { d1: "D1", planetscale: "MySQL" };

/** From now on these have the rows, and no others. */
export function noteRowsIn(folder: string, engines: readonly SqlEngine[]): void {
  writeWhole(join(folder, FILE), `${engines.join(" ")}\n`);
}

/** @throws StartError when the rows of this folder are known to be in the other database, and there are any */
export function refuseForgottenCopy(folder: string, engine: SqlEngine): void {
  if (isWithoutRows(folder, engine)) {
    const copy = engine === "d1" ? `--from mysql --to ${folder} --replace` : `--from ${folder} --to mysql`;
    throw new StartError(
      `SQL is ${engine}, and the rows of this state folder are in ${NAMES[other(engine)]}: copy them (npm run db:copy -- ${copy}), ` +
        `or remove ${join(folder, FILE)} to begin without them.`,
    );
  }
}

/** @throws StartError when a copy would take old rows for the ones that count */
export function refuseCopyOfOld(folder: string, from: SqlEngine): void {
  if (isWithoutRows(folder, from)) {
    throw new StartError(
      `The rows of ${folder} are in ${NAMES[other(from)]}, and those in ${NAMES[from]} are older: nothing was copied. ` +
        `Remove ${join(folder, FILE)} to copy them all the same.`,
    );
  }
}

/** Does the other one have them, and not this one? Nobody knows without the file, which older releases did not write. */
function isWithoutRows(folder: string, engine: SqlEngine): boolean {
  const noted = noteIn(folder);
  const isElsewhere = noted.includes(other(engine)) && !noted.includes(engine);
  // A D1 without an account has nothing that could be missed.
  return isElsewhere && (engine === "d1" || hasAccounts(folder));
}

function noteIn(folder: string): string[] {
  try {
    return readFileSync(join(folder, FILE), "utf8").trim().split(" ");
  } catch (error) {
    if (reasonOf(error) === "ENOENT") {
      return [];
    }
    throw new StartError(`${join(folder, FILE)} cannot be read (${reasonOf(error)}).`);
  }
}

function hasAccounts(folder: string): boolean {
  const file = d1File(folder);
  if (file === undefined) {
    return false;
  }
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    return database.prepare("SELECT 1 FROM users LIMIT 1").get() !== undefined;
  } finally {
    database.close();
  }
}

function other(engine: SqlEngine): SqlEngine {
  return engine === "d1" ? "planetscale" : "d1";
}

/** Applies the migrations of MySQL, with Drizzle's own books (table `__drizzle_migrations`). */
import { join } from "node:path";
import { drizzle } from "drizzle-orm/planetscale-serverless";
import { migrate } from "drizzle-orm/planetscale-serverless/migrator";
import { isOutage, MysqlError } from "../../src/repo/failures.ts";
import { planetscaleClient, withoutStatement } from "../../src/repo/planetscale.ts";
import { reasonOf, StartError } from "./errors.ts";

const FOLDER = join(import.meta.dirname, "../../schema/migrations/mysql");

/**
 * Applies what is missing. MySQL ends a transaction at each change of a table, so one that breaks off has to be looked at by hand.
 * @param url as PLANETSCALE_URL is
 * @returns a sentence when the database is not there now
 * @throws StartError when it refuses
 */
export async function applyMysqlMigrations(url: string): Promise<string | undefined> {
  try {
    await migrate(drizzle(planetscaleClient(url)), { migrationsFolder: FOLDER });
    return undefined;
  } catch (error) {
    const reason = withoutStatement(error);
    const text = reason instanceof MysqlError ? reason.message : reasonOf(reason);
    if (isOutage(reason) && !(reason instanceof MysqlError && REFUSED.has(reason.status))) {
      return `MySQL does not answer at ${new URL(url).host} (${text}).`;
    }
    throw new StartError(
      `The migrations of MySQL at ${new URL(url).host} were not applied (${text}): is PLANETSCALE_URL right?`,
    );
  }
}

/** Wrong credentials do not become right by waiting. */
const REFUSED: ReadonlySet<number> = new Set([401, 403]);

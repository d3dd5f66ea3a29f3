/** Applies the migrations of MySQL, with drizzle's own books (table `__drizzle_migrations`). */
import { join } from "node:path";
import { drizzle } from "drizzle-orm/planetscale-serverless";
import { migrate } from "drizzle-orm/planetscale-serverless/migrator";
import { planetscaleClient, withoutStatement } from "../../src/repo/planetscale.ts";
import { reasonOf, StartError } from "./errors.ts";

const FOLDER = join(import.meta.dirname, "../../schema/migrations/mysql");

/**
 * Applies what is missing. MySQL ends a transaction at each change of a table, so a migration that breaks off has to be looked at by hand.
 * @param url as PLANETSCALE_URL is
 * @throws StartError when the database does not answer, or refuses
 */
export async function applyMysqlMigrations(url: string): Promise<void> {
  try {
    await migrate(drizzle(planetscaleClient(url)), { migrationsFolder: FOLDER });
  } catch (error) {
    const reason = withoutStatement(error);
    const text = reason instanceof Error && reason.name === "MysqlError" ? reason.message : reasonOf(reason);
    throw new StartError(
      `The migrations of MySQL were not applied: ${text}. Is PLANETSCALE_URL right, and its server there?`,
    );
  }
}

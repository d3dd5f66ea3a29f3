/**
 * `npm run db:migrate`: applies the migrations that are missing, to the database that SQL names. `SQL=planetscale` with PLANETSCALE_URL
 * for MySQL; otherwise a D1 database, where what stands behind `--` goes to `wrangler d1 migrations apply DB`.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseEngines } from "../src/platform/engines.ts";
import { StartError } from "./start/errors.ts";
import { applyMysqlMigrations } from "./start/mysqlMigrations.ts";

const ROOT = join(import.meta.dirname, "..");

try {
  process.exitCode = await migrate(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof StartError ? error.message : error);
  process.exitCode = 1;
}

async function migrate(args: string[]): Promise<number> {
  // Only what is said of SQL: a bus that is not set up yet keeps nobody from making tables.
  const { SQL, PLANETSCALE_URL } = process.env;
  const engines = parseEngines({ SQL, PLANETSCALE_URL });
  if (!engines.ok) {
    throw new StartError(`The settings are not right: ${engines.problems.join("; ")}.`);
  }
  const { planetscale } = engines.value;
  return planetscale === undefined ? migrateD1(args) : migrateMysql(planetscale.url);
}

async function migrateMysql(url: string): Promise<number> {
  const away = await applyMysqlMigrations(url);
  if (away !== undefined) {
    throw new StartError(away);
  }
  console.log("MySQL has all migrations.");
  return 0;
}

function migrateD1(args: string[]): number {
  if (args.length === 0) {
    throw new StartError(
      "npm start migrates its own D1. For the one at Cloudflare: npm run db:migrate -- --remote. For MySQL: SQL=planetscale and PLANETSCALE_URL.",
    );
  }
  const wrangler = join(ROOT, "node_modules/wrangler/bin/wrangler.js");
  const command = [wrangler, "d1", "migrations", "apply", "DB", ...args];
  return spawnSync(process.execPath, command, { cwd: ROOT, stdio: "inherit" }).status ?? 1;
}

/**
 * `npm run db:copy -- --from SIDE --to SIDE [--replace]`: moves all of SQL to another database. A side is `mysql` (the one of
 * PLANETSCALE_URL), the state folder of a server that does not run, or a file of SQLite. docs/operations.md tells the whole way.
 */
import { parseArgs } from "node:util";
import { parseEngines } from "../../src/platform/engines.ts";
import { MysqlError } from "../../src/repo/failures.ts";
import { StartError } from "../start/errors.ts";
import { copyAll } from "./copy.ts";
import { mysqlSide } from "./mysqlSide.ts";
import type { Side } from "./side.ts";
import { sqliteSide } from "./sqliteSide.ts";

const HELP = `npm run db:copy -- --from SIDE --to SIDE [--replace]
  SIDE       mysql, which PLANETSCALE_URL says; the state folder of a stopped server (.data); or a file of SQLite
  --replace  removes what the target has; without it a target that has anything is refused`;

try {
  await main(process.argv.slice(2));
} catch (error) {
  const isTold = error instanceof StartError || error instanceof MysqlError;
  console.error(isTold ? error.message : error);
  process.exitCode = 1;
}

async function main(args: string[]): Promise<void> {
  if (args.length === 0 || args.includes("--help")) {
    console.log(HELP);
    return;
  }
  const { from, to, replace } = optionsIn(args);
  const source = await open(from, "source");
  try {
    const target = await open(to, "target");
    try {
      await copyAll(source, target, replace, console.log);
      console.log(`${target.name} has everything that ${source.name} has.`);
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

function optionsIn(args: string[]): { from: string; to: string; replace: boolean } {
  try {
    const { from, to, replace } = parseArgs({
      args,
      options: { from: { type: "string" }, to: { type: "string" }, replace: { type: "boolean", default: false } },
    }).values;
    if (from !== undefined && to !== undefined && from !== to) {
      return { from, to, replace };
    }
  } catch {
    // The help says what is known.
  }
  throw new StartError(`db:copy needs --from and --to, two different ones.\n${HELP}`);
}

function open(side: string, end: "source" | "target"): Promise<Side> {
  if (side !== "mysql") {
    return sqliteSide(side, end);
  }
  const engines = parseEngines({ SQL: "planetscale", PLANETSCALE_URL: process.env["PLANETSCALE_URL"] });
  if (!engines.ok) {
    throw new StartError(`The settings are not right: ${engines.problems.join("; ")}.`);
  }
  return mysqlSide(engines.value.planetscale?.url ?? "");
}

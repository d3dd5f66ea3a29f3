/**
 * MySQL behind the interface of the repositories, through the protocol of PlanetScale. Here a transaction is a conversation over
 * HTTP (BEGIN, statement by statement, COMMIT), so what only reads is asked for at once and without one.
 */
import type { Client } from "@planetscale/database";
import { is, SQL } from "drizzle-orm";
import { drizzle, type PlanetScaleDatabase } from "drizzle-orm/planetscale-serverless";
import { describeError, log } from "../telemetry/log.ts";
import { within } from "../telemetry/breaker.ts";
import { affectedBy, type Builders, type Database, type Freshness, type Statement } from "./database.ts";
import { guarded, MysqlError } from "./failures.ts";
import { mysqlDialect, mysqlTables } from "./mysqlDialect.ts";
import { applyMysqlRows } from "./mysqlRows.ts";
import { withoutStatement } from "./planetscale.ts";

type Runner = Pick<PlanetScaleDatabase, "select" | "insert" | "update" | "delete" | "execute">;

/** The parts of the builders that `Builders` names are alike in both dialects; the tests of test/repo run on both. */
function buildersOf(runner: Runner): Builders {
  return runner as unknown as Builders;
}

/**
 * @param primary where it is written, and read what must be new
 * @param replica where it may be read a little later; whatever it does not answer, `primary` does
 */
export function mysqlDatabase(primary: Client, replica: Client = primary): Database {
  const now = drizzle(primary);
  const recent = replica === primary ? now : drizzle(replica);
  const run = (statement: Statement | SQL, runner: Runner = now): Promise<unknown> =>
    told(() => runOn(runner, statement));
  const read = <T>(freshness: Freshness | undefined, ask: (from: PlanetScaleDatabase) => PromiseLike<T>): Promise<T> =>
    guarded(() =>
      freshness === "recent" && recent !== now
        ? eitherOf(
            () => told(() => ask(recent)),
            () => told(() => ask(now)),
          )
        : told(() => ask(now)),
    );
  return {
    tables: mysqlTables,
    dialect: mysqlDialect,
    query: (make, freshness) => read(freshness, (from) => make(buildersOf(from))),
    async rows<T>(query: SQL, freshness?: Freshness) {
      const result = await read(freshness, (from) => from.execute(query));
      return result.rows as T[];
    },
    change: async (make) => affectedBy(await guarded(() => againAfterDeadlock(() => run(make(buildersOf(now)))))),
    async queries<T>(make: (db: Builders) => readonly Statement[]) {
      return (await guarded(() => Promise.all(make(buildersOf(now)).map((one) => run(one))))) as T;
    },
    async atomically<T>(make: (db: Builders) => readonly Statement[]) {
      const once = () =>
        told(() =>
          now.transaction(async (tx) => {
            const results: unknown[] = [];
            for (const statement of make(buildersOf(tx))) {
              results.push(await runOn(tx, statement));
            }
            return results;
          }),
        );
      return (await guarded(() => againAfterDeadlock(once))) as T;
    },
    applyRows: (rows, limitMs) =>
      guarded(
        () =>
          applyMysqlRows(
            { tables: mysqlTables, dialect: mysqlDialect, run: (one) => againAfterDeadlock(() => run(one)) },
            rows,
          ),
        limitMs,
      ),
  };
}

function runOn(runner: Runner, statement: Statement | SQL): PromiseLike<unknown> {
  // What `mysqlDialect` has made is SQL; builders run by themselves, on the session that they were made with.
  return is(statement, SQL) ? runner.execute(statement) : (statement as unknown as PromiseLike<unknown>);
}

/** Errors without the statements that they are about. */
async function told<T>(call: () => PromiseLike<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw withoutStatement(error);
  }
}

/** Of the time that a query has in all (4 s, failures.ts), so that the primary still can answer. */
const REPLICA_LIMIT_MS = 1_000;

/** A replica that is away, behind with a migration or not ours to ask costs a moment, and never the answer. */
async function eitherOf<T>(replica: () => Promise<T>, primary: () => Promise<T>): Promise<T> {
  try {
    return await within(REPLICA_LIMIT_MS, "sql", replica());
  } catch (error) {
    log("warn", "the replica of SQL did not answer", { error: describeError(error) });
    return primary();
  }
}

const DEADLOCK = 1213;
/** One of two that wait for each other is undone, and the other one goes on; ten that meet come through one by one. */
const DEADLOCK_TRIES = 10;
const DEADLOCK_PAUSE_MS = 20;

/** InnoDB has undone the whole transaction, so it may be made again. */
async function againAfterDeadlock<T>(transaction: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await transaction();
    } catch (error) {
      if (!(error instanceof MysqlError && error.errno === DEADLOCK) || tries === DEADLOCK_TRIES) {
        throw error;
      }
      await pause(DEADLOCK_PAUSE_MS * tries * Math.random());
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

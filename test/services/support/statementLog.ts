/**
 * Around the suites that run on MySQL: its own log keeps every statement that the servers send, and at the end each kind of them has to name
 * its shards. The same check is made of the repositories' cases (test/services/repo.test.ts); here it is everything that users cause.
 */
import { createConnection, type Connection } from "mysql2";
import { NOT_THE_SERVERS } from "../../support/sql.ts";
import { serviceUrl } from "./addresses.ts";
import { kindOf, shardReport } from "./shards.ts";

/** What else is asked: the bridge whether MySQL is well, Drizzle for its migrations, and this file. */
const OTHERS = /^select 1$|__drizzle_migrations|\bgeneral_log\b|\binformation_schema\b/i;

/** Vitest calls it before the first file; what it answers, after the last. */
export async function setup(): Promise<() => Promise<void>> {
  await connected(async (connection) => {
    await connection.promise().query("SET GLOBAL general_log = OFF");
    await connection.promise().query("TRUNCATE TABLE mysql.general_log");
    await connection.promise().query("SET GLOBAL log_output = 'TABLE'");
    await connection.promise().query("SET GLOBAL general_log = ON");
  });
  return check;
}

/** @throws Error naming the statements, their values left out, that ask all shards, or tables of two keyspaces */
async function check(): Promise<void> {
  const kinds = await connected(async (connection) => {
    await connection.promise().query("SET GLOBAL general_log = OFF");
    return kindsIn(connection);
  });
  const { scattered, mixed, counts } = shardReport([...kinds].filter((kind) => !OTHERS.test(kind)));
  const wrong = [...scattered, ...mixed];
  if (wrong.length > 0) {
    throw new Error(`statements that do not name their shards:\n${wrong.join("\n")}`);
  }
  const seen = [...counts.values()].reduce((sum, count) => sum + count, 0);
  if (seen === 0) {
    throw new Error("MySQL's log has no statement of a server");
  }
  console.log(`${seen} kinds of statement over ${counts.size} tables: each names its shards`);
}

/** Bytes. A longer one is a shorter one with more rows, or longer texts in them. */
const LONGEST = 32_768;

async function kindsIn(connection: Connection): Promise<Set<string>> {
  const kinds = new Set<string>();
  const rows = connection
    .query(
      `SELECT CONVERT(argument USING utf8mb4) AS said FROM mysql.general_log WHERE command_type = 'Query' AND LENGTH(argument) < ${LONGEST}`,
    )
    .stream();
  for await (const { said } of rows as AsyncIterable<{ said: string }>) {
    if (!said.endsWith(NOT_THE_SERVERS)) {
      kinds.add(kindOf(said));
    }
  }
  return kinds;
}

async function connected<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
  const connection = createConnection(serviceUrl("MYSQL_URL"));
  try {
    return await work(connection);
  } finally {
    await connection.promise().end();
  }
}

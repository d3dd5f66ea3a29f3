/** The repositories on a real MariaDB, through the real @planetscale/database. */
import { afterAll, describe, it } from "vitest";
import { systemClock } from "../../src/platform/clock.ts";
import { mysqlDatabase } from "../../src/repo/mysql.ts";
import { repositoriesOn } from "../../src/repo/repositories.ts";
import { repoCases } from "../support/repo/all.ts";
import type { RepoUnderTest } from "../support/repo/underTest.ts";
import { ownMysql } from "./support/mysql.ts";
import { kindsOf, SCATTERED, shardReport, unexplained } from "./support/shards.ts";

const { primary, replica, dispose } = await ownMysql();
afterAll(dispose);

const mysql: RepoUnderTest = {
  repo: repositoriesOn(mysqlDatabase(primary.client, replica.client), systemClock),
  async sql(statement, ...values) {
    const { rows } = await primary.client.execute<Record<string, unknown>>(statement, values);
    return rows;
  },
};

repoCases(mysql);

describe("what the cases above have sent", () => {
  const report = () => shardReport([...primary.statements, ...replica.statements]);

  it("names its shards, but for the list of a user's conversations", ({ expect }) => {
    const { scattered, mixed, counts } = report();
    expect(unexplained(scattered)).toEqual([]);
    expect(mixed).toEqual([]);
    for (const table of ["messages", "message_edits", "message_reactions", "conversations", "user_read_pointers"]) {
      expect(counts.get(table), table).toBeGreaterThan(2);
    }
  });

  it.for(SCATTERED)("still has what is allowed to ask all shards: $begins", ({ begins }, { expect }) => {
    expect(report().scattered.filter((statement) => begins.test(statement))).not.toEqual([]);
  });

  it("asks a replica only for what may be a little old", ({ expect }) => {
    const kinds = kindsOf(replica.statements).map((statement) => /^select .*? from `?(\w+)/i.exec(statement)?.[1]);
    // Users by the beginning of a name, and whom to tell that a message was read.
    expect(new Set(kinds)).toEqual(new Set(["messages", "users"]));
  });
});

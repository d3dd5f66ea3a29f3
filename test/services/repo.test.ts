/** The repositories on a real MariaDB, through the real @planetscale/database. */
import { readFileSync } from "node:fs";
import { afterAll, describe, it } from "vitest";
import { systemClock } from "../../src/platform/clock.ts";
import { mysqlDatabase } from "../../src/repo/mysql.ts";
import { repositoriesOn } from "../../src/repo/repositories.ts";
import { repoCases } from "../support/repo/all.ts";
import type { RepoUnderTest } from "../support/repo/underTest.ts";
import { ownMysql } from "./support/mysql.ts";
import { kindsOf, shardReport } from "./support/shards.ts";

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

  it("names its shards", ({ expect }) => {
    const { scattered, mixed, counts } = report();
    expect(scattered).toEqual([]);
    expect(mixed).toEqual([]);
    for (const table of ["messages", "message_edits", "message_reactions", "conversations", "user_read_pointers"]) {
      expect(counts.get(table), table).toBeGreaterThan(2);
    }
  });

  it("goes without the lookup that Vitess would keep, whose table a database takes", async ({ expect }) => {
    const made = readFileSync(new URL("../../schema/vitess.sql", import.meta.url), "utf8");
    await primary.client.execute(made.replaceAll(/^--.*$/gm, ""));
    expect(await mysql.sql("select * from conversation_members_by_user where user_id = 'u'")).toEqual([]);
    await primary.client.execute("DROP TABLE conversation_members_by_user");
  });

  it("asks a replica only for what may be a little old", ({ expect }) => {
    const kinds = kindsOf(replica.statements).map((statement) => /^select .*? from `?(\w+)/i.exec(statement)?.[1]);
    // Users by the beginning of a name, and whom to tell that a message was read.
    expect(new Set(kinds)).toEqual(new Set(["messages", "users"]));
  });
});

/** The repositories on a real MariaDB, through the real @planetscale/database. */
import { afterAll } from "vitest";
import { systemClock } from "../../src/platform/clock.ts";
import { mysqlDatabase } from "../../src/repo/mysql.ts";
import { repositoriesOn } from "../../src/repo/repositories.ts";
import { friendCases } from "../support/repo/friends.ts";
import { recordCases } from "../support/repo/records.ts";
import type { RepoUnderTest } from "../support/repo/underTest.ts";
import { userCases } from "../support/repo/users.ts";
import { ownMysql } from "./support/mysql.ts";

const { client, dispose } = await ownMysql();
afterAll(dispose);

const mysql: RepoUnderTest = {
  repo: repositoriesOn(mysqlDatabase(client), systemClock),
  async sql(statement, ...values) {
    const { rows } = await client.execute(statement, values);
    return rows;
  },
};

userCases(mysql);
friendCases(mysql);
recordCases(mysql);

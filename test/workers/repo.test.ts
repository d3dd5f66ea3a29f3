import { env } from "cloudflare:workers";
import { repositories } from "../../src/repo/index.ts";
import { friendCases } from "../support/repo/friends.ts";
import { recordCases } from "../support/repo/records.ts";
import type { RepoUnderTest } from "../support/repo/underTest.ts";
import { userCases } from "../support/repo/users.ts";

const d1: RepoUnderTest = {
  repo: repositories(env),
  async sql(statement, ...values) {
    const { results } = await env.DB.prepare(statement)
      .bind(...values)
      .all();
    return results;
  },
};

userCases(d1);
friendCases(d1);
recordCases(d1);

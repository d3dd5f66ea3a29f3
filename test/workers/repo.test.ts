import { env } from "cloudflare:workers";
import { repositories } from "../../src/repo/index.ts";
import { repoCases } from "../support/repo/all.ts";
import type { RepoUnderTest } from "../support/repo/underTest.ts";

const d1: RepoUnderTest = {
  repo: repositories(env),
  async sql(statement, ...values) {
    const { results } = await env.DB.prepare(statement)
      .bind(...values)
      .all();
    return results;
  },
};

repoCases(d1);

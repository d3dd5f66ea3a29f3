import { describe, it } from "vitest";
import { changeCases } from "./changes.ts";
import { friendCases } from "./friends.ts";
import { listCases } from "./lists.ts";
import { peopleCases } from "./people.ts";
import { recordCases } from "./records.ts";
import type { RepoUnderTest } from "./underTest.ts";
import { userCases } from "./users.ts";
import { watched } from "./watched.ts";

/** Every case that a database has to pass. */
export function repoCases({ repo, ...rest }: RepoUnderTest): void {
  const { repo: observed, untouched } = watched(repo);
  const database = { repo: observed, ...rest };
  userCases(database);
  friendCases(database);
  peopleCases(database);
  recordCases(database);
  listCases(database);
  changeCases(database);

  describe("the cases above", () => {
    it("have called every method of every repository", ({ expect }) => {
      expect(untouched()).toEqual([]);
    });
  });
}

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, describe, it } from "vitest";
import { noteRowsIn, refuseCopyOfOld, refuseForgottenCopy } from "./rowsIn.ts";

const scratch = mkdtempSync(join(tmpdir(), "gochat-rows-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A state folder whose D1 has so many accounts. */
function folderWith(accounts: number): string {
  const folder = mkdtempSync(join(scratch, "state-"));
  mkdirSync(join(folder, "state"));
  const database = new DatabaseSync(join(folder, "state/d1.sqlite"));
  database.exec("CREATE TABLE conversation_members (user_id TEXT); CREATE TABLE users (user_id TEXT)");
  for (let i = 0; i < accounts; i++) {
    database.exec("INSERT INTO users VALUES ('u')");
  }
  database.close();
  return folder;
}

describe("a start on the other database", () => {
  it("is refused until the rows were copied", ({ expect }) => {
    const folder = folderWith(1);
    noteRowsIn(folder, ["d1"]);
    refuseForgottenCopy(folder, "d1");
    expect(() => refuseForgottenCopy(folder, "planetscale")).toThrow(/rows of this state folder are in D1: copy them/);
    noteRowsIn(folder, ["d1", "planetscale"]);
    refuseForgottenCopy(folder, "planetscale");
    noteRowsIn(folder, ["planetscale"]);
    refuseForgottenCopy(folder, "planetscale");
    expect(() => refuseForgottenCopy(folder, "d1")).toThrow(/in MySQL: copy them .*--from mysql .*--replace/);
  });

  it("is let through where nothing is known, and where there is no account", ({ expect }) => {
    expect(() => refuseForgottenCopy(folderWith(1), "planetscale")).not.toThrow();
    expect(() => refuseForgottenCopy(folderWith(1), "d1")).not.toThrow();
    const empty = folderWith(0);
    noteRowsIn(empty, ["d1"]);
    expect(() => refuseForgottenCopy(empty, "planetscale")).not.toThrow();
    const new_ = mkdtempSync(join(scratch, "new-"));
    noteRowsIn(new_, ["d1"]);
    expect(() => refuseForgottenCopy(new_, "planetscale")).not.toThrow();
  });
});

describe("a copy", () => {
  it("from the side that has only old rows is refused", ({ expect }) => {
    const folder = folderWith(1);
    noteRowsIn(folder, ["planetscale"]);
    expect(() => refuseCopyOfOld(folder, "d1")).toThrow(/in MySQL, and those in D1 are older: nothing was copied/);
    expect(() => refuseCopyOfOld(folder, "planetscale")).not.toThrow();
    noteRowsIn(folder, ["d1"]);
    expect(() => refuseCopyOfOld(folder, "planetscale")).toThrow(/in D1, and those in MySQL are older/);
  });

  it("into a new state folder brings what is in MySQL", ({ expect }) => {
    const folder = folderWith(0);
    noteRowsIn(folder, ["d1"]);
    expect(() => refuseCopyOfOld(folder, "planetscale")).not.toThrow();
  });
});

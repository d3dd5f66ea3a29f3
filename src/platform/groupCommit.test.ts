import { describe, expect, it } from "vitest";
import { GroupCommit } from "./groupCommit.ts";

/** Storage that notes what each transaction wrote, and forgets those that throw. */
function newStorage() {
  const transactions: string[][] = [];
  let open: string[] = [];
  return {
    transactions,
    note: (text: string) => () => void open.push(text),
    transactionSync(work: () => void) {
      open = [];
      work();
      transactions.push(open);
    },
  };
}

describe("a group commit", () => {
  it("takes what comes together into one transaction, in order", async () => {
    const storage = newStorage();
    const commit = new GroupCommit(storage);
    await Promise.all([
      commit.add(storage.note("a")),
      commit.add(storage.note("b")),
      Promise.resolve().then(() => commit.add(storage.note("c"))),
    ]);
    expect(storage.transactions).toEqual([["a", "b", "c"]]);
  });

  it("begins another for what comes later, and ends each only when it is written", async () => {
    const storage = newStorage();
    const commit = new GroupCommit(storage);
    const first = commit.add(storage.note("a"));
    expect(storage.transactions).toEqual([]);
    await first;
    expect(storage.transactions).toEqual([["a"]]);
    await commit.add(storage.note("b"));
    expect(storage.transactions).toEqual([["a"], ["b"]]);
  });

  it("fails for all of a transaction when one write fails, and goes on with the next", async () => {
    const storage = newStorage();
    const commit = new GroupCommit(storage);
    const outcomes = await Promise.allSettled([
      commit.add(storage.note("a")),
      commit.add(() => {
        throw new Error("disk full");
      }),
    ]);
    expect(outcomes.map((outcome) => outcome.status)).toEqual(["rejected", "rejected"]);
    await commit.add(storage.note("b"));
    expect(storage.transactions).toEqual([["b"]]);
  });
});

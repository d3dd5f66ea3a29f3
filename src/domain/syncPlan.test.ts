import { describe, it } from "vitest";
import { GROUP, WORLD } from "./records.ts";
import {
  changesUpTo,
  followsOn,
  hasChanges,
  hotRanks,
  isNews,
  knownHead,
  mayCacheHead,
  reaches,
  startOf,
  SYNC_MESSAGES,
  withoutThese,
} from "./syncPlan.ts";

const standing = { headSeqId: 10, version: 5, readSeqId: 4 };
const rows = (...seqIds: number[]): { seqId: number }[] => seqIds.map((seqId) => ({ seqId }));

describe("what a client that comes back is told", () => {
  it("depends on what it says it knows", ({ expect }) => {
    const known = (head: number | { seqId: number; version?: number; readSeqId?: number }) =>
      knownHead({ heads: { room: head } }, "room");
    expect(isNews(knownHead({ heads: {} }, "room"), standing)).toBe(true);
    expect([isNews(known(9), standing), isNews(known(10), standing)]).toEqual([true, false]);
    expect(isNews(known({ seqId: 10, version: 4 }), standing)).toBe(true);
    expect(isNews(known({ seqId: 10, version: 5, readSeqId: 3 }), standing)).toBe(true);
    expect(isNews(known({ seqId: 10, version: 5, readSeqId: 4 }), standing)).toBe(false);
    expect([hasChanges(known(1), standing), hasChanges(known({ seqId: 1, version: 0 }), standing)]).toEqual([
      false,
      true,
    ]);
  });

  it("begins behind the known head; in the world, for who never was there, near its end", ({ expect }) => {
    expect(startOf({ seqId: 7, version: 0, readSeqId: 0 }, GROUP, 900)).toBe(7);
    expect([startOf(undefined, GROUP, 900), startOf(undefined, WORLD, 900)]).toEqual([0, 900 - SYNC_MESSAGES]);
  });

  it("comes from the cache where that has all of it, counted from the head", ({ expect }) => {
    expect(hotRanks(7, 10)).toEqual([-3, -1]);
    expect(hotRanks(0, 100)).toEqual([-100, -51]);
    const ends = [reaches(10, 10), reaches(9, 10), reaches(0, SYNC_MESSAGES), reaches(0, SYNC_MESSAGES + 1)];
    expect(ends).toEqual([false, true, true, false]);
    expect([followsOn(rows(8, 9), 7), followsOn(rows(8, 10), 7), followsOn([], 7)]).toEqual([true, false, false]);
  });

  it("leaves a head in the cache where SQL has all changes of the conversation, and none where it lacks one", ({
    expect,
  }) => {
    expect([mayCacheHead(5, 5), mayCacheHead(4, 5), mayCacheHead(0, 0)]).toEqual([true, true, true]);
    expect([mayCacheHead(6, 5), mayCacheHead(1, 0)]).toEqual([false, false]);
  });

  it("holds changes no further than its source does", ({ expect }) => {
    expect([changesUpTo(standing, 2, true), changesUpTo(standing, 9, true), changesUpTo(standing, 2, false)]).toEqual([
      2, 5, 5,
    ]);
    expect(withoutThese(rows(3, 8), rows(8, 9))).toEqual(rows(3));
  });
});

import { describe, it } from "vitest";
import { olderReceiptsUpTo, RECEIPT_SENDERS, receiptsAfter, receiptSenders } from "./receipts.ts";

describe("receipts", () => {
  it("look at the range that was read, and not further back than anybody waits for", ({ expect }) => {
    expect(receiptsAfter(5, 9)).toBe(5);
    expect(receiptsAfter(0, 50_000)).toBe(40_000);
  });

  it("ask SQL only for what has left the log, and only while there is room for more senders", ({ expect }) => {
    expect(olderReceiptsUpTo(5, 9, { userIds: ["a"], firstSeqId: 6 })).toBeUndefined();
    expect(olderReceiptsUpTo(5, 9, { userIds: ["a"], firstSeqId: 8 })).toBe(7);
    expect(olderReceiptsUpTo(5, 9, { userIds: [], firstSeqId: 20 })).toBe(9);
    const many = Array.from({ length: RECEIPT_SENDERS }, (_, n) => `u${n}`);
    expect(olderReceiptsUpTo(5, 9, { userIds: many, firstSeqId: 8 })).toBeUndefined();
  });

  it("go to each sender once, never to the reader, and to so many at most", ({ expect }) => {
    expect(receiptSenders("me", ["a", "me", "b"], ["b", "c"])).toEqual(["a", "b", "c"]);
    const many = Array.from({ length: RECEIPT_SENDERS }, (_, n) => `u${n}`);
    expect(receiptSenders("me", many, ["late"])).toEqual(many);
  });
});

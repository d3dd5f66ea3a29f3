import { describe, it } from "vitest";
import type { StoredMessage } from "../domain/records.ts";
import { err, ok, type Result } from "../protocol/errors.ts";
import type { Reaction } from "../protocol/things.ts";
import { completeHistory, nextOf, rangeOf, wholePage, type HistoryRange } from "./history.ts";

const HEAD = 10;

function message(seqId: number): StoredMessage {
  const messageId = `m${seqId}`;
  return {
    messageId,
    conversationId: "group_x",
    seqId,
    senderId: "u",
    messageType: "text",
    content: "x",
    createdAt: seqId,
    clientMsgId: messageId,
  };
}

/** What the contract says, over messages `first..HEAD`. */
function page(first: number, { before = HEAD + 1, after, limit }: HistoryRange): StoredMessage[] {
  const seqIds = Array.from({ length: HEAD - first + 1 }, (_, i) => first + i).filter(
    (seqId) => seqId < before && seqId > (after ?? 0),
  );
  return (after === undefined ? seqIds.slice(-limit) : seqIds.slice(0, limit)).map(message);
}

describe("the next page", () => {
  it("leads through everything, in both directions and within a bound, and then ends", ({ expect }) => {
    for (const limit of [1, 3, 5, 10, 20]) {
      for (const [query, expected] of [
        [{ limit }, page(1, { limit: HEAD })],
        [{ limit, after: 0 }, page(1, { limit: HEAD })],
        [{ limit, after: 2, before: 8 }, page(1, { after: 2, before: 8, limit: HEAD })],
      ] as const) {
        const seen: number[] = [];
        let cursor: number | undefined;
        for (let pages = 0; pages <= HEAD; pages++) {
          const range = rangeOf({ ...query, cursor });
          const rows = page(1, range);
          seen.push(...rows.map((row) => row.seqId));
          const next = nextOf(range, rows, HEAD);
          if (next === null) {
            break;
          }
          cursor = Number(next);
        }
        expect(seen.toSorted((a, b) => a - b)).toEqual(expected.map((row) => row.seqId));
      }
    }
  });

  it("is none where nothing was found", ({ expect }) => {
    expect(nextOf({ limit: 5 }, [], 0)).toBeNull();
    expect(nextOf({ limit: 5, after: 10 }, [], 10)).toBeNull();
  });
});

describe("history behind the log", () => {
  it("is the same wherever the log begins", async ({ expect }) => {
    const bounds = [undefined, 0, 1, 3, 5, 9, 10, 11, 50];
    for (const before of bounds) {
      for (const after of bounds) {
        for (const limit of [1, 3, 20]) {
          const range = { before, after, limit };
          const expected = page(1, range);
          for (let first = 1; first <= HEAD + 1; first++) {
            const logged = { messages: page(first, range), headSeqId: HEAD, firstSeqId: first };
            const rows = await completeHistory(logged, range, (asked) => Promise.resolve(page(1, asked)));
            expect(rows, JSON.stringify({ ...range, first })).toEqual(expected);
          }
        }
      }
    }
  });

  it("does not ask SQL for what the log has", async ({ expect }) => {
    const never = (): Promise<StoredMessage[]> => Promise.reject(new Error("SQL was asked"));
    const whole = (range: HistoryRange) =>
      completeHistory({ messages: page(4, range), headSeqId: HEAD, firstSeqId: 4 }, range, never);
    expect(await whole({ limit: 7 })).toHaveLength(7);
    expect(await whole({ after: 3, limit: 50 })).toHaveLength(7);
    expect(await whole({ before: 9, limit: 5 })).toHaveLength(5);
    expect(await completeHistory({ messages: [], headSeqId: 0, firstSeqId: 1 }, { limit: 50 }, never)).toEqual([]);
  });

  it("has the reactions of what SQL gave, if it gave anything and the room tells them", async ({ expect }) => {
    const range = { limit: HEAD };
    const taps: Reaction[] = [{ emoji: "👍", count: 1, mine: false }];
    const older = (asked: HistoryRange) => Promise.resolve(page(1, asked));
    const whole = async (first: number, answer: Result<Record<number, Reaction[]>>) => {
      const asked: number[] = [];
      const logged = { messages: page(first, range), headSeqId: HEAD, firstSeqId: first };
      const rows = await wholePage(logged, range, older, (seqIds) => {
        asked.push(...seqIds);
        return Promise.resolve(answer);
      });
      return { asked, shown: rows.filter((row) => row.reactions !== undefined).map((row) => row.seqId) };
    };
    const all = ok({ 2: taps, 9: taps });
    expect(await whole(4, all)).toEqual({ asked: [1, 2, 3], shown: [2] });
    expect(await whole(1, all)).toEqual({ asked: [], shown: [] });
    expect(await whole(4, err({ name: "CONVERSATION_NOT_FOUND" }))).toEqual({ asked: [1, 2, 3], shown: [] });
  });
});

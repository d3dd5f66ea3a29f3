import fc from "fast-check";
import { describe, it } from "vitest";
import { FRAME_MESSAGES, SHARD_BACKLOG, SHARD_WINDOW_MS, ShardCore } from "./shard.ts";
import { messagesOf, range, seqIds, ShardHarness } from "./testing/shardHarness.ts";

describe("windows", () => {
  it("open at once after silence, then gather for their time", ({ expect }) => {
    const shard = ShardHarness.at(0).push(1);
    expect(shard.frames()).toEqual([[1]]);
    shard.push(2).push(3);
    expect(shard.frames()).toEqual([]);
    expect(shard.take("timer")).toEqual([{ kind: "timer", inMs: SHARD_WINDOW_MS }]);
    shard.now += SHARD_WINDOW_MS;
    shard.core.onTimer(shard.now);
    expect(shard.frames()).toEqual([[2, 3]]);
  });

  it("arm one timer, and none when nothing waits", ({ expect }) => {
    const shard = ShardHarness.at(0).push(1);
    range(2, 20).forEach((seqId) => shard.push(seqId));
    expect(shard.take("timer")).toHaveLength(1);
    shard.pass(SHARD_WINDOW_MS).take("timer");
    shard.pass(60_000);
    expect(shard.take("timer")).toEqual([]);
  });

  it("cut into frames, none of them too long, what is more than one holds", ({ expect }) => {
    const shard = ShardHarness.at(0).push(1, 2 * FRAME_MESSAGES + 1);
    const frames = shard.frames();
    expect(frames.map((frame) => frame.length)).toEqual([FRAME_MESSAGES, FRAME_MESSAGES, 1]);
    expect(frames.flat()).toEqual(range(1, 2 * FRAME_MESSAGES + 1));
  });

  it("hold everything that came, also more than is kept for later", ({ expect }) => {
    const shard = ShardHarness.at(0).push(1);
    shard.frames();
    const many = 4 * SHARD_BACKLOG;
    range(2, many).forEach((seqId) => shard.push(seqId));
    shard.pass(SHARD_WINDOW_MS);
    expect(shard.frames().flat()).toEqual(range(2, many));
  });

  it("wait longer where their frames take long to leave, up to a limit", ({ expect }) => {
    const shard = ShardHarness.at(0).push(1);
    const restAfter = (tookMs: number): number => {
      shard.frames();
      shard.now += tookMs;
      shard.core.flushed(shard.now);
      const flushedAt = shard.now;
      const next = (shard.core.cursor ?? 0) + 1;
      shard.push(next);
      for (let at = 0; shard.frames().length === 0 && at < 5_000; at++) {
        shard.now += 1;
        shard.core.onTimer(shard.now);
      }
      return shard.now - flushedAt;
    };
    expect(restAfter(10)).toBe(SHARD_WINDOW_MS - 10);
    expect(restAfter(SHARD_WINDOW_MS)).toBe(2 * SHARD_WINDOW_MS);
    expect(restAfter(60_000)).toBe(1_000);
    // And is as quick as ever when they leave at once.
    expect(restAfter(0)).toBe(SHARD_WINDOW_MS);
  });

  it("take a timer that fires a little early for theirs", ({ expect }) => {
    const shard = ShardHarness.at(0).push(1).push(2);
    shard.frames();
    shard.now += SHARD_WINDOW_MS - 1;
    shard.core.onTimer(shard.now);
    // Not yet; but it armed itself again.
    expect(shard.take("timer").at(-1)).toEqual({ kind: "timer", inMs: 1 });
    shard.now += 1;
    shard.core.onTimer(shard.now);
    expect(shard.frames()).toEqual([[2]]);
  });
});

describe("the order of a room", () => {
  it("reaches sockets once and whole, however tasks are repeated, mixed up or lost", ({ expect }) => {
    const task = fc.record({
      from: fc.integer({ min: 1, max: 40 }),
      length: fc.integer({ min: 1, max: 6 }),
      waitMs: fc.constantFrom(0, 0, 30, 200),
      readable: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(task, { maxLength: 40 }), (tasks) => {
        const head = 45;
        const shard = ShardHarness.at(0);
        const readLog = (readable: boolean): void => {
          for (const after of shard.pulls()) {
            const page = messagesOf(...range(after + 1, Math.min(head, after + 7)));
            shard.core.pulled(readable ? page : "failed", head, shard.now);
          }
        };
        for (const { from, length, waitMs, readable } of tasks) {
          shard.push(from, from + length - 1).pass(waitMs);
          readLog(readable);
        }
        shard.push(head);
        for (let n = 0; n < 20; n++) {
          shard.pass(1_000);
          readLog(true);
        }
        expect(shard.frames().flat()).toEqual(range(1, head));
      }),
    );
  });

  it("waits for what is missing, and asks the log for it once at a time", ({ expect }) => {
    const shard = ShardHarness.at(3).push(6);
    expect(shard.frames()).toEqual([]);
    shard.push(7);
    expect(shard.pulls()).toEqual([3]);
    shard.core.pulled(messagesOf(4, 5, 6, 7), 7, shard.now);
    expect(shard.frames()).toEqual([[4, 5, 6, 7]]);
    expect(shard.pulls()).toEqual([]);
  });

  it("does not hammer a log that cannot be read", ({ expect }) => {
    const shard = ShardHarness.at(3).push(6);
    shard.pulls();
    shard.core.pulled("failed", 0, shard.now);
    shard.pass(900).push(7);
    expect(shard.pulls()).toEqual([]);
    shard.pass(200);
    expect(shard.pulls()).toEqual([3]);
  });

  it("goes on behind rows that have left the log", ({ expect }) => {
    const shard = ShardHarness.at(3).push(9);
    shard.core.pulled(messagesOf(8, 9), 9, shard.now);
    expect(shard.frames()).toEqual([[8, 9]]);
    expect(shard.core.backlogAfter(7)?.length).toBe(2);
    expect(shard.core.backlogAfter(3)).toBeUndefined();
  });

  it("gives up a promise that the log does not keep", ({ expect }) => {
    const shard = ShardHarness.at(3).push(9);
    shard.core.pulled([], 3, shard.now);
    shard.pulls();
    shard.pass(60_000);
    expect(shard.pulls()).toEqual([]);
    expect(shard.push(4).frames()).toEqual([[4]]);
  });
});

describe("a shard that has just woken", () => {
  it("takes what it is told first for the beginning", ({ expect }) => {
    const shard = new ShardHarness().push(7, 8);
    expect(shard.frames()).toEqual([[7, 8]]);
    expect(shard.pulls()).toEqual([]);
  });

  it("reads what its readers of before may lack", ({ expect }) => {
    const shard = new ShardHarness();
    shard.core.join("a");
    shard.core.begin(3, 5, shard.now);
    expect(shard.pulls()).toEqual([3]);
    shard.core.pulled(messagesOf(4, 5), 5, shard.now);
    expect(shard.calls()).toEqual(["a: 4 5"]);
  });

  it("does not begin twice, nor before where the room stands", ({ expect }) => {
    const shard = ShardHarness.at(5);
    shard.core.begin(0, 9, shard.now);
    shard.core.start(0);
    expect(shard.core.cursor).toBe(5);
    const other = new ShardHarness();
    other.core.begin(9, 5, other.now);
    expect(other.core.cursor).toBe(5);
    expect(other.pulls()).toEqual([]);
  });
});

describe("a socket that comes with a cursor", () => {
  it("gets what was sent after it, and the rest with the next window", ({ expect }) => {
    const shard = ShardHarness.at(0).push(1, 3).push(4);
    expect(seqIds(shard.core.backlogAfter(1) ?? [])).toEqual([2, 3]);
    expect(shard.core.backlogAfter(3)).toEqual([]);
    expect(shard.core.backlogAfter(99)).toEqual([]);
  });

  it("is told to read elsewhere when the backlog does not reach so far", ({ expect }) => {
    expect(new ShardCore().backlogAfter(0)).toBeUndefined();
    expect(ShardHarness.at(5).core.backlogAfter(4)).toBeUndefined();
    expect(ShardHarness.at(5).core.backlogAfter(5)).toEqual([]);
    const shard = ShardHarness.at(0);
    range(1, 3 * SHARD_BACKLOG).forEach((seqId) => shard.push(seqId).pass(SHARD_WINDOW_MS));
    expect(shard.core.backlogAfter(0)).toBeUndefined();
    expect(shard.core.backlogAfter(2 * SHARD_BACKLOG)).toHaveLength(SHARD_BACKLOG);
  });
});

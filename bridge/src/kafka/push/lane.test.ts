import { describe, it } from "vitest";
import { Lane, type LaneLimits, type LaneRecord, type PushOutcome } from "./lane.ts";

const LIMITS: LaneLimits = { batchRecords: 4, batchBytes: 100, maxTries: 3 };
const DONE: PushOutcome = { kind: "done" };
const REFUSED: PushOutcome = { kind: "refused" };

function record(offset: number, bytes = 1): LaneRecord {
  return { offset: BigInt(offset), leaderEpoch: 0, key: "k", value: "v", bytes, tries: 0 };
}

function laneWith(count: number, limits = LIMITS): Lane {
  const lane = new Lane(0n, limits);
  lane.offer(
    Array.from({ length: count }, (_, offset) => record(offset)),
    BigInt(count),
  );
  return lane;
}

const failed = (...offsets: number[]): PushOutcome => ({
  kind: "failed",
  offsets: new Set(offsets.map(String)),
  retryAfterMs: 0,
});
const offsetsOf = (records: readonly LaneRecord[]): number[] => records.map(({ offset }) => Number(offset));

/** Pushes until nothing is left; the answer is what the worker says to these offsets. */
function pushAll(lane: Lane, answer: (offsets: number[]) => PushOutcome): { pushes: number[][]; letters: number[] } {
  const pushes: number[][] = [];
  const letters: number[] = [];
  for (let records = lane.next(); records.length > 0; records = lane.next()) {
    pushes.push(offsetsOf(records));
    const { deadLetters } = lane.settle(records, answer(offsetsOf(records)), 0);
    letters.push(...offsetsOf(deadLetters));
    lane.bury(deadLetters);
    if (pushes.length > 200) {
      throw new Error("it never ends");
    }
  }
  return { pushes, letters };
}

describe("a lane", () => {
  it("pushes in order, within its limits, and commits what is done", ({ expect }) => {
    const lane = laneWith(6);
    expect(lane.committable).toEqual({ offset: 0n, leaderEpoch: 0 });
    const first = lane.next();
    expect(offsetsOf(first)).toEqual([0, 1, 2, 3]);
    // Asked again before the answer: the same.
    expect(lane.next()).toEqual(first);
    expect(lane.settle(first, DONE, 0)).toEqual({ deadLetters: [], waitMs: 0 });
    expect([lane.committable.offset, lane.bytes]).toEqual([4n, 2]);
    expect(pushAll(lane, () => DONE).pushes).toEqual([[4, 5]]);
    expect([lane.committable.offset, lane.bytes, lane.isEmpty]).toEqual([6n, 0, true]);
  });

  it("bounds a batch by bytes, but lets one record through whatever its size", ({ expect }) => {
    const lane = new Lane(0n, LIMITS);
    lane.offer([record(0, 60), record(1, 60), record(2, 500), record(3, 1)], 4n);
    expect(pushAll(lane, () => DONE).pushes).toEqual([[0], [1], [2], [3]]);
  });

  it("reads on behind what is no record", ({ expect }) => {
    const lane = new Lane(5n, LIMITS);
    lane.offer([], 9n);
    expect([lane.end, lane.committable.offset, lane.isEmpty]).toEqual([9n, 9n, true]);
  });

  it("pushes what failed again, in order, before anything behind it", ({ expect }) => {
    const lane = laneWith(6);
    const records = lane.next();
    const step = lane.settle(records, failed(1, 3), 0);
    expect(step.deadLetters).toEqual([]);
    expect(step.waitMs).toBeGreaterThan(0);
    // 0 is done, 2 is done, and still nothing behind 1 may be committed.
    expect(lane.committable.offset).toBe(1n);
    expect(pushAll(lane, () => DONE).pushes).toEqual([
      [1, 3],
      [4, 5],
    ]);
  });

  it("gives up on a record after its tries, and goes on", ({ expect }) => {
    const lane = laneWith(6);
    const { pushes, letters } = pushAll(lane, (offsets) => (offsets.includes(2) ? failed(2) : DONE));
    expect(pushes).toEqual([[0, 1, 2, 3], [2], [2], [4, 5]]);
    expect(letters).toEqual([2]);
    expect(lane.committable.offset).toBe(6n);
  });

  it("finds the one that nobody takes when nobody says which", ({ expect }) => {
    const lane = laneWith(8, { ...LIMITS, batchRecords: 8 });
    const { letters, pushes } = pushAll(lane, (offsets) => (offsets.includes(5) ? REFUSED : DONE));
    expect(letters).toEqual([5]);
    expect(lane.committable.offset).toBe(8n);
    // Alone it had all of its tries, and the others none of the blame.
    expect(pushes.filter((offsets) => offsets.length === 1 && offsets[0] === 5)).toHaveLength(LIMITS.maxTries);
  });

  it("takes an answer that names nothing of the batch for a refusal", ({ expect }) => {
    const lane = laneWith(1);
    const { letters } = pushAll(lane, () => failed(77));
    expect(letters).toEqual([0]);
  });

  it("never blames a record for an outage", ({ expect }) => {
    const lane = laneWith(2);
    for (let n = 0; n < 100; n++) {
      const step = lane.settle(lane.next(), { kind: "unavailable", retryAfterMs: 0 }, 1);
      expect(step.deadLetters).toEqual([]);
      expect(step.waitMs).toBeLessThanOrEqual(5_000);
    }
    expect(offsetsOf(lane.next())).toEqual([0, 1]);
  });

  it("waits longer each time, and as long as it is asked to", ({ expect }) => {
    const waits = (chance: number): number[] => {
      const lane = laneWith(1, { ...LIMITS, maxTries: 100 });
      return Array.from({ length: 9 }, () => lane.settle(lane.next(), failed(0), chance).waitMs);
    };
    expect(waits(1)).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
    expect(waits(0)).toEqual([125, 250, 500, 1_000, 2_000, 4_000, 7_500, 7_500, 7_500]);
    const lane = laneWith(1);
    const asked: PushOutcome = { kind: "failed", offsets: new Set(["0"]), retryAfterMs: 3_000 };
    expect(lane.settle(lane.next(), asked, 0).waitMs).toBe(3_000);
    const absurd: PushOutcome = { kind: "unavailable", retryAfterMs: 1e9 };
    expect(lane.settle(lane.next(), absurd, 0).waitMs).toBe(60_000);
  });

  it("holds a dead letter until it is buried", ({ expect }) => {
    const lane = laneWith(2, { ...LIMITS, batchRecords: 1, maxTries: 1 });
    const step = lane.settle(lane.next(), REFUSED, 0);
    expect(offsetsOf(step.deadLetters)).toEqual([0]);
    expect(lane.committable.offset).toBe(0n);
    lane.bury(step.deadLetters);
    expect(lane.committable.offset).toBe(1n);
  });

  it("of dead letters waits for ever with what the worker cannot keep, and gives up what it refuses", ({ expect }) => {
    const lane = laneWith(3, { ...LIMITS, keepsFailed: true });
    let asked = 0;
    const { letters } = pushAll(lane, (offsets) => {
      asked += 1;
      return asked <= 10 ? failed(...offsets) : offsets.includes(1) ? REFUSED : DONE;
    });
    expect(letters).toEqual([1]);
    expect(asked).toBeGreaterThan(10 + LIMITS.maxTries);
    const waiting = laneWith(1, { ...LIMITS, keepsFailed: true });
    const waits = Array.from({ length: 10 }, () => waiting.settle(waiting.next(), failed(0), 1).waitMs);
    expect([waits[0], waits.at(-1)]).toEqual([250, 5_000]);
  });
});

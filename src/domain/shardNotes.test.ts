import { describe, it } from "vitest";
import { ChangeBrake } from "./changeBrake.ts";
import { ShardCore } from "./shard.ts";
import { NOTES_LIMIT, ShardNotes } from "./shardNotes.ts";
import { storedMessage as message } from "./testing/storedMessage.ts";

const NOW = 1_800_000_000_000;

describe("notes of a window", () => {
  it("keep the last about each thing, in order, and begin again", ({ expect }) => {
    const notes = new ShardNotes();
    expect(notes.add({ key: "a", version: 1, frame: "a1", isReaction: true })).toBe(true);
    expect(notes.add({ key: "b", version: 1, frame: "b1", isReaction: false })).toBe(false);
    expect(notes.add({ key: "a", version: 1, frame: "a2", isReaction: true })).toBe(false);
    expect(notes.take()).toEqual(["b1", "a2"]);
    expect(notes.take()).toEqual([]);
    expect(notes.add({ key: "a", version: 1, frame: "a3", isReaction: true })).toBe(true);
  });

  it("keep the later change, whichever comes first", ({ expect }) => {
    const notes = new ShardNotes();
    notes.add({ key: "message 1", version: 3, frame: "recalled", isReaction: false });
    notes.add({ key: "message 1", version: 2, frame: "edited", isReaction: false });
    expect(notes.take()).toEqual(["recalled"]);
  });

  it("lose reactions when there are too many, but never an edit or a recall", ({ expect }) => {
    const notes = new ShardNotes();
    for (let n = 0; n < NOTES_LIMIT; n++) {
      notes.add({ key: `recall ${n}`, version: 1, frame: `recall ${n}`, isReaction: false });
      notes.add({ key: `tap ${n}`, version: 1, frame: `tap ${n}`, isReaction: true });
      notes.add({ key: `more ${n}`, version: 1, frame: `more ${n}`, isReaction: true });
    }
    const frames = notes.take();
    expect(frames.filter((frame) => frame.startsWith("recall"))).toHaveLength(NOTES_LIMIT);
    expect(frames).toHaveLength(2 * NOTES_LIMIT);
    expect(frames.at(-1)).toBe(`more ${NOTES_LIMIT - 1}`);
  });
});

describe("a shard's backlog", () => {
  it("has the new form of a message that changed, whichever came first", ({ expect }) => {
    const shard = new ShardCore();
    shard.start(0);
    shard.amended(2, NOW + 2);
    shard.pushed([message(1), message(2), message(3)], NOW);
    shard.amended(1, message(1, { content: "edited", editedAt: NOW + 2 }));
    // A task that was on its way since before.
    shard.amended(3, message(3, { content: "edited", editedAt: NOW + 2 }));
    // Read before its recall, told after it.
    shard.amended(2, message(2, { content: "edited", editedAt: NOW + 1 }));
    shard.onTimer(NOW + 1_000);
    const known = shard.backlogAfter(0) ?? [];
    expect(known.map((row) => [row.seqId, row.content])).toEqual([
      [1, "edited"],
      [2, undefined],
      [3, "edited"],
    ]);
  });
});

describe("the brake on one user's changes", () => {
  it("holds each user by themselves, and remembers only so many", ({ expect }) => {
    const brake = new ChangeBrake({ perSecond: 1, burst: 2 });
    expect([brake.take("a", NOW), brake.take("a", NOW), brake.take("a", NOW)]).toEqual([0, 0, 1_000]);
    expect(brake.take("b", NOW)).toBe(0);
    expect(brake.take("a", NOW + 1_000)).toBe(0);
    for (let n = 0; n < 2_000; n++) {
      brake.take(`u${n}`, NOW + 1_000);
    }
    expect(brake.take("a", NOW + 1_000)).toBe(0);
  });
});

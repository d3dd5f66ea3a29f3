import { describe, it } from "vitest";
import { actorOf, MemoryRoom, must, textOf } from "../../test/support/memoryRoom.ts";
import { removeMember } from "./roomChanges.ts";

/** Upstash takes 1 MB in a request on its smallest plan. */
const REQUEST_BYTES = 1_000_000;

describe("a flight to the cache", () => {
  it("holds the newest messages, as many as one request bears", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a"]);
    const contents = ["你".repeat(8_000), "👍".repeat(8_000), "\u0001".repeat(8_000)];
    const texts = Array.from({ length: 60 }, (_, n) => textOf("a", `k${n}`, { content: contents[n % 3] ?? "" }));
    room.core.append(texts, room.now);
    const [flight] = room.take("cache");
    const carried = flight?.messages ?? [];
    expect(carried.length).toBeGreaterThan(5);
    expect(carried.map(({ seqId }) => seqId)).toEqual(
      Array.from({ length: carried.length }, (_, n) => 60 - carried.length + 1 + n),
    );
    // A message is JSON in the JSON of a command.
    const bytes = carried.reduce((sum, message) => sum + Buffer.byteLength(JSON.stringify(JSON.stringify(message))), 0);
    expect(bytes).toBeLessThan(REQUEST_BYTES);
  });

  it("tells the version of the room once, and again when the cache may not have heard it", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a", "b"]);
    const gone = must(removeMember(room.core, actorOf("owner"), "b", room.now));
    // SQL knows of the removal: who has read it before that finds the version here, with what they may not see.
    room.core.settled(gone.outboxIds, room.now);
    const others = room.outbox().map(({ id }) => id);
    room.core.settled(others, room.now);
    room.core.onAlarm(room.now);
    room.take("cache");
    const version = room.core.state?.version;
    const told = (key: string, answer: { online: string[]; complete: boolean } | "failed"): unknown => {
      room.now += 1_000;
      room.core.append([textOf("a", key)], room.now);
      const [flight] = room.take("cache");
      room.core.cached(answer, room.now);
      return flight?.version;
    };
    const heard = { online: [], complete: true };
    expect(version).toBeGreaterThan(1);
    expect(told("k1", heard)).toBe(version);
    expect(told("k2", "failed")).toBeUndefined();
    expect(told("k3", heard)).toBe(version);
  });
});

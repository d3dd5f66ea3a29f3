import { describe, it } from "vitest";
import { MemoryRoom, textOf } from "../../test/support/memoryRoom.ts";

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
});

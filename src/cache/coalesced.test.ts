import { describe, it } from "vitest";
import { coalesced } from "./coalesced.ts";
import type { CacheCommand } from "./types.ts";

function recorder(fails = false) {
  const flights: CacheCommand[][] = [];
  const cache = coalesced({
    pipeline: (commands) => {
      flights.push(commands);
      return fails ? Promise.reject(new Error("away")) : Promise.resolve(commands.map(([, key]) => `value of ${key}`));
    },
  });
  return { flights, cache };
}

describe("coalesced", () => {
  it("takes what is asked in one turn along together, and gives each its own", async ({ expect }) => {
    const { flights, cache } = recorder();
    const asked = [
      cache.pipeline([["GET", "a"]]),
      cache.pipeline([]),
      cache.pipeline([
        ["GET", "b"],
        ["GET", "c"],
      ]),
    ];
    expect(await Promise.all(asked)).toEqual([["value of a"], [], ["value of b", "value of c"]]);
    expect(flights).toHaveLength(1);
    await cache.pipeline([["GET", "d"]]);
    expect(flights.map((flight) => flight.length)).toEqual([3, 1]);
  });

  it("tells everybody of a failure, and begins anew", async ({ expect }) => {
    const { flights, cache } = recorder(true);
    const asked = await Promise.allSettled([cache.pipeline([["GET", "a"]]), cache.pipeline([["GET", "b"]])]);
    expect(asked.map((one) => one.status)).toEqual(["rejected", "rejected"]);
    await expect(cache.pipeline([["GET", "c"]])).rejects.toThrow("away");
    expect(flights).toHaveLength(2);
  });
});

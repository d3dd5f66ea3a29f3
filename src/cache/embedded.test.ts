import { describe, it } from "vitest";
import type { ObjectEnv } from "../platform/stubs.ts";
import { shardNumber } from "../domain/sharding.ts";
import { embeddedCache } from "./embedded.ts";
import type { CacheCommand, CacheReply } from "./types.ts";

const SHARDS = 4;

/** Objects that answer only when told to, and tell what they were asked. */
function slowObjects() {
  const asked: string[] = [];
  const waiting: (() => void)[] = [];
  const pipeline = (commands: CacheCommand[]): Promise<CacheReply[]> => {
    asked.push(...commands.map(([name, key]) => `${name} ${key}`));
    const replies = commands.map(([name, ...keys]): CacheReply => (name === "MGET" ? keys.map(() => "1") : "OK"));
    return new Promise((resolve) => waiting.push(() => resolve(replies)));
  };
  const env = { CACHE_STORE: { getByName: () => ({ pipeline }) } } as unknown as ObjectEnv;
  const answer = async (): Promise<void> => {
    waiting.splice(0).forEach((resolve) => resolve());
    await new Promise(setImmediate);
  };
  return { env, asked, answer };
}

describe("the cache over several objects", () => {
  it("asks no shard for presence before every shard has written the head", async ({ expect }) => {
    const { env, asked, answer } = slowObjects();
    const other = ["u1", "u2", "u3", "u4"].map((user) => `user:online:${user}`);
    expect(other.some((key) => shardNumber(key, SHARDS) !== shardNumber("conv_seq:c", SHARDS))).toBe(true);

    const done = embeddedCache(env, SHARDS).pipeline([
      ["SET", "conv_seq:c", "7"],
      ["MGET", ...other],
    ]);
    await new Promise(setImmediate);
    expect(asked).toEqual(["SET conv_seq:c"]);
    await answer();
    expect(asked.filter((one) => one.startsWith("MGET")).length).toBeGreaterThan(0);
    await answer();
    expect(await done).toEqual(["OK", ["1", "1", "1", "1"]]);
  });

  it("asks all shards at once when nothing was written", async ({ expect }) => {
    const { env, asked, answer } = slowObjects();
    const done = embeddedCache(env, SHARDS).pipeline([
      ["GET", "a"],
      ["GET", "b"],
      ["GET", "c"],
      ["DEL", "d"],
    ]);
    await new Promise(setImmediate);
    expect(asked).toHaveLength(4);
    await answer();
    await done;
  });
});

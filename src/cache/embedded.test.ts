import { describe, it } from "vitest";
import { shardNumber } from "../domain/sharding.ts";
import { embeddedCache } from "./embedded.ts";
import type { CacheCommand, CacheReply } from "./types.ts";

const SHARDS = 4;

/** Objects that answer at once, each with what `since` has for it as the time from which it knows presence. */
function objectsSince(since: Record<number, string | null>) {
  const asked = new Set<number>();
  const getByName = (name: string) => ({
    pipeline: (commands: CacheCommand[]): Promise<CacheReply[]> => {
      const shard = Number(name.split("-")[1]);
      asked.add(shard);
      return Promise.resolve(
        commands.map(([command, ...keys]): CacheReply => {
          const isSince = keys[0] === "presence:since";
          return command === "MGET" ? keys.map(() => null) : isSince && command === "GET" ? (since[shard] ?? null) : 0;
        }),
      );
    },
  });
  return { env: { CACHE_STORE: { getByName } }, asked };
}

/** A user whose presence lies on this shard. */
function userOn(shard: number): string {
  for (let n = 0; ; n++) {
    const key = `user:online:u${n}`;
    if (shardNumber(key, SHARDS) === shard) {
      return key;
    }
  }
}

/** Objects that answer only when told to, and tell what they were asked. */
function slowObjects() {
  const asked: string[] = [];
  const waiting: (() => void)[] = [];
  const pipeline = (commands: CacheCommand[]): Promise<CacheReply[]> => {
    asked.push(...commands.map(([name, key]) => `${name} ${key}`));
    const replies = commands.map(([name, ...keys]): CacheReply => (name === "MGET" ? keys.map(() => "1") : "OK"));
    return new Promise((resolve) => waiting.push(() => resolve(replies)));
  };
  const env = { CACHE_STORE: { getByName: () => ({ pipeline }) } };
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

  it("knows presence since the last of those shards began that hold the users in question", async ({ expect }) => {
    const { env, asked } = objectsSince({ 0: "100", 1: "300", 2: "200", 3: null });
    const cache = embeddedCache(env, SHARDS);
    const ask = (...users: string[]) =>
      cache.pipeline([
        ["SETNX", "presence:since", "999"],
        ["GET", "presence:since"],
        ["MGET", ...users],
      ]);
    expect(await ask(userOn(0), userOn(2))).toEqual([0, "200", [null, null]]);
    expect(asked).toEqual(new Set([0, 2]));
    expect(await ask(userOn(0), userOn(1), userOn(2))).toEqual([0, "300", [null, null, null]]);
    // One of them was emptied: what is absent there proves nothing.
    expect(await ask(userOn(0), userOn(3))).toEqual([0, null, [null, null]]);
    expect(await cache.pipeline([["GET", "presence:since"]])).toEqual([null]);
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

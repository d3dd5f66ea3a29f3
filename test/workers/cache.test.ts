import { env } from "cloudflare:workers";
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, it, vi } from "vitest";
import { embeddedCache } from "../../src/cache/embedded.ts";
import { CACHE_KEYS, type CacheCommand } from "../../src/cache/types.ts";
import { shardNumber } from "../../src/domain/sharding.ts";
import { cacheAt } from "../../src/platform/stubs.ts";
import { advance, newUserId, resetClock } from "./support/harness.ts";

afterEach(() => {
  resetClock();
  vi.restoreAllMocks();
});

/** Each test has a cache object of its own. */
let last = 1_000;
function newCache() {
  last += 1;
  const number = last;
  return {
    run: (...commands: CacheCommand[]) => cacheAt(env, number).pipeline(commands),
    stub: env.CACHE_STORE.getByName(`cache-${number}`),
  };
}

describe("the embedded cache", () => {
  it("answers a pipeline in order", async ({ expect }) => {
    const { run } = newCache();
    expect(
      await run(
        ["GET", "a"],
        ["SET", "a", "1"],
        ["GET", "a"],
        ["SETNX", "a", "2"],
        ["SETNX", "b", "2"],
        ["MGET", "a", "b", "c"],
        ["DEL", "a", "c"],
        ["MGET", "a", "b"],
      ),
    ).toEqual([null, "OK", "1", 0, 1, ["1", "2", null], 1, [null, "2"]]);
  });

  it("forgets at the end of a life, and not a moment earlier", async ({ expect }) => {
    const { run } = newCache();
    await run(["SET", "short", "1", 1_000], ["SET", "long", "1", 60_000], ["SET", "ever", "1"]);
    advance(900);
    expect(await run(["MGET", "short", "long", "ever"])).toEqual([["1", "1", "1"]]);
    advance(200);
    expect(await run(["MGET", "short", "long", "ever"], ["SETNX", "short", "2"])).toEqual([[null, "1", "1"], 1]);
    // A new value without a life does not inherit one.
    await run(["SET", "long", "2"]);
    advance(3_600_000);
    expect(await run(["MGET", "long", "ever"])).toEqual([["2", "1"]]);
  });

  it("keeps the highest scores of a set, once each, and ranges by rank", async ({ expect }) => {
    const { run } = newCache();
    await run(["ZADD", "z", 3, 1, "one", 2, "two"], ["ZADD", "z", 3, 4, "four", 3, "three", 2, "two"]);
    expect(
      await run(["ZRANGE", "z", 0, -1], ["ZRANGE", "z", -2, -1], ["ZRANGE", "z", 0, 0], ["ZRANGE", "n", 0, -1]),
    ).toEqual([["two", "three", "four"], ["three", "four"], ["two"], []]);
    // Ranks that are not there, as Redis has it.
    expect(await run(["ZRANGE", "z", -9, -2], ["ZRANGE", "z", -9, -4], ["ZRANGE", "z", 3, 9])).toEqual([
      ["two", "three"],
      [],
      [],
    ]);
    expect(await run(["GET", "z"])).toEqual([null]);
  });

  it("raises a number and never lowers it, whatever stood there", async ({ expect }) => {
    const { run } = newCache();
    expect(
      await run(
        ["SETMAX", "head", "9"],
        ["SETMAX", "head", "10"],
        ["SETMAX", "head", "8"],
        ["GET", "head"],
        ["SET", "text", "no number"],
        ["SETMAX", "text", "1"],
      ),
    ).toEqual(["9", "10", "10", "10", "OK", "1"]);
    advance(365 * 24 * 3_600_000);
    expect(await run(["GET", "head"])).toEqual(["10"]);
  });

  it("takes back only what is not newer", async ({ expect }) => {
    const { run, stub } = newCache();
    const online = CACHE_KEYS.online(newUserId());
    expect(
      await run(
        ["DELIF", online, "5"],
        ["SET", online, "10", 300_000],
        ["DELIF", online, "9"],
        ["GET", online],
        ["DELIF", online, "10"],
        ["GET", online],
      ),
    ).toEqual([0, "OK", 0, "10", 1, null]);
    // Also on disk.
    await run(["SET", online, "11", 300_000], ["DELIF", online, "12"]);
    await evictDurableObject(stub);
    expect(await run(["GET", online])).toEqual([null]);
  });

  it("drops the longest unused when it is full, never presence", async ({ expect }) => {
    const { run } = newCache();
    const online = CACHE_KEYS.online(newUserId());
    const megabyte = "x".repeat(1024 * 1024);
    await run(["SET", online, "1", 300_000]);
    for (let n = 0; n < 20; n++) {
      await run(["SET", `big-${n}`, megabyte]);
    }
    // Used just now: it outlives those that were written after it.
    expect(await run(["GET", "big-0"])).toEqual([megabyte]);
    for (let n = 20; n < 30; n++) {
      await run(["SET", `big-${n}`, megabyte]);
    }
    const [values] = await run(["MGET", ...Array.from({ length: 30 }, (_, n) => `big-${n}`)]);
    const kept = (values as (string | null)[]).flatMap((value, n) => (value === null ? [] : [n]));
    expect(kept.length).toBeGreaterThan(20);
    expect(kept.length).toBeLessThan(25);
    expect(kept).toContain(0);
    expect(kept).not.toContain(1);
    expect(kept).toContain(29);
    expect(await run(["GET", online])).toEqual(["1"]);
  });

  it("keeps presence, and nothing else, when the object goes to sleep", async ({ expect }) => {
    const { run, stub } = newCache();
    const [stays, leaves, expires] = [newUserId(), newUserId(), newUserId()].map(CACHE_KEYS.online);
    await run(
      ["SET", stays ?? "", "1", 300_000],
      ["SET", leaves ?? "", "1", 300_000],
      ["SET", expires ?? "", "1", 1_000],
      ["SET", "conv_seq:x", "7"],
      ["DEL", leaves ?? ""],
    );
    await evictDurableObject(stub);
    expect(await run(["MGET", stays ?? "", leaves ?? "", expires ?? ""], ["GET", "conv_seq:x"])).toEqual([
      ["1", null, "1"],
      null,
    ]);
    await evictDurableObject(stub);
    advance(2_000);
    expect(await run(["MGET", stays ?? "", expires ?? ""])).toEqual([["1", null]]);
    const rows = await runInDurableObject(stub, (_cache, state) =>
      state.storage.sql
        .exec<{ key: string }>("SELECT key FROM entries")
        .toArray()
        .map((row) => row.key),
    );
    expect(rows).toEqual([stays]);
  });

  it("has known presence for ever, since it is durable: nobody is delivered to in doubt", async ({ expect }) => {
    const { run } = newCache();
    expect(await run(["SETNX", CACHE_KEYS.presenceSince, "123"], ["GET", CACHE_KEYS.presenceSince])).toEqual([0, "0"]);
  });
});

describe("the cache over several objects", () => {
  it("splits a pipeline by key and puts the answers together again", async ({ expect }) => {
    const cache = embeddedCache(env, 4);
    const prefix = newUserId();
    const keys = Array.from({ length: 12 }, (_, n) => `${prefix}-${n}`);
    expect(new Set(keys.map((key) => shardNumber(key, 4))).size).toBeGreaterThan(1);
    await cache.pipeline(keys.map((key, n): CacheCommand => ["SET", key, String(n)]));
    const [values, gone, rest] = await cache.pipeline([
      ["MGET", ...keys.toReversed(), "none"],
      ["DEL", ...keys.slice(0, 5), "none"],
      ["MGET", ...keys],
    ]);
    expect(values).toEqual([...[...keys.keys()].toReversed().map(String), null]);
    expect(gone).toBe(5);
    expect(rest).toEqual(keys.map((_, n) => (n < 5 ? null : String(n))));
  });

  it("counts a command for a key where the key is", async ({ expect }) => {
    const cache = embeddedCache(env, 4);
    const keys = Array.from({ length: 8 }, () => newUserId());
    expect(new Set(keys.map((key) => shardNumber(key, 4))).size).toBeGreaterThan(1);
    await cache.pipeline(keys.map((key): CacheCommand => ["SETMAX", key, "7"]));
    await cache.pipeline(keys.map((key): CacheCommand => ["SETMAX", key, "6"]));
    await cache.pipeline(keys.slice(4).map((key): CacheCommand => ["DELIF", key, "7"]));
    const [values] = await cache.pipeline([["MGET", ...keys]]);
    expect(values).toEqual(["7", "7", "7", "7", null, null, null, null]);
  });
});

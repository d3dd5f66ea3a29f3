/** What every cache does, whichever engine it is: the same cases run on the embedded one and on Redis. */
import { describe, it, vi } from "vitest";
import { CACHE_KEYS, type Cache, type CacheCommand, type CacheReply } from "../../src/cache/types.ts";

export interface CacheUnderTest {
  /** An empty cache, or one where nobody else uses keys that begin with `prefix`. */
  open(): { cache: Cache; prefix: string };
  /** Called between two looks: lets time go on where it does not by itself. */
  wait(): void | Promise<void>;
}

const SHORT_MS = 300;
const LONG_MS = 600_000;

export function cacheContract(name: string, { open, wait }: CacheUnderTest): void {
  /** Commands about keys of this test's own. */
  function newCache() {
    const { cache, prefix } = open();
    const key = (text: string): string => `${prefix}${text}`;
    return { key, run: (...commands: CacheCommand[]): Promise<CacheReply[]> => cache.pipeline(commands) };
  }

  describe(`the contract of the cache: ${name}`, () => {
    it("answers a pipeline in order", async ({ expect }) => {
      const { run, key } = newCache();
      const [a, b, c] = [key("a"), key("b"), key("c")];
      expect(
        await run(
          ["GET", a],
          ["SET", a, "1"],
          ["GET", a],
          ["SETNX", a, "2"],
          ["SETNX", b, "2"],
          ["MGET", a, b, c],
          ["DEL", a, c],
          ["MGET", a, b],
        ),
      ).toEqual([null, "OK", "1", 0, 1, ["1", "2", null], 1, [null, "2"]]);
    });

    it("answers nothing to nothing, and no keys with no values", async ({ expect }) => {
      const { run, key } = newCache();
      expect(await run()).toEqual([]);
      expect(await run(["MGET"])).toEqual([[]]);
      expect(await run(["MGET"], ["SET", key("a"), "1"], ["DEL"], ["GET", key("a")])).toEqual([[], "OK", 0, "1"]);
    });

    it("gives back exactly the text it was given", async ({ expect }) => {
      const { run, key } = newCache();
      const texts = [
        "",
        "0",
        "007",
        "9007199254740993",
        "1e3",
        "true",
        "null",
        "OK",
        "T0s=",
        '{"a":[1,"2"],"b":null}',
        '"quoted"',
        " white space\n\t",
        "ümlaut 消息 👩‍👩‍👧 \u0000 \u{10ffff}",
        "x".repeat(100_000),
      ];
      await run(...texts.map((text, n): CacheCommand => ["SET", key(String(n)), text]));
      const keys = texts.map((_, n) => key(String(n)));
      expect(await run(["MGET", ...keys])).toEqual([texts]);
      expect(await run(...keys.map((one): CacheCommand => ["GET", one]))).toEqual(texts);
      const members = texts.flatMap((text, n) => [n, text]);
      await run(["ZADD", key("z"), 100, ...members]);
      expect(await run(["ZRANGE", key("z"), 0, -1])).toEqual([texts]);
    });

    it("forgets at the end of a life; a new value without one does not inherit it", async ({ expect }) => {
      const { run, key } = newCache();
      const [short, long, ever, absent] = [key("short"), key("long"), key("ever"), key("absent")];
      expect(
        await run(
          ["SET", short, "1", SHORT_MS],
          ["SET", long, "1", LONG_MS],
          ["SET", ever, "1", SHORT_MS],
          ["SET", ever, "2"],
          ["SETNX", absent, "1", SHORT_MS],
          ["MGET", short, long, ever, absent],
        ),
      ).toEqual(["OK", "OK", "OK", "OK", 1, ["1", "1", "2", "1"]]);
      await vi.waitFor(async () => {
        await wait();
        expect(await run(["MGET", short, absent])).toEqual([[null, null]]);
      }, 10_000);
      expect(await run(["MGET", long, ever], ["SETNX", short, "2"], ["GET", short])).toEqual([["1", "2"], 1, "2"]);
    });

    it("takes a life of less than a millisecond", async ({ expect }) => {
      const { run, key } = newCache();
      expect(await run(["SET", key("a"), "1", 0.4], ["SETNX", key("b"), "1", 0])).toEqual(["OK", 1]);
      await vi.waitFor(async () => {
        await wait();
        expect(await run(["MGET", key("a"), key("b")])).toEqual([[null, null]]);
      }, 10_000);
    });

    it("raises a number and never lowers it, whatever stood there", async ({ expect }) => {
      const { run, key } = newCache();
      const [head, text] = [key("head"), key("text")];
      expect(
        await run(
          ["SETMAX", head, "9"],
          ["SETMAX", head, "10"],
          ["SETMAX", head, "8"],
          ["SETMAX", head, "10"],
          ["GET", head],
          ["SET", text, "no number"],
          ["SETMAX", text, "1"],
          ["SETMAX", head, "9007199254740991"],
          ["SETMAX", head, "9007199254740990"],
        ),
      ).toEqual(["9", "10", "10", "10", "10", "OK", "1", "9007199254740991", "9007199254740991"]);
    });

    it("raises a number to the highest of many that come at once", async ({ expect }) => {
      const { run, key } = newCache();
      const numbers = Array.from({ length: 50 }, (_, n) => String((n * 37) % 50));
      await Promise.all(numbers.map((number) => run(["SETMAX", key("n"), number])));
      expect(await run(["GET", key("n")])).toEqual(["49"]);
    });

    it("takes back only what is not newer", async ({ expect }) => {
      const { run, key } = newCache();
      const online = key("online");
      expect(
        await run(
          ["DELIF", online, "5"],
          ["SET", online, "10", LONG_MS],
          ["DELIF", online, "9"],
          ["GET", online],
          ["DELIF", online, "10"],
          ["GET", online],
          ["SET", online, "no number"],
          ["DELIF", online, "99"],
        ),
      ).toEqual([0, "OK", 0, "10", 1, null, "OK", 0]);
    });

    it("keeps the highest scores of a set, once each, and ranges by rank", async ({ expect }) => {
      const { run, key } = newCache();
      const z = key("z");
      expect(
        await run(
          ["ZADD", z, 3, 1, "one", 2, "two"],
          ["ZADD", z, 3, 4, "four", 3, "three", 2, "two"],
          ["ZRANGE", z, 0, -1],
          ["ZRANGE", z, -2, -1],
          ["ZRANGE", z, 0, 0],
          ["ZRANGE", key("none"), 0, -1],
          // Ranks that are not there.
          ["ZRANGE", z, -9, -2],
          ["ZRANGE", z, -9, -4],
          ["ZRANGE", z, 3, 9],
        ),
      ).toEqual([2, 3, ["two", "three", "four"], ["three", "four"], ["two"], [], ["two", "three"], [], []]);
      // One more of the same score is another message; the same with another score has moved.
      expect(await run(["ZADD", z, 3, 9, "two"], ["ZRANGE", z, 0, -1])).toEqual([1, ["three", "four", "two"]]);
    });

    it("replaces what stands at a score: a message that changed", async ({ expect }) => {
      const { run, key } = newCache();
      const z = key("z");
      await run(["ZADD", z, 300, 1, "a", 2, "b", 3, "c"]);
      expect(
        await run(
          ["ZREMRANGEBYSCORE", z, 2, 2],
          ["ZADD", z, 300, 2, "B"],
          ["ZRANGE", z, 0, -1],
          ["ZREMRANGEBYSCORE", z, 2, 3],
          ["ZREMRANGEBYSCORE", key("none"), 0, 9],
          ["ZRANGE", z, 0, -1],
        ),
      ).toEqual([1, 1, ["a", "B", "c"], 2, 0, ["a"]]);
    });

    it("takes the newest messages of a room and the presence of 500 members in one pipeline", async ({ expect }) => {
      const { run, key } = newCache();
      const users = Array.from({ length: 500 }, (_, n) => key(CACHE_KEYS.online(`u${n}`)));
      await run(...users.slice(0, 10).map((user): CacheCommand => ["SET", user, "1", LONG_MS]));
      const pairs = Array.from({ length: 400 }, (_, n) => [n, JSON.stringify({ seqId: n })]).flat();
      const [head, added, online, newest] = await run(
        ["SETMAX", key("conv_seq"), "399"],
        ["ZADD", key("hot"), 300, ...pairs],
        ["MGET", ...users],
        ["ZRANGE", key("hot"), 0, -1],
      );
      expect([head, added]).toEqual(["399", 400]);
      expect((online as unknown[]).filter((one) => one !== null)).toHaveLength(10);
      expect((newest as string[]).map((text) => Number(JSON.parse(text).seqId))).toEqual(
        Array.from({ length: 300 }, (_, n) => n + 100),
      );
    });

    it("begins to count presence once: whoever comes later gets the first time", async ({ expect }) => {
      const { run, key } = newCache();
      const since = key("since");
      expect(await run(["SETNX", since, "100"], ["GET", since], ["SETNX", since, "200"], ["GET", since])).toEqual([
        1,
        "100",
        0,
        "100",
      ]);
    });
  });
}

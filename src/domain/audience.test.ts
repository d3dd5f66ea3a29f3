import { describe, it } from "vitest";
import { NewestSeen, WATCHED_LIMIT, watchedAfter, WATCHERS_LIMIT, withoutWatchers, withWatcher } from "./audience.ts";

const ids = (count: number, prefix = "u"): string[] => Array.from({ length: count }, (_, n) => `${prefix}${n}`);

describe("watchers", () => {
  it("stand there once, the newest last, and at most so many", ({ expect }) => {
    expect(withWatcher(["a", "b"], "a")).toEqual(["b", "a"]);
    let watchers: string[] = [];
    for (const userId of ids(WATCHERS_LIMIT + 10)) {
      watchers = withWatcher(watchers, userId);
    }
    expect([watchers.length, watchers[0], watchers.at(-1)]).toEqual([WATCHERS_LIMIT, "u10", `u${WATCHERS_LIMIT + 9}`]);
    expect(withoutWatchers(["a", "b", "c"], ["b", "x"])).toEqual(["a", "c"]);
  });

  it("ask for a bounded number of users on a socket", ({ expect }) => {
    expect(watchedAfter(["a"], ["b", "a", "b"], true)).toEqual(["a", "b"]);
    expect(watchedAfter(["a", "b"], ["b", "c"], false)).toEqual(["a"]);
    const full = ids(WATCHED_LIMIT);
    expect(watchedAfter([], full, true)).toHaveLength(WATCHED_LIMIT);
    expect(watchedAfter(full, ["one more"], true)).toBeUndefined();
    expect(watchedAfter(full, full, true)).toHaveLength(WATCHED_LIMIT);
    expect(watchedAfter(full, ids(500), false)).toEqual([]);
  });
});

describe("the newest of a user", () => {
  it("stays, whatever comes late or twice", ({ expect }) => {
    const seen = new NewestSeen();
    expect([seen.isNews("a", 10), seen.isNews("a", 10), seen.isNews("a", 9), seen.isNews("a", 11)]).toEqual([
      true,
      false,
      false,
      true,
    ]);
    // The answer to a question is shown again, unless it is older than what was pushed.
    expect([seen.isCurrent("a", 11), seen.isCurrent("a", 10), seen.isCurrent("b", 0)]).toEqual([true, false, true]);
  });

  it("is kept of a bounded number of users", ({ expect }) => {
    const seen = new NewestSeen();
    for (const userId of ids(3_000)) {
      seen.isNews(userId, 5);
    }
    expect([seen.isNews("u2999", 5), seen.isNews("u0", 5)]).toEqual([false, true]);
  });
});

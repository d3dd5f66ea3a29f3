import { afterEach, beforeEach, describe, it, vi } from "vitest";
import { setFault, SLOW_MS } from "../platform/faults.ts";
import { Breaker, DependencyDown, OPEN_MS } from "./breaker.ts";

const LIMIT_MS = 1_000;
const PROBE_LOST_MS = 1_000;

class OwnMistake extends Error {}

function newBreaker(): Breaker {
  return new Breaker("sql", { limitMs: LIMIT_MS, isOutage: (error) => !(error instanceof OwnMistake) });
}

const answers = (): Promise<string> => Promise.resolve("answer");
const fails = (): Promise<string> => Promise.reject(new Error("down"));
const hangs = (): Promise<string> => new Promise(() => {});

/** What came of it, in a word. */
function outcome(call: Promise<unknown>): Promise<string> {
  return call.then(String, (error: Error) => error.message);
}

async function open(breaker: Breaker): Promise<void> {
  for (let n = 0; n < 5; n++) {
    await outcome(breaker.run(fails));
  }
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(console, "error").mockImplementation(() => {});
  vi.spyOn(console, "log").mockImplementation(() => {});
});
afterEach(() => {
  setFault("sql", "ok");
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("a breaker", () => {
  it("hands on answers and errors while closed", async ({ expect }) => {
    const breaker = newBreaker();
    expect(await breaker.run(answers)).toBe("answer");
    expect(await outcome(breaker.run(fails))).toBe("down");
    expect(breaker.state).toBe("closed");
    expect(vi.getTimerCount()).toBe(0);
  });

  it("opens when half of many calls fail, though never five in a row", async ({ expect }) => {
    const breaker = newBreaker();
    for (let n = 0; n < 40 && breaker.state === "closed"; n++) {
      await outcome(breaker.run(n % 5 < 2 ? answers : fails));
    }
    expect(breaker.state).toBe("open");
  });

  it("opens after five failures in a row, whatever was before, then asks nobody", async ({ expect }) => {
    const breaker = newBreaker();
    for (let n = 0; n < 50; n++) {
      await breaker.run(answers);
    }
    await open(breaker);
    expect(breaker.state).toBe("open");
    const call = vi.fn<typeof answers>(answers);
    expect(await outcome(breaker.run(call))).toBe("sql: breaker open");
    expect(call).not.toHaveBeenCalled();
  });

  it("stays closed over the caller's own mistakes, and over one failure in many", async ({ expect }) => {
    const breaker = newBreaker();
    for (let n = 0; n < 30; n++) {
      await expect(breaker.run(() => Promise.reject(new OwnMistake()))).rejects.toBeInstanceOf(OwnMistake);
    }
    for (let n = 0; n < 60; n++) {
      await outcome(breaker.run(n % 3 === 0 ? fails : answers));
    }
    expect(breaker.state).toBe("closed");
  });

  it("lets one call probe after a while: an answer closes it, a failure opens it again", async ({ expect }) => {
    const breaker = newBreaker();
    await open(breaker);
    vi.advanceTimersByTime(OPEN_MS);
    expect(await outcome(breaker.run(fails))).toBe("down");
    expect(breaker.state).toBe("open");
    vi.advanceTimersByTime(OPEN_MS);
    expect(await outcome(breaker.run(answers))).toBe("answer");
    expect(breaker.state).toBe("closed");
  });

  it("does not let others wait for the probe", async ({ expect }) => {
    const breaker = newBreaker();
    await open(breaker);
    vi.advanceTimersByTime(OPEN_MS);
    const probe = outcome(breaker.run(hangs));
    expect(breaker.state).toBe("half-open");
    expect(await outcome(breaker.run(answers))).toBe("sql: breaker open");
    await vi.advanceTimersByTimeAsync(LIMIT_MS);
    expect(await probe).toBe("sql: no answer in time");
    expect(breaker.state).toBe("open");
  });

  it("forgets a probe whose request ended without a word", async ({ expect }) => {
    const breaker = newBreaker();
    await open(breaker);
    vi.advanceTimersByTime(OPEN_MS);
    void outcome(breaker.run(hangs));
    // With the request its timers are gone as well: the time passes, and none of them fires.
    vi.setSystemTime(Date.now() + LIMIT_MS + PROBE_LOST_MS);
    expect(await outcome(breaker.run(answers))).toBe("answer");
    expect(breaker.state).toBe("closed");
  });

  it("ends a call that hangs, and opens when they do", async ({ expect }) => {
    const breaker = newBreaker();
    const calls = Array.from({ length: 5 }, () => outcome(breaker.run(hangs)));
    await vi.advanceTimersByTimeAsync(LIMIT_MS - 1);
    expect(breaker.state).toBe("closed");
    await vi.advanceTimersByTimeAsync(1);
    expect(new Set(await Promise.all(calls))).toEqual(new Set(["sql: no answer in time"]));
    expect(breaker.state).toBe("open");
    await expect(breaker.run(hangs)).rejects.toBeInstanceOf(DependencyDown);
  });

  it("takes a limit of the call's own", async ({ expect }) => {
    const breaker = newBreaker();
    const call = outcome(breaker.run(hangs, 3 * LIMIT_MS));
    await vi.advanceTimersByTimeAsync(2 * LIMIT_MS);
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(LIMIT_MS);
    expect(await call).toBe("sql: no answer in time");
  });
});

describe("faults on purpose", () => {
  it("fail, hang and slow down the calls behind a breaker, and end", async ({ expect }) => {
    const breaker = newBreaker();
    setFault("sql", "fail");
    expect(await outcome(breaker.run(answers))).toContain("Network connection lost");
    setFault("sql", "slow");
    const slow = outcome(breaker.run(answers));
    await vi.advanceTimersByTimeAsync(SLOW_MS);
    expect(await slow).toBe("answer");
    setFault("sql", "hang");
    const hung = outcome(breaker.run(answers));
    await vi.advanceTimersByTimeAsync(LIMIT_MS);
    expect(await hung).toBe("sql: no answer in time");
    setFault("cache", "fail");
    setFault("sql", "ok");
    expect(await breaker.run(answers)).toBe("answer");
    setFault("cache", "ok");
  });
});

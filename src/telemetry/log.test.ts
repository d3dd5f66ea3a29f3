import { afterEach, describe, it, vi } from "vitest";
import { describeError, errorFrames, log } from "./log.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

describe("log", () => {
  it("writes one JSON line, at the console's level", ({ expect }) => {
    const lines: string[] = [];
    for (const method of ["log", "warn", "error"] as const) {
      vi.spyOn(console, method).mockImplementation((line: string) => {
        lines.push(`${method} ${line}`);
      });
    }
    log("info", "hello", { requestId: "r", count: 2, userId: undefined });
    log("warn", "two\nlines");
    log("error", "bad", { code: "INTERNAL" });
    expect(lines).toEqual([
      'log {"level":"info","msg":"hello","requestId":"r","count":2}',
      String.raw`warn {"level":"warn","msg":"two\nlines"}`,
      'error {"level":"error","msg":"bad","code":"INTERNAL"}',
    ]);
  });
});

describe("errors in the log", () => {
  it("are the innermost cause, so that no statement's parameters are in them", ({ expect }) => {
    const cause = new Error("D1_ERROR: no such table: users: SQLITE_ERROR");
    const drizzle = new Error("Failed query: select * from users where name = ?\nparams: secret", { cause });
    expect(describeError(drizzle)).toBe("Error: D1_ERROR: no such table: users: SQLITE_ERROR");
    expect(errorFrames(drizzle)).toContain("log.test.ts");
    expect(errorFrames(drizzle)).not.toContain("secret");
  });

  it("are short, one line, and never the thing itself", ({ expect }) => {
    expect(describeError(new TypeError(`x${"y".repeat(1000)}`)).length).toBe(300);
    expect(describeError(new Error("first\nsecond"))).toBe("Error: first");
    expect(describeError("text\nmore")).toBe("text");
    expect(describeError({ password: "p" })).toBe("thrown object");
    expect(describeError(undefined)).toBe("thrown undefined");
    expect(errorFrames("text")).toBeUndefined();
    const cycle = new Error("round");
    cycle.cause = cycle;
    expect(describeError(cycle)).toBe("Error: round");
  });
});

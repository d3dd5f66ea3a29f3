import { describe, it } from "vitest";
import { parseCommand, parseCommands } from "./commands.ts";

describe("commands", () => {
  it("are arrays whose parts become text", ({ expect }) => {
    expect(parseCommand(["set", "k", 1, true, null, { a: [1] }, ["x"]])).toEqual({
      ok: true,
      value: { name: "SET", args: ["k", "1", "true", "null", '{"a":[1]}', '["x"]'] },
    });
    for (const wrong of [undefined, null, {}, "GET a", [], 1]) {
      expect(parseCommand(wrong)).toMatchObject({ ok: false });
    }
  });

  it.for(["BLPOP", "subscribe", "Multi", "SELECT", "config", "SHUTDOWN", "HELLO", "auth", "CLIENT"])(
    "do not reach the shared connection when they would hold or change it: %s",
    (name, { expect }) => {
      expect(parseCommand([name, "x"])).toMatchObject({ ok: false });
    },
  );

  it("may read a stream, but not wait for it", ({ expect }) => {
    expect(parseCommand(["XREAD", "COUNT", "1", "STREAMS", "s", "0"])).toMatchObject({ ok: true });
    expect(parseCommand(["XREAD", "block", "0", "STREAMS", "s", "0"])).toMatchObject({ ok: false });
    // A key of that name is no option of other commands.
    expect(parseCommand(["GET", "BLOCK"])).toMatchObject({ ok: true });
  });

  it("of a pipeline fail one by one, and the pipeline when it is none", ({ expect }) => {
    const parsed = parseCommands([
      ["GET", "a"],
      ["WAIT", "1", "0"],
    ]);
    expect(parsed).toMatchObject({ ok: true, value: [{ ok: true }, { ok: false }] });
    expect(parseCommands([])).toEqual({ ok: true, value: [] });
    expect(parseCommands([["GET"], []])).toMatchObject({ ok: false });
    expect(parseCommands(Array.from({ length: 10_001 }, () => ["PING"]))).toMatchObject({ ok: false });
  });
});

/** The recorded script: the simulator must give what is recorded, and workerd the same (test/workers). */
import { readFileSync } from "node:fs";
import { describe, it } from "vitest";
import { runScript, type Script, type ScriptOutcome } from "./script.ts";
import { SimulatedBackend } from "./scriptBackend.ts";

function recorded(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`./recorded/${name}.json`, import.meta.url), "utf8"));
}

describe("the recorded script", () => {
  const script = recorded("script") as Script;
  const outcome = recorded("outcome") as ScriptOutcome;

  it("has a thousand operations of every kind, over direct, group and world", ({ expect }) => {
    expect(script.ops.length).toBe(1_000);
    const kinds = new Set(script.ops.map(({ op }) => op));
    expect([...kinds].sort()).toEqual(["add", "connect", "create", "history", "read", "remove", "send", "view"]);
    const places = new Set(script.ops.flatMap((op) => (op.op === "send" ? op.conversation.replace(/-.*/, "") : [])));
    expect([...places].sort()).toEqual(["direct", "group", "world"]);
  });

  it("gives the recorded outcome, whatever the seed of the network", async ({ expect }) => {
    for (const seed of [1, 2, 3]) {
      expect(await runScript(script, new SimulatedBackend(seed))).toEqual(outcome);
    }
  });
});

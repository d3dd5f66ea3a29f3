/** The recorded script in the simulator; test/workers/script.test.ts runs the same one in workerd. */
import { readFileSync } from "node:fs";
import { describe, it } from "vitest";
import { drawScript, OPERATIONS, SEED } from "./recordScript.ts";
import { runScript, type Script, type ScriptOutcome } from "./script.ts";
import { SimulatedBackend } from "./scriptBackend.ts";

function recorded(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`./recorded/${name}.json`, import.meta.url), "utf8"));
}

const KINDS = "add connect create edit history mute react read recall remove send view".split(" ");

describe("the recorded script", () => {
  const script = recorded("script") as Script;
  const outcome = recorded("outcome") as ScriptOutcome;

  it("has a thousand operations of every kind, over direct, group and world", ({ expect }) => {
    expect(script.ops.length).toBe(OPERATIONS);
    const kinds = new Set(script.ops.map(({ op }) => op));
    expect([...kinds].sort()).toEqual(KINDS);
    const places = new Set(script.ops.flatMap((op) => (op.op === "send" ? op.conversation.replace(/-.*/, "") : [])));
    expect([...places].sort()).toEqual(["direct", "group", "world"]);
  });

  it("meets every kind of answer", ({ expect }) => {
    const answers = outcome.ops.map((answer) => ("error" in answer ? answer.error : Object.keys(answer)[0]));
    const few = ["ack", "messages", "added", "dismissed", "headSeqId", "DUPLICATE_MESSAGE", "CONVERSATION_NOT_FOUND"];
    const changes = ["message", "reaction", "muted"];
    for (const kind of [...few, ...changes, "USER_NOT_FOUND", "PERMISSION_DENIED"]) {
      expect(answers.filter((answer) => answer === kind).length, kind).toBeGreaterThan(2);
    }
  });

  it("is the one that `npm run simulate:record` draws", ({ expect }) => {
    expect(drawScript(OPERATIONS, SEED)).toEqual(script);
  });

  it("gives the recorded outcome, whatever the seed of the network", async ({ expect }) => {
    for (const seed of [1, 2, 3]) {
      expect(await runScript(script, new SimulatedBackend(seed))).toEqual(outcome);
    }
  });
});

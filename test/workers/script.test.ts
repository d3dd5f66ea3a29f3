/** The recorded script in workerd: what the simulator made of it, real objects, sockets and queues make of it as well. */
import { afterEach, describe, it, vi } from "vitest";
import { runScript, type Script } from "../simulation/script.ts";
import outcome from "../simulation/recorded/outcome.json" with { type: "json" };
import recorded from "../simulation/recorded/script.json" with { type: "json" };
import { sendAtLeisure, WorkerdBackend } from "./support/scriptBackend.ts";

/** A thousand operations one after the other, each seen by everybody before the next. */
const WITHIN_MS = 180_000;

afterEach(() => {
  vi.restoreAllMocks();
});

describe("the recorded script of a thousand operations", () => {
  it(
    "gives the same acknowledgements, sequences and frames as in the simulator",
    async ({ expect }) => {
      sendAtLeisure();
      const script: unknown = recorded;
      const real = await runScript(script as Script, new WorkerdBackend());
      expect(real.ops).toEqual(outcome.ops);
      expect(real.heard).toEqual(outcome.heard);
    },
    WITHIN_MS,
  );
});

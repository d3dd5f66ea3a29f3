import { describe, it } from "vitest";
import { runChaos } from "./chaos.ts";

/** Seven starts of the server on a busy machine, and the talk between them. */
const WITHIN_MS = 240_000;
/** Another one each day a suite of ours fails on; any seed must do. */
const SEED = 20_261_121;

describe("20 people talk while the server is killed with -9", () => {
  it(
    "loses nothing that was acknowledged, stores nothing twice, and shows everybody the same",
    async ({ expect }) => {
      const lines: string[] = [];
      const report = await runChaos({
        seed: SEED,
        kills: ["group", "parent", "startup", "group", "startup"],
        calmMs: { min: 1_000, max: 3_000 },
        log: (line) => lines.push(line),
      });
      const { lost, twice, holes, differing, missed, repeated, disordered, sqlDiffers, refused, gaps } = report;
      const story = [...lines, ...report.examples].join("\n");
      expect({ lost, twice, holes, differing, missed, repeated, disordered, sqlDiffers, refused, gaps }, story).toEqual(
        {
          lost: 0,
          twice: 0,
          holes: 0,
          differing: 0,
          missed: 0,
          repeated: 0,
          disordered: 0,
          sqlDiffers: 0,
          refused: [],
          gaps: 0,
        },
      );
      // A run in which nobody got a word in proves nothing.
      expect(report.acks).toBeGreaterThan(100);
      expect(report.messages).toBe(report.acks);
    },
    WITHIN_MS,
  );
});

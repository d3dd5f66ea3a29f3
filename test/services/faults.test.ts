import { describe, it } from "vitest";
import { ENGINE_FAULTS, runEngineFaults } from "../chaos/engineFaults.ts";
import { wrongInEngines } from "../chaos/engineReport.ts";

/** Servers of its own, eight faults, and what each takes to catch up, on a busy machine. */
const WITHIN_MS = 8 * 60_000;
const SEED = 20_261_121;

describe("20 people talk while Kafka, the bridge, MariaDB, Redis and the Worker are stopped, killed and emptied", () => {
  it(
    "loses nothing that was acknowledged, stores nothing twice, and catches up",
    async ({ expect }) => {
      const lines: string[] = [];
      const report = await runEngineFaults({
        seed: SEED,
        upstream: "direct",
        stopMs: 6_000,
        awayMs: 1_000,
        calmMs: 1_000,
        log: (line) => lines.push(line),
      });
      expect(wrongInEngines(report), [...lines, ...report.examples].join("\n")).toBe(0);
      expect(report.faults.map(({ name }) => name)).toEqual(ENGINE_FAULTS);
      // A run in which nobody got a word in proves nothing.
      for (const { name, accepted } of report.faults) {
        expect(accepted, name).toBeGreaterThan(10);
      }
    },
    WITHIN_MS,
  );
});

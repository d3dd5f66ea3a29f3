import { availableParallelism } from "node:os";
import { describe, it } from "vitest";
import { describeFailure, farm, SENDS_A_SEED, total } from "./farm.ts";
import { FAULT_NAMES } from "./faults.ts";
import { PLANTED_BUGS } from "./plantedBugs.ts";
import { PLANT_SEEDS, plantAll } from "./planting.ts";
import { runSeed } from "./runSeed.ts";

const WORKERS = Math.min(2, availableParallelism());
const MILLION = 1_000_000;
/** Each kind of fault is hit at least so often in a million sends. */
const LEAST_HITS = 1_000;

describe("the simulator", () => {
  it("gives the same trace for the same seed, and another for another", ({ expect }) => {
    const [first, again, other] = [runSeed(42, 500), runSeed(42, 500), runSeed(43, 500)];
    expect(again).toEqual(first);
    expect(other.trace).not.toBe(first.trace);
  });

  it("keeps every promise in a million sends, with every kind of fault", async ({ expect }) => {
    const jobs = Array.from({ length: MILLION / SENDS_A_SEED }, (_, n) => ({ seed: n + 1, sends: SENDS_A_SEED }));
    const results = await farm(jobs, { workers: WORKERS });
    const failed = results.filter((result) => result.failure !== undefined);
    expect(failed.map(describeFailure)).toEqual([]);
    const { sends, acks, hits } = total(results);
    expect(sends).toBe(MILLION);
    expect(acks).toBeGreaterThan(MILLION * 0.9);
    expect(FAULT_NAMES.filter((name) => hits[name] < LEAST_HITS)).toEqual([]);
  });
});

describe("planted bugs", () => {
  it("are at least forty", ({ expect }) => {
    expect(Object.keys(PLANTED_BUGS).length).toBeGreaterThanOrEqual(40);
  });

  it(`are caught, every one, within ${PLANT_SEEDS} short seeds`, async ({ expect }) => {
    const { survived } = await plantAll(WORKERS);
    expect(survived).toEqual([]);
  });
});

/** What a call costs: statements and round trips of SQL, pipelines and commands of the cache. */
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import { CacheStore } from "../../../src/objects/CacheStore.ts";

export type Cost = {
  /** Times that the Worker waited for SQL. */
  sqlTrips: number;
  statements: number;
  /** Times that it waited for the cache. */
  cacheTrips: number;
  /** Commands of all pipelines. */
  commands: number;
};

/** Counts everything that happens while `work` runs, objects and what goes on after the answer included. */
export async function costOf<T>(work: () => Promise<T>): Promise<{ value: T; cost: Cost }> {
  const prepared = vi.spyOn(env.DB, "prepare");
  const batched = vi.spyOn(env.DB, "batch");
  const piped = vi.spyOn(CacheStore.prototype, "pipeline");
  try {
    const value = await work();
    const statements = prepared.mock.calls.length;
    const inBatches = batched.mock.calls.reduce((sum, [batch]) => sum + batch.length, 0);
    return {
      value,
      cost: {
        sqlTrips: statements - inBatches + batched.mock.calls.length,
        statements,
        cacheTrips: piped.mock.calls.length,
        commands: piped.mock.calls.reduce((sum, [commands]) => sum + commands.length, 0),
      },
    };
  } finally {
    prepared.mockRestore();
    batched.mockRestore();
    piped.mockRestore();
  }
}

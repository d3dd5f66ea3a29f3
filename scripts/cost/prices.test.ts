import { describe, it } from "vitest";
import type { Ledger } from "../../test/support/ledger.ts";
import { dollarsAMillion, objectRequests } from "./prices.ts";

const NOTHING: Ledger = {
  workerRequests: 0,
  requests: { room: 0, session: 0, shard: 0, cache: 0 },
  socketMessages: 0,
  rowsRead: { room: 0, session: 0, shard: 0, cache: 0, sql: 0 },
  rowsWritten: { room: 0, session: 0, shard: 0, cache: 0, sql: 0 },
  sqlTrips: 0,
  statements: 0,
  queueMessages: 0,
  queueOperations: 0,
  cacheTrips: 0,
  commands: 0,
};

describe("prices", () => {
  it("count twenty frames as one request", ({ expect }) => {
    expect(
      objectRequests({ ...NOTHING, socketMessages: 1, requests: { room: 1, session: 2, shard: 0, cache: 1 } }),
    ).toBe(4.05);
  });

  it("add up what is billed, and nothing else", ({ expect }) => {
    expect(dollarsAMillion({ ...NOTHING, statements: 5, sqlTrips: 2, commands: 9, cacheTrips: 1 })).toBe(0);
    const ledger: Ledger = {
      ...NOTHING,
      workerRequests: 1,
      requests: { room: 2, session: 0, shard: 0, cache: 0 },
      rowsWritten: { room: 3, session: 0, shard: 0, cache: 0, sql: 4 },
      rowsRead: { room: 0, session: 0, shard: 0, cache: 100, sql: 900 },
      queueOperations: 3,
    };
    expect(dollarsAMillion(ledger)).toBeCloseTo(0.3 + 0.3 + 3 + 4 + 1 + 1.2, 9);
  });
});

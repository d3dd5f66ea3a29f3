/** What an operation costs, as test/workers/cost.test.ts counts it and `npm run cost` prints it. */

import type { OperationName } from "./operations.ts";

export const OWNERS = ["room", "session", "shard", "cache"] as const;
export type Owner = (typeof OWNERS)[number];

export type Ledger = {
  /** REST calls and upgrades. */
  workerRequests: number;
  /** Requests to objects, by class: calls, upgrades and alarms. */
  requests: Record<Owner, number>;
  /** Frames that came from clients; twenty are billed as one request. */
  socketMessages: number;
  /** Rows of the objects' SQLite, entries of indexes included, an alarm that is set as one; and rows of SQL. */
  rowsRead: Record<Owner | "sql", number>;
  rowsWritten: Record<Owner | "sql", number>;
  /** Times that somebody waited for SQL. */
  sqlTrips: number;
  statements: number;
  queueMessages: number;
  /** Written, read, deleted: three for each 64 KB of a message. */
  queueOperations: number;
  /** Times that somebody waited for the cache. */
  cacheTrips: number;
  /** Commands of all pipelines. */
  commands: number;
};

/** A row of the page. */
export type Counted = { name: OperationName; ledger: Ledger };

/** A ledger in one line, without what did not happen. Rows that are read are left out: an object that has slept reads some more. */
export function inShort(ledger: Ledger): string {
  const parts: [string, string | number][] = [
    ["worker", ledger.workerRequests],
    ["frames", ledger.socketMessages],
    ["objects", listed(ledger.requests)],
    ["rows", listed(ledger.rowsWritten)],
    ["SQL", ledger.statements === 0 ? 0 : `${ledger.statements} in ${ledger.sqlTrips}`],
    ["queue", ledger.queueMessages],
    ["cache", ledger.commands === 0 ? 0 : `${ledger.commands} in ${ledger.cacheTrips}`],
  ];
  return parts
    .filter(([, value]) => value !== 0 && value !== "")
    .map(([name, value]) => `${name} ${value}`)
    .join("; ");
}

function listed(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .filter(([, count]) => count !== 0)
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");
}

/**
 * Cloudflare's list prices on the paid plan, US dollars a million, beyond what the plan includes. Source: the price pages of
 * Workers, Durable Objects, D1 and Queues, developers.cloudflare.com, November 2026.
 */
import { OWNERS, type Ledger } from "../../test/support/ledger.ts";

export const DOLLARS = {
  workerRequest: 0.3,
  /** A call, an upgrade, an alarm; twenty frames that come in. Frames that go out are free. */
  objectRequest: 0.15,
  objectRowWritten: 1,
  objectRowRead: 0.001,
  sqlRowWritten: 1,
  sqlRowRead: 0.001,
  /** A queue message is three: written, read, deleted. */
  queueOperation: 0.4,
} as const;

const FRAMES_A_REQUEST = 20;

/** Requests to objects as they are billed. */
export function objectRequests({ requests, socketMessages }: Ledger): number {
  return ofObjects(requests) + socketMessages / FRAMES_A_REQUEST;
}

export function ofObjects(counts: Ledger["requests"]): number {
  return OWNERS.reduce((sum, owner) => sum + counts[owner], 0);
}

/** A million of these operations, US dollars. */
export function dollarsAMillion(ledger: Ledger): number {
  const { rowsWritten, rowsRead } = ledger;
  return (
    ledger.workerRequests * DOLLARS.workerRequest +
    objectRequests(ledger) * DOLLARS.objectRequest +
    ofObjects(rowsWritten) * DOLLARS.objectRowWritten +
    ofObjects(rowsRead) * DOLLARS.objectRowRead +
    rowsWritten.sql * DOLLARS.sqlRowWritten +
    rowsRead.sql * DOLLARS.sqlRowRead +
    ledger.queueOperations * DOLLARS.queueOperation
  );
}

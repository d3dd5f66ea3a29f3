/** What the ledger knows: conversations as they must be, and sends as they were made. */
import type { PendingRow } from "../../sdk/src/core/index.ts";
import type { Counters } from "../../src/domain/ports.ts";
import type { MemberState, StoredMessage } from "../../src/domain/records.ts";

/** A member's time in a conversation. `leftAt`: head of the log when they were removed. */
export type Membership = { joinedAt: number; leftAt: number | undefined; changes: number };

/** One conversation as it must be. */
export class Truth {
  readonly id: string;
  /** Durable messages; the one with sequence n at n − 1. */
  readonly rows: StoredMessage[] = [];
  readonly byKey = new Map<string, StoredMessage>();
  readonly members = new Map<string, Membership>();
  /** Highest sequence each member has read: by a confirmed `mark-read`, or by sending. */
  readonly read = new Map<string, number>();
  readonly memberRows = new Map<string, MemberState>();
  counters: Counters = { logId: 0, persistedSeqId: 0, deliveredSeqId: 0, firstSeqId: 1 };

  constructor(id: string) {
    this.id = id;
  }

  get head(): number {
    return this.rows.length;
  }
}

/** A send as its person made it. */
export type Submission = {
  device: string;
  userId: string;
  row: PendingRow;
  order: number;
  outcome: "open" | "accepted" | "failed";
  frames: number;
};

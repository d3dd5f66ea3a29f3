/** What the ledger knows: conversations as they must be, and sends as they were made. */
import type { PendingRow } from "../../sdk/src/core/index.ts";
import type { Counters } from "../../src/domain/ports.ts";
import type { MemberState, StoredMessage } from "../../src/domain/records.ts";
import type { Edit } from "../../src/protocol/things.ts";

/** A member's time in a conversation. `leftAt`: head of the log when they were removed; `leftAtUs`: that moment, virtual microseconds. */
export type Membership = {
  joinedAt: number;
  leftAt: number | undefined;
  leftAtUs?: number | undefined;
  changes: number;
};

/** Of a changed message: each content that it had durably, and since when (virtual microseconds; 0 from its beginning). */
export type Forms = { contents: Map<unknown, number>; recalled: boolean };

/** One conversation as it must be. */
export class Truth {
  readonly id: string;
  /** Durable messages as they are now; the one with sequence n at n − 1. */
  readonly rows: StoredMessage[] = [];
  readonly byKey = new Map<string, StoredMessage>();
  readonly members = new Map<string, Membership>();
  /** Highest sequence each member has read: by a confirmed `mark-read`, or by sending. */
  readonly read = new Map<string, number>();
  readonly forms = new Map<number, Forms>();
  /** Number of the last change of each changed message. */
  readonly logIds = new Map<number, number>();
  /** Earlier versions of messages that were not recalled, oldest first. */
  readonly edits = new Map<number, Edit[]>();
  /** `emoji user` of each reaction that stands there. */
  readonly reactions = new Map<number, Set<string>>();
  /** Who was muted at any time. */
  readonly muted = new Set<string>();
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

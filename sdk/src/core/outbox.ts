/**
 * Sends from the call until their acknowledgement: one lane a conversation, in order, a bounded number in flight.
 * A row keeps its `clientMsgId` for ever, so sending it again is always safe.
 */
import type { PendingRow, PendingStore, WireError } from "./types.ts";
import { ACK_TIMEOUT_MS, PENDING_MAX_AGE_MS, RETRY_BASE_MS, RETRY_SPREAD_MAX_MS, SAME_ERROR_TRIES } from "./limits.ts";

type Row = {
  readonly pending: PendingRow;
  /** 0: not in flight on this connection. */
  sentAt: number;
  /** Refusals since the last connection, for the back-off. */
  refusals: number;
};

type Lane = {
  rows: Row[];
  /** Nothing leaves before this time: the server asked for patience. */
  blockedUntil: number;
  /** Rows that may be in flight: shrinks to 1 after a refusal, grows with each ack. */
  window: number;
};

export type OutboxOptions = {
  /** Rows in flight a conversation. */
  maxInFlight: number;
  /** Rows waiting, all conversations together. */
  maxPending: number;
  store: PendingStore;
  random: () => number;
};

const NONE: readonly PendingRow[] = Object.freeze([]);

/** Pending rows that live as long as the program. */
export function memoryPendingStore(): PendingStore {
  // The outbox itself keeps the rows: a second copy would protect from nothing.
  return { load: () => [], put: () => undefined, remove: () => undefined };
}

/** What a refused send means for its row. */
export type Refusal = { kind: "failed"; row: PendingRow } | { kind: "waits"; until: number } | { kind: "unknown" };

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #rows = new Map<string, Row>();
  readonly #lanes = new Map<string, Lane>();

  constructor(options: OutboxOptions) {
    this.#options = options;
    for (const row of options.store.load()) {
      this.#insert(row);
    }
  }

  get count(): number {
    return this.#rows.size;
  }

  /** Creation time of the oldest row in epoch milliseconds, or undefined when nothing waits. */
  get oldestAt(): number | undefined {
    for (const row of this.#rows.values()) {
      return row.pending.createdAt; // a Map keeps the order of insertion
    }
    return undefined;
  }

  get(clientMsgId: string): PendingRow | undefined {
    return this.#rows.get(clientMsgId)?.pending;
  }

  all(): PendingRow[] {
    return [...this.#rows.values()].map((row) => row.pending);
  }

  /** False when the outbox is full. The same `clientMsgId` again changes nothing. */
  add(row: PendingRow): boolean {
    if (this.#rows.has(row.data.clientMsgId)) {
      return true;
    }
    if (this.#rows.size >= this.#options.maxPending) {
      return false;
    }
    this.#options.store.put(row);
    this.#insert(row);
    return true;
  }

  /** Hands to `send` what may leave now from one conversation, in order. */
  flush(conversationId: string, now: number, send: (row: PendingRow) => void): void {
    const lane = this.#lanes.get(conversationId);
    if (lane === undefined || lane.blockedUntil > now) {
      return;
    }
    const end = Math.min(lane.rows.length, lane.window);
    for (let i = 0; i < end; i++) {
      const row = lane.rows[i];
      if (row !== undefined && row.sentAt === 0) {
        row.sentAt = now;
        send(row.pending);
      }
    }
  }

  /** The same for every conversation: after a connect. */
  flushAll(now: number, send: (row: PendingRow) => void): void {
    for (const conversationId of this.#lanes.keys()) {
      this.flush(conversationId, now, send);
    }
  }

  /** The server has it under a sequence: the row is done. Undefined when it was done before. */
  accepted(clientMsgId: string): PendingRow | undefined {
    const row = this.#rows.get(clientMsgId);
    if (row === undefined) {
      return undefined;
    }
    const lane = this.#lanes.get(row.pending.data.conversationId);
    if (lane !== undefined && lane.window < this.#options.maxInFlight) {
      lane.window += 1;
    }
    this.#remove(row);
    return row.pending;
  }

  /** Taken by the bus, not yet in order (`status: "sending"`): more patience, nothing else. */
  taken(clientMsgId: string, now: number): void {
    const row = this.#rows.get(clientMsgId);
    if (row !== undefined && row.sentAt !== 0) {
      row.sentAt = now;
    }
  }

  /**
   * A refused send. `never` fails this row and no other; `later` holds the conversation until the time the server
   * gave, and then sends from this row on; `same` does so after a short back-off, a few times.
   */
  refused(clientMsgId: string, error: WireError, now: number): Refusal {
    const row = this.#rows.get(clientMsgId);
    if (row === undefined) {
      return { kind: "unknown" };
    }
    row.refusals += 1;
    const givesUp = error.retry === "never" || (error.retry === "same" && row.refusals >= SAME_ERROR_TRIES);
    if (givesUp) {
      this.#remove(row);
      return { kind: "failed", row: row.pending };
    }
    row.sentAt = 0;
    let until = now + this.#patienceMs(error, row.refusals);
    const lane = this.#lanes.get(row.pending.data.conversationId);
    if (lane !== undefined) {
      lane.window = 1;
      // The first row's time counts: those behind it were told later ones, and go as soon as it has gone.
      until = lane.rows[0] === row ? Math.max(lane.blockedUntil, until) : Math.max(lane.blockedUntil, now + 1);
      lane.blockedUntil = until;
    }
    return { kind: "waits", until };
  }

  /** Removes a row that the user no longer wants sent. What is in flight may still arrive. */
  cancel(clientMsgId: string): PendingRow | undefined {
    const row = this.#rows.get(clientMsgId);
    if (row !== undefined) {
      this.#remove(row);
    }
    return row?.pending;
  }

  /** The connection is gone: whatever was in flight will be sent again, in order, with the same ids. */
  disconnected(): void {
    for (const row of this.#rows.values()) {
      row.sentAt = 0;
      row.refusals = 0;
    }
    for (const lane of this.#lanes.values()) {
      lane.window = this.#options.maxInFlight;
    }
  }

  /** Rows too old to be sent safely, removed from the outbox. */
  expire(now: number): readonly PendingRow[] {
    const oldest = this.oldestAt;
    if (oldest === undefined || now - oldest < PENDING_MAX_AGE_MS) {
      return NONE;
    }
    const expired = [...this.#rows.values()].filter((row) => now - row.pending.createdAt >= PENDING_MAX_AGE_MS);
    for (const row of expired) {
      this.#remove(row);
    }
    return expired.map((row) => row.pending);
  }

  /** Rows without an answer for too long go back behind the window; `flushAll` sends them again, in order. */
  timeOut(now: number): void {
    for (const lane of this.#lanes.values()) {
      let late = false;
      for (let i = 0; i < lane.rows.length && i < this.#options.maxInFlight; i++) {
        const row = lane.rows[i];
        if (row === undefined || row.sentAt === 0) {
          continue;
        }
        late = late || now - row.sentAt >= ACK_TIMEOUT_MS;
        if (late) {
          row.sentAt = 0;
        }
      }
    }
  }

  /** When `timeOut`, `expire` or a held conversation is due next; Infinity when nothing waits. */
  nextDueAt(online: boolean): number {
    let due = Infinity;
    const oldest = this.oldestAt;
    if (oldest !== undefined) {
      due = oldest + PENDING_MAX_AGE_MS;
    }
    if (!online) {
      return due;
    }
    for (const lane of this.#lanes.values()) {
      let sent = Infinity;
      for (let i = 0; i < lane.rows.length && i < this.#options.maxInFlight; i++) {
        const row = lane.rows[i];
        if (row !== undefined && row.sentAt !== 0) {
          sent = Math.min(sent, row.sentAt);
        } else if (i === 0) {
          due = Math.min(due, lane.blockedUntil);
        }
      }
      due = Math.min(due, sent + ACK_TIMEOUT_MS);
    }
    return due;
  }

  #patienceMs(error: WireError, refusals: number): number {
    const backoff = Math.min(RETRY_SPREAD_MAX_MS, RETRY_BASE_MS * 2 ** Math.min(refusals - 1, 8));
    if (error.retryAfterMs === undefined) {
      return Math.ceil(backoff * (0.5 + this.#options.random() / 2));
    }
    // A rate limit's time holds. An outage's time is a guess, so that everybody must not come back at the same moment.
    return error.name === "RATE_LIMITED"
      ? error.retryAfterMs
      : error.retryAfterMs + Math.floor(this.#options.random() * backoff);
  }

  #insert(pending: PendingRow): void {
    const { clientMsgId, conversationId } = pending.data;
    const row: Row = { pending, sentAt: 0, refusals: 0 };
    this.#rows.set(clientMsgId, row);
    const lane = this.#lanes.get(conversationId);
    if (lane === undefined) {
      this.#lanes.set(conversationId, { rows: [row], blockedUntil: 0, window: this.#options.maxInFlight });
    } else {
      lane.rows.push(row);
    }
  }

  #remove(row: Row): void {
    const { clientMsgId, conversationId } = row.pending.data;
    this.#rows.delete(clientMsgId);
    this.#options.store.remove(clientMsgId);
    const lane = this.#lanes.get(conversationId);
    if (lane === undefined) {
      return;
    }
    if (lane.rows[0] === row) {
      lane.rows.shift();
    } else {
      const at = lane.rows.indexOf(row);
      if (at >= 0) {
        lane.rows.splice(at, 1);
      }
    }
    if (lane.rows.length === 0 && lane.window === this.#options.maxInFlight) {
      this.#lanes.delete(conversationId);
    }
  }
}

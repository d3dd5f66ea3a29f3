/**
 * Leaf of a big room: messages of one window go to all its readers as one frame. Readers on a
 * socket of their own get every window; a user's session is one call each, so it gets what has
 * gathered since its last answer. Holes are healed from the log by cursor.
 */
import type { StoredMessage } from "./records.ts";

/** Source: DESIGN section 2. */
export const SHARD_WINDOW_MS = 100;
/** Messages kept for readers that come back with a cursor. As many as the cache's hot messages. */
export const SHARD_BACKLOG = 300;
/** Messages in one frame; a longer window becomes several. */
export const FRAME_MESSAGES = 50;

export type ShardEffect =
  /** To every socket: one serialised frame. */
  | { kind: "broadcast"; messages: StoredMessage[] }
  /** To these sessions; answer each with `answered`. */
  | { kind: "deliver"; messages: StoredMessage[]; to: number; userIds: string[] }
  /** Read the log after `after`; answer with `pulled`. */
  | { kind: "pull"; after: number }
  | { kind: "timer"; inMs: number }
  /** The session has no socket any more: forget it durably. */
  | { kind: "forget"; userId: string };

type Session = { cursor: number; flying: boolean; strikes: number };

/** Calls to sessions in the air at one time. */
const SESSION_WINDOW = 100;
const STRIKE_LIMIT = 3;

export class ShardCore {
  #effects: ShardEffect[] = [];
  /** Newest messages without a hole, the last one at `#cursor`. */
  #backlog: StoredMessage[] = [];
  /** Last sequence received without a hole; undefined until the first is known. */
  #cursor: number | undefined;
  /** Last sequence that was broadcast. */
  #sentSeqId = 0;
  #sessions = new Map<string, Session>();
  #inAir = 0;
  #pulling = false;
  #pullAgain = false;
  #timerArmed = false;
  #lastWindowAt = Number.NEGATIVE_INFINITY;

  takeEffects(): ShardEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  /** Last sequence known here, or undefined before the first. */
  get cursor(): number | undefined {
    return this.#cursor;
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  /** First knowledge of the room's head: what is before it belongs to history. */
  start(headSeqId: number): void {
    if (this.#cursor === undefined) {
      this.#cursor = headSeqId;
      this.#sentSeqId = headSeqId;
    }
  }

  join(userId: string): void {
    if (!this.#sessions.has(userId)) {
      this.#sessions.set(userId, { cursor: this.#sentSeqId, flying: false, strikes: 0 });
    }
  }

  leave(userId: string): void {
    this.#sessions.delete(userId);
  }

  /** Backlog after `since` when it reaches back so far without a hole; else undefined. */
  backlogAfter(since: number): StoredMessage[] | undefined {
    const first = this.#backlog[0]?.seqId ?? (this.#cursor ?? 0) + 1;
    if (this.#cursor === undefined || since + 1 < first) {
      return undefined;
    }
    // Only what was broadcast: the rest comes to the new socket with the next window.
    return this.#backlog.filter((m) => m.seqId > since && m.seqId <= this.#sentSeqId);
  }

  get sentSeqId(): number {
    return this.#sentSeqId;
  }

  /** Messages from the fan-out, in any order, possibly again, possibly with a hole before them. */
  pushed(messages: readonly StoredMessage[], now: number): void {
    const first = messages[0];
    if (first === undefined) {
      return;
    }
    this.start(first.seqId - 1);
    this.#take(messages);
    if (messages.some((message) => message.seqId > (this.#cursor ?? 0))) {
      this.#pull();
    }
    this.#window(now);
  }

  /** Log rows after the asked cursor, or "failed": the next push asks again. */
  pulled(messages: readonly StoredMessage[] | "failed", headSeqId: number, now: number): void {
    this.#pulling = false;
    if (messages === "failed") {
      return;
    }
    const first = messages[0];
    if (first !== undefined && this.#cursor !== undefined && first.seqId > this.#cursor + 1) {
      // The log was pruned past our cursor: those rows are history now.
      this.#cursor = first.seqId - 1;
      this.#backlog = [];
    }
    this.#take(messages);
    if (this.#pullAgain && (this.#cursor ?? 0) < headSeqId && messages.length > 0) {
      this.#pull();
    }
    this.#pullAgain = false;
    this.#window(now);
  }

  onTimer(now: number): void {
    this.#timerArmed = false;
    this.#window(now);
  }

  /** A session took over everything up to `to`, has no socket (0), or failed. */
  answered(userId: string, to: number, sockets: number | "failed", now: number): void {
    this.#inAir = Math.max(0, this.#inAir - 1);
    const session = this.#sessions.get(userId);
    if (session === undefined) {
      return;
    }
    session.flying = false;
    if (sockets === 0 || (sockets === "failed" && session.strikes + 1 >= STRIKE_LIMIT)) {
      this.#sessions.delete(userId);
      this.#effects.push({ kind: "forget", userId });
    } else if (sockets === "failed") {
      session.strikes += 1;
    } else {
      session.cursor = Math.max(session.cursor, to);
      session.strikes = 0;
    }
    // A session that was busy while windows passed takes all of them with the next window.
    if (session.cursor < this.#sentSeqId) {
      this.#arm(now);
    }
  }

  #take(messages: readonly StoredMessage[]): void {
    for (const message of messages) {
      if (this.#cursor !== undefined && message.seqId === this.#cursor + 1) {
        this.#backlog.push(message);
        this.#cursor = message.seqId;
      }
    }
    const excess = this.#backlog.length - SHARD_BACKLOG;
    if (excess > SHARD_BACKLOG) {
      this.#backlog.splice(0, excess);
    }
  }

  #pull(): void {
    if (this.#pulling) {
      this.#pullAgain = true;
      return;
    }
    this.#pulling = true;
    this.#effects.push({ kind: "pull", after: this.#cursor ?? 0 });
  }

  #arm(now: number): void {
    if (!this.#timerArmed) {
      this.#timerArmed = true;
      this.#effects.push({
        kind: "timer",
        inMs: Math.max(1, this.#lastWindowAt + SHARD_WINDOW_MS - now),
      });
    }
  }

  /** One window: at once when the last is long ago, else when its time has come. */
  #window(now: number): void {
    const cursor = this.#cursor ?? 0;
    const sessionsBehind = this.#hasSessionsBehind();
    if (cursor <= this.#sentSeqId && !sessionsBehind) {
      return;
    }
    if (now < this.#lastWindowAt + SHARD_WINDOW_MS) {
      this.#arm(now);
      return;
    }
    this.#lastWindowAt = now;
    const fresh = this.#backlog.filter((message) => message.seqId > this.#sentSeqId);
    for (let at = 0; at < fresh.length; at += FRAME_MESSAGES) {
      this.#effects.push({ kind: "broadcast", messages: fresh.slice(at, at + FRAME_MESSAGES) });
    }
    this.#sentSeqId = cursor;
    this.#toSessions(now);
  }

  #hasSessionsBehind(): boolean {
    for (const session of this.#sessions.values()) {
      if (!session.flying && session.cursor < this.#sentSeqId) {
        return true;
      }
    }
    return false;
  }

  /** Sessions with the same cursor share a batch; at most `SESSION_WINDOW` calls in the air. */
  #toSessions(now: number): void {
    const batches = new Map<number, string[]>();
    for (const [userId, session] of this.#sessions) {
      if (session.flying || session.cursor >= this.#sentSeqId) {
        continue;
      }
      if (this.#inAir >= SESSION_WINDOW) {
        this.#arm(now);
        break;
      }
      this.#inAir += 1;
      session.flying = true;
      const batch = batches.get(session.cursor) ?? [];
      batch.push(userId);
      batches.set(session.cursor, batch);
    }
    for (const [cursor, userIds] of batches) {
      const messages = this.#backlog.filter(
        (message) => message.seqId > cursor && message.seqId <= this.#sentSeqId,
      );
      this.#effects.push({ kind: "deliver", messages, to: this.#sentSeqId, userIds });
    }
  }
}

/**
 * Leaf of a big room: messages of one window go to all its readers as one frame. Readers on a
 * socket of their own get every window; a user's session is one call each, so it gets what has
 * gathered since its last answer. Holes are healed from the log by cursor.
 */
import { AmendedForms } from "./amendedForms.ts";
import type { StoredMessage } from "./records.ts";

/** Source: DESIGN section 2. */
export const SHARD_WINDOW_MS = 100;
/**
 * Times as long as the frames of a window took to leave, the shard waits before the next: the thread is then free for what comes up.
 * Without it a thread with more readers than it can serve in one window is never free, and each step of a message on its way,
 * from the sender's socket to here, waits for a whole window to leave. Our own; by `npm run bench -- --only world`.
 */
const REST_FACTOR = 2;
/** Longest wait for that reason. */
const REST_LIMIT_MS = 1_000;
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

type Session = {
  /** Last sequence that the session took over. */
  cursor: number;
  /** In the queue or in the air. */
  flying: boolean;
  /** Sequence that the call in the air ends with: an answer to another one is from an earlier registration. */
  to: number;
  /** Registered again since its call left: an answer from before says nothing about now. */
  rejoined: boolean;
  /** When its call left, epoch milliseconds; Infinity while it is in the queue. */
  flownAt: number;
  strikes: number;
  /** Not before this time after a failure, epoch milliseconds. */
  retryAt: number;
};

/** Calls to sessions in the air at one time; each answer lets the next one leave. */
const SESSION_WINDOW = 100;
/** Failures in a row before a session is forgotten: with the back-off below, 25 seconds of them. Its user registers
 * again when the lease is renewed, and the client reads the gap. */
const STRIKE_LIMIT = 8;
const RETRY_BASE_MS = 100;
/** A call that takes longer no longer holds up the confirmation of what it carries … */
const SLOW_SESSION_MS = 2_000;
/** … and then counts as failed. */
const LOST_SESSION_MS = 10_000;
/** A runtime's timer may fire a little before the clock says so. */
const TIMER_SLACK_MS = 2;
/** A log that could not be read is read again after this time. */
const PULL_RETRY_MS = 1_000;

export class ShardCore {
  #effects: ShardEffect[] = [];
  /** Newest messages without a hole, the last one at `#cursor`. */
  #backlog: StoredMessage[] = [];
  /** Last sequence received without a hole; undefined until the first is known. */
  #cursor: number | undefined;
  /** Last sequence that was broadcast. */
  #sentSeqId = 0;
  readonly #amended = new AmendedForms(SHARD_BACKLOG);
  #sessions = new Map<string, Session>();
  /** Sessions that wait for a call, in the order in which they fell behind: nobody is served twice before all. */
  #due: string[] = [];
  #dueHead = 0;
  /** Sessions whose call is in the air. A call that was given up is not, whenever its answer comes. */
  #inAir = 0;
  #pulling = false;
  #pullNotBefore = 0;
  /** Highest sequence that the fan-out has promised; up to there a hole is pulled from the log. */
  #promised = 0;
  /** When the armed timer fires; a later wish does not replace it. */
  #timerAt = Number.POSITIVE_INFINITY;
  #lastWindowAt = Number.NEGATIVE_INFINITY;
  #nextWindowAt = Number.NEGATIVE_INFINITY;

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

  /** The users whose sessions want this room now. */
  sessionIds(): string[] {
    return [...this.#sessions.keys()];
  }

  /**
   * First knowledge of the room, before any task. What nobody here has been told yet (`fromSeqId`, exclusive, up to
   * `headSeqId`) is read from the log: the tasks that carry it may be on their way, or may have come to an earlier life.
   */
  begin(fromSeqId: number, headSeqId: number, now: number): void {
    if (this.#cursor === undefined) {
      this.start(Math.min(fromSeqId, headSeqId));
      this.#promised = Math.max(this.#promised, headSeqId);
      this.#pull(now);
    }
  }

  /** First knowledge of the room's head: what is before it belongs to history. */
  start(headSeqId: number): void {
    if (this.#cursor === undefined) {
      this.#cursor = headSeqId;
      this.#sentSeqId = headSeqId;
      for (const session of this.#sessions.values()) {
        session.cursor = headSeqId;
      }
    }
  }

  /** A user's session wants this room. Again: what it was, it stays; it certainly has a socket now. */
  join(userId: string): void {
    const session = this.#sessions.get(userId);
    if (session === undefined) {
      this.#sessions.set(userId, newSession(this.#sentSeqId));
    } else {
      session.rejoined = session.flying;
    }
  }

  leave(userId: string): void {
    const session = this.#sessions.get(userId);
    if (session !== undefined) {
      this.#landed(session);
      this.#sessions.delete(userId);
    }
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

  /**
   * Up to here every registered session has taken over everything, and every socket was sent it: what a task brought
   * may be confirmed to the fan-out. What is above would be lost with this object.
   */
  handedOver(now: number): number {
    let least = this.#sentSeqId;
    for (const session of this.#sessions.values()) {
      if (now - session.flownAt < SLOW_SESSION_MS) {
        least = Math.min(least, session.cursor);
      }
    }
    return least;
  }

  /** Messages from the fan-out, in any order, possibly again, possibly with a hole before them. */
  pushed(messages: readonly StoredMessage[], now: number): void {
    const first = messages[0];
    if (first === undefined) {
      return;
    }
    this.start(first.seqId - 1);
    this.#promised = Math.max(this.#promised, messages.at(-1)?.seqId ?? 0);
    this.#take(messages);
    this.#pull(now);
    this.#window(now);
  }

  /**
   * A message has changed: whoever comes back with a cursor gets the new form, also when the task with the message itself
   * comes after this. A number: it was recalled then, epoch milliseconds.
   */
  amended(seqId: number, message: StoredMessage | number): void {
    this.#amended.note(seqId, message);
    this.#backlog = this.#backlog.map((known) => (known.seqId === seqId ? this.#amended.lastForm(known) : known));
  }

  /** Log rows after the asked cursor, or "failed": asked again after a while. */
  pulled(messages: readonly StoredMessage[] | "failed", headSeqId: number, now: number): void {
    this.#pulling = false;
    if (messages === "failed") {
      this.#pullNotBefore = now + PULL_RETRY_MS;
      this.#arm(this.#pullNotBefore, now);
      return;
    }
    const first = messages[0];
    if (this.#cursor !== undefined && first !== undefined && first.seqId > this.#cursor + 1) {
      // The log was pruned past our cursor: those rows are history now.
      this.#cursor = first.seqId - 1;
      this.#backlog = [];
    }
    this.#take(messages);
    // An empty page is all there is: a promise above the head came from another life of the room.
    this.#promised = messages.length === 0 ? Math.min(this.#promised, headSeqId) : this.#promised;
    this.#pull(now);
    this.#window(now);
  }

  /** The frames of the last window have left. */
  flushed(now: number): void {
    const restMs = Math.min(REST_LIMIT_MS, REST_FACTOR * (now - this.#lastWindowAt));
    this.#nextWindowAt = Math.max(this.#nextWindowAt, now + restMs);
  }

  onTimer(now: number): void {
    if (now < this.#timerAt - TIMER_SLACK_MS) {
      // An earlier wish was fulfilled, and this is the timer of a later one that nobody needs any more.
      return;
    }
    this.#timerAt = Number.POSITIVE_INFINITY;
    this.#pull(now);
    if (this.#pullNotBefore > now) {
      this.#arm(this.#pullNotBefore, now);
    }
    for (const [userId, session] of this.#sessions) {
      if (now - session.flownAt >= LOST_SESSION_MS) {
        this.answered(userId, session.to, "failed", now);
      } else {
        this.#wait(userId, session, now);
        this.#armFor(session, now);
      }
    }
    this.#window(now);
    this.#issue(now);
  }

  /** A session took over everything up to `to`, has no socket (0), or failed. */
  answered(userId: string, to: number, sockets: number | "failed", now: number): void {
    const session = this.#sessions.get(userId);
    if (session?.flying === true && session.to === to) {
      this.#landed(session);
      this.#answer(userId, session, to, sockets, now);
    }
    this.#issue(now);
  }

  /** Its call is over, or is waited for no more. */
  #landed(session: Session): void {
    this.#inAir -= session.flownAt === Number.POSITIVE_INFINITY ? 0 : 1;
    session.flying = false;
    session.flownAt = Number.POSITIVE_INFINITY;
  }

  #answer(userId: string, session: Session, to: number, sockets: number | "failed", now: number): void {
    const { rejoined } = session;
    session.rejoined = false;
    if (sockets === 0 && rejoined) {
      this.#wait(userId, session, now);
      return;
    }
    if (sockets === 0 || (sockets === "failed" && session.strikes + 1 >= STRIKE_LIMIT)) {
      this.#sessions.delete(userId);
      this.#effects.push({ kind: "forget", userId });
      return;
    }
    if (sockets === "failed") {
      session.strikes += 1;
      session.retryAt = now + RETRY_BASE_MS * 2 ** session.strikes;
      this.#arm(session.retryAt, now);
      return;
    }
    session.cursor = Math.max(session.cursor, to);
    session.strikes = 0;
    session.retryAt = 0;
    // A session that was busy while windows passed takes all of them at once.
    this.#wait(userId, session, now);
  }

  #take(messages: readonly StoredMessage[]): void {
    for (const message of messages) {
      if (this.#cursor !== undefined && message.seqId === this.#cursor + 1) {
        this.#backlog.push(this.#amended.lastForm(message));
        this.#cursor = message.seqId;
      }
    }
    const excess = this.#backlog.length - SHARD_BACKLOG;
    if (excess > SHARD_BACKLOG) {
      // What no socket has had yet stays, however much the log gives between two windows.
      const unsent = this.#backlog.findIndex((message) => message.seqId > this.#sentSeqId);
      this.#backlog.splice(0, unsent < 0 ? excess : Math.min(excess, unsent));
    }
  }

  /** Reads the log where the fan-out left a hole. */
  #pull(now: number): void {
    const cursor = this.#cursor ?? 0;
    if (!this.#pulling && cursor < this.#promised && now >= this.#pullNotBefore) {
      this.#pulling = true;
      this.#effects.push({ kind: "pull", after: cursor });
    }
  }

  #arm(at: number, now: number): void {
    if (at < this.#timerAt) {
      this.#timerAt = at;
      this.#effects.push({ kind: "timer", inMs: Math.max(1, at - now) });
    }
  }

  /** The next time at which something must be done for this session if nothing else happens. */
  #armFor(session: Session, now: number): void {
    if (session.retryAt > now) {
      this.#arm(session.retryAt, now);
    }
    if (session.flownAt <= now) {
      const patienceMs = now - session.flownAt < SLOW_SESSION_MS ? SLOW_SESSION_MS : LOST_SESSION_MS;
      this.#arm(session.flownAt + patienceMs, now);
    }
  }

  /** One window: at once when the last is long ago, else when its time has come. */
  #window(now: number): void {
    const cursor = this.#cursor ?? 0;
    if (cursor <= this.#sentSeqId) {
      return;
    }
    if (now < this.#nextWindowAt) {
      this.#arm(this.#nextWindowAt, now);
      return;
    }
    this.#lastWindowAt = now;
    this.#nextWindowAt = now + SHARD_WINDOW_MS;
    const fresh = this.#backlog.filter((message) => message.seqId > this.#sentSeqId);
    for (let at = 0; at < fresh.length; at += FRAME_MESSAGES) {
      this.#effects.push({ kind: "broadcast", messages: fresh.slice(at, at + FRAME_MESSAGES) });
    }
    this.#sentSeqId = cursor;
    for (const [userId, session] of this.#sessions) {
      this.#wait(userId, session, now);
    }
    this.#issue(now);
  }

  /** Puts a session in the queue when it is behind and free. */
  #wait(userId: string, session: Session, now: number): void {
    if (!session.flying && session.cursor < this.#sentSeqId && session.retryAt <= now) {
      session.flying = true;
      this.#due.push(userId);
    }
  }

  /** Calls leave as far as the window allows; neighbours with the same cursor share a batch. */
  #issue(now: number): void {
    const batches = new Map<number, string[]>();
    while (this.#dueHead < this.#due.length && this.#inAir < SESSION_WINDOW) {
      const userId = this.#due[this.#dueHead] ?? "";
      const session = this.#sessions.get(userId);
      this.#dueHead += 1;
      if (session === undefined || !session.flying || session.flownAt !== Number.POSITIVE_INFINITY) {
        // It has left since; and if it is back, its new registration is in the queue when it is behind.
        continue;
      }
      session.flownAt = now;
      session.to = this.#sentSeqId;
      this.#armFor(session, now);
      this.#inAir += 1;
      const batch = batches.get(session.cursor) ?? [];
      batch.push(userId);
      batches.set(session.cursor, batch);
    }
    if (this.#dueHead === this.#due.length) {
      this.#due = [];
      this.#dueHead = 0;
    }
    for (const [cursor, userIds] of batches) {
      const messages = this.#backlog.filter((message) => message.seqId > cursor && message.seqId <= this.#sentSeqId);
      this.#effects.push({ kind: "deliver", messages, to: this.#sentSeqId, userIds });
    }
  }
}

function newSession(cursor: number): Session {
  return { cursor, flying: false, to: 0, rejoined: false, flownAt: Number.POSITIVE_INFINITY, strikes: 0, retryAt: 0 };
}

/** Read pointers and typing, coalesced: at most one frame an interval and conversation, the last value wins. */
import type { Effects } from "./effects.ts";
import type { WireError } from "./types.ts";
import {
  READ_INTERVAL_MS,
  READ_RESEND_WINDOW_MS,
  READ_RETRY_MS,
  READS_ASKED,
  RECEIPTS_KEPT,
  TYPING_INTERVAL_MS,
} from "./limits.ts";

/** `dueAt`: not before that time, after a refusal. */
type Pointer = { wanted: number; sent: number; sentAt: number; dueAt: number };

export class Reads {
  readonly #out: Effects;
  readonly #pointers = new Map<string, Pointer>();
  /** Conversations whose pointer waits for its interval or for a connection. */
  readonly #due = new Set<string>();
  readonly #typedAt = new Map<string, number>();
  /** Conversations by the ids of their last frames: a pointer that was refused for now is said again. */
  readonly #asked = new Map<string, string>();
  #count = 0;
  /** How far others have read, by conversation and reader; the longest quiet one leaves first. */
  readonly #receipts = new Map<string, number>();

  constructor(out: Effects) {
    this.#out = out;
  }

  /** The pointer only grows. */
  want(conversationId: string, seqId: number, now: number, online: boolean): void {
    const pointer = this.#pointer(conversationId);
    if (seqId <= pointer.wanted) {
      return;
    }
    pointer.wanted = seqId;
    if (online && now >= dueAt(pointer)) {
      this.#send(conversationId, pointer, now);
    } else {
      this.#due.add(conversationId);
      if (online) {
        this.#out.arm(dueAt(pointer));
      }
    }
  }

  /** The server says how far this user has read, perhaps on another device. */
  confirmed(conversationId: string, seqId: number): void {
    const pointer = this.#pointer(conversationId);
    if (seqId >= pointer.wanted) {
      pointer.wanted = seqId;
      pointer.sent = seqId;
      this.#due.delete(conversationId);
    }
  }

  /** How far this user has read, as far as it is known here; 0 when it is not. */
  readSeqId(conversationId: string): number {
    return this.#pointers.get(conversationId)?.wanted ?? 0;
  }

  /** A receipt: false when this one or a later one of the same reader has come before; queues bring them twice and in any order. */
  isNews(conversationId: string, userId: string, seqId: number): boolean {
    const key = `${conversationId} ${userId}`;
    const known = this.#receipts.get(key) ?? -1;
    this.#receipts.delete(key);
    this.#receipts.set(key, Math.max(known, seqId));
    if (this.#receipts.size > RECEIPTS_KEPT) {
      const [longestQuiet] = this.#receipts.keys();
      this.#receipts.delete(longestQuiet ?? "");
    }
    return seqId > known;
  }

  /** Nothing is remembered of a typing that nobody saw. */
  typing(conversationId: string, now: number): void {
    const last = this.#typedAt.get(conversationId);
    if (last === undefined || now - last >= TYPING_INTERVAL_MS) {
      this.#typedAt.set(conversationId, now);
      this.#out.send({ type: "typing", data: { conversationId } });
    }
  }

  /** True when the refused frame was a pointer: it is sent again later, unless it never will be taken. */
  refused(ref: string | undefined, error: WireError, now: number): boolean {
    const conversationId = ref === undefined ? undefined : this.#asked.get(ref);
    if (ref === undefined || conversationId === undefined) {
      return false;
    }
    this.#asked.delete(ref);
    if (error.retry !== "never") {
      const pointer = this.#pointer(conversationId);
      pointer.dueAt = now + Math.max(READ_RETRY_MS, error.retryAfterMs ?? 0);
      this.#due.add(conversationId);
      this.#out.arm(pointer.dueAt);
    }
    return true;
  }

  /** After a reconnect: what was sent shortly before may be lost, so it is sent again. */
  disconnected(now: number): void {
    for (const [conversationId, pointer] of this.#pointers) {
      if (pointer.sent > 0 && now - pointer.sentAt < READ_RESEND_WINDOW_MS) {
        this.#due.add(conversationId);
      }
    }
  }

  /** Sends what is due; for a timer, and once after a sync. */
  flush(now: number): void {
    for (const conversationId of this.#due) {
      const pointer = this.#pointer(conversationId);
      const at = dueAt(pointer);
      if (now >= at) {
        this.#send(conversationId, pointer, now);
      } else {
        this.#out.arm(at);
      }
    }
  }

  nextDueAt(): number {
    let due = Infinity;
    for (const conversationId of this.#due) {
      due = Math.min(due, dueAt(this.#pointer(conversationId)));
    }
    return due;
  }

  #send(conversationId: string, pointer: Pointer, now: number): void {
    this.#due.delete(conversationId);
    pointer.sent = pointer.wanted;
    pointer.sentAt = now;
    this.#count += 1;
    const id = `read-${this.#count}`;
    this.#asked.set(id, conversationId);
    if (this.#asked.size > READS_ASKED) {
      const [oldest] = this.#asked.keys();
      this.#asked.delete(oldest ?? "");
    }
    this.#out.send({ type: "mark-read", id, data: { conversationId, seqId: pointer.wanted } });
  }

  #pointer(conversationId: string): Pointer {
    let pointer = this.#pointers.get(conversationId);
    if (pointer === undefined) {
      pointer = { wanted: 0, sent: 0, sentAt: -Infinity, dueAt: -Infinity };
      this.#pointers.set(conversationId, pointer);
    }
    return pointer;
  }
}

function dueAt(pointer: Pointer): number {
  return Math.max(pointer.sentAt + READ_INTERVAL_MS, pointer.dueAt);
}

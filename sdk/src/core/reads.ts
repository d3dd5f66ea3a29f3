/** Read pointers and typing, coalesced: at most one frame an interval and conversation, the last value wins. */
import type { Effects } from "./effects.ts";
import { READ_INTERVAL_MS, READ_RESEND_WINDOW_MS, TYPING_INTERVAL_MS } from "./limits.ts";

type Pointer = { wanted: number; sent: number; sentAt: number };

export class Reads {
  readonly #out: Effects;
  readonly #pointers = new Map<string, Pointer>();
  /** Conversations whose pointer waits for its interval or for a connection. */
  readonly #due = new Set<string>();
  readonly #typedAt = new Map<string, number>();

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
    if (online && now - pointer.sentAt >= READ_INTERVAL_MS) {
      this.#send(conversationId, pointer, now);
    } else {
      this.#due.add(conversationId);
      if (online) {
        this.#out.arm(pointer.sentAt + READ_INTERVAL_MS);
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

  /** Nothing is remembered of a typing that nobody saw. */
  typing(conversationId: string, now: number): void {
    const last = this.#typedAt.get(conversationId);
    if (last === undefined || now - last >= TYPING_INTERVAL_MS) {
      this.#typedAt.set(conversationId, now);
      this.#out.send({ type: "typing", data: { conversationId } });
    }
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
      if (now - pointer.sentAt >= READ_INTERVAL_MS) {
        this.#send(conversationId, pointer, now);
      } else {
        this.#out.arm(pointer.sentAt + READ_INTERVAL_MS);
      }
    }
  }

  nextDueAt(): number {
    let due = Infinity;
    for (const conversationId of this.#due) {
      due = Math.min(due, this.#pointer(conversationId).sentAt + READ_INTERVAL_MS);
    }
    return due;
  }

  #send(conversationId: string, pointer: Pointer, now: number): void {
    this.#due.delete(conversationId);
    pointer.sent = pointer.wanted;
    pointer.sentAt = now;
    this.#out.send({ type: "mark-read", data: { conversationId, seqId: pointer.wanted } });
  }

  #pointer(conversationId: string): Pointer {
    let pointer = this.#pointers.get(conversationId);
    if (pointer === undefined) {
      pointer = { wanted: 0, sent: 0, sentAt: -Infinity };
      this.#pointers.set(conversationId, pointer);
    }
    return pointer;
  }
}

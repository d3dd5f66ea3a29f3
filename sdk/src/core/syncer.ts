/** The sync of one connection: heads out, pages in, again from the start when an answer stays away. */
import type { Effects } from "./effects.ts";
import { SYNC_TIMEOUT_MS } from "./limits.ts";
import type { Heads } from "./timelines.ts";
import type { WireError } from "./types.ts";

export class Syncer {
  readonly #out: Effects;
  readonly #heads: () => Heads;
  #count = 0;
  /** The id of the frame whose answer is awaited; undefined when nothing is under way. */
  #waitingFor: string | undefined;
  /** Pages belong to the heads that the first of them was asked with. */
  #sent: Heads = {};
  #dueAt = Infinity;
  /** The answer has brought what it was not asked for. */
  #again = false;

  constructor(heads: () => Heads, out: Effects) {
    this.#heads = heads;
    this.#out = out;
  }

  start(now: number): void {
    this.#sent = this.#heads();
    this.#ask(now, undefined);
  }

  /** Whether the sync that is under way has named this conversation. */
  hasNamed(conversationId: string): boolean {
    return this.#sent[conversationId] !== undefined;
  }

  /** Whether this answers what was asked last: an earlier answer, or the same again, may be older than what is known by now. */
  isAwaited(ref: string | undefined): boolean {
    return this.#waitingFor !== undefined && (ref === undefined || ref === this.#waitingFor);
  }

  /** When the answer is whole it is asked once more, with what is known then. */
  askAgain(): void {
    this.#again = true;
  }

  cancel(): void {
    this.#again = false;
    this.#waitingFor = undefined;
    this.#dueAt = Infinity;
    this.#sent = {};
  }

  /** The page that was awaited came; true when it was the last one. */
  answered(nextCursor: string | null, now: number): boolean {
    if (nextCursor !== null) {
      this.#ask(now, nextCursor);
      return false;
    }
    const again = this.#again;
    this.cancel();
    if (again) {
      this.start(now);
    }
    return !again;
  }

  /** True when the refused frame was the sync: it is asked for again later, from its first page. */
  refused(ref: string | undefined, error: WireError, now: number): boolean {
    if (ref === undefined || ref !== this.#waitingFor) {
      return false;
    }
    this.#dueAt = now + (error.retryAfterMs ?? SYNC_TIMEOUT_MS);
    this.#out.arm(this.#dueAt);
    return true;
  }

  timer(now: number): void {
    if (now >= this.#dueAt) {
      this.start(now);
    }
  }

  nextDueAt(): number {
    return this.#dueAt;
  }

  #ask(now: number, cursor: string | undefined): void {
    this.#count += 1;
    this.#waitingFor = `sync-${this.#count}`;
    this.#dueAt = now + SYNC_TIMEOUT_MS;
    this.#out.arm(this.#dueAt);
    const data = cursor === undefined ? { heads: this.#sent } : { heads: this.#sent, cursor };
    this.#out.send({ type: "sync", id: this.#waitingFor, data });
  }
}

/**
 * The order of one conversation as this client has seen it: everything up to `contiguous` has been emitted once, in
 * order; what came early waits in a buffer; `head` is the highest sequence known to exist.
 */
import type { Message } from "./types.ts";
import { BUFFER_LIMIT } from "./limits.ts";
import { newerOf } from "./window.ts";

export type TimelineSink = {
  message(conversationId: string, message: Message, live: boolean): void;
  gap(conversationId: string, fromSeqId: number, toSeqId: number): void;
  /** A message that was emitted before came again, perhaps in a newer form. */
  again(message: Message, live: boolean): void;
};

type Change = { version: number; change: (message: Message) => Message };
type Early = { message: Message; live: boolean };

export class Timeline {
  readonly conversationId: string;
  readonly #sink: TimelineSink;
  #contiguous: number;
  #head: number;
  #early: Map<number, Early> | undefined;
  /** Changes of messages that have not come yet. */
  readonly #changes = new Map<number, Change[]>();
  /** What is read back from now on holds all changes up to this version of the conversation. */
  readVersion = 0;

  /** @param contiguous sequences up to here are none of this client's business any more. */
  constructor(conversationId: string, contiguous: number, sink: TimelineSink) {
    this.conversationId = conversationId;
    this.#sink = sink;
    this.#contiguous = contiguous;
    this.#head = contiguous;
  }

  get contiguous(): number {
    return this.#contiguous;
  }

  get head(): number {
    return this.#head;
  }

  /** Something is known to exist that has not been emitted. */
  get hasGap(): boolean {
    return this.#head > this.#contiguous;
  }

  /** A message from a push, an ack, sync or history, in any order and any number of times. */
  accept(came: Message, live: boolean): void {
    const { seqId } = came;
    if (seqId <= this.#contiguous) {
      this.#sink.again(came, live);
      return;
    }
    const message = this.#changed(came, live);
    if (seqId > this.#head) {
      this.#head = seqId;
    }
    if (seqId !== this.#contiguous + 1) {
      this.#hold(seqId, { message, live });
      return;
    }
    this.#contiguous = seqId;
    const early = this.#early?.get(seqId);
    this.#early?.delete(seqId);
    this.#sink.message(this.conversationId, early === undefined ? message : merged(early.message, message, live), live);
    this.#drain();
  }

  /** With the changes that came before it, but for those that it has in it. */
  #changed(came: Message, live: boolean): Message {
    const changes = this.#changes.get(came.seqId);
    if (changes === undefined) {
      return came;
    }
    this.#changes.delete(came.seqId);
    const news = live ? changes : changes.filter(({ version }) => version > this.readVersion);
    return news.reduce((message, { change }) => change(message), came);
  }

  /** A sequence exists, its message is not at hand. */
  exists(seqId: number): void {
    if (seqId > this.#head) {
      this.#head = seqId;
    }
  }

  /**
   * An edit, recall or reaction of a message that has not been emitted: it is changed where it waits, or when it comes, which
   * may be in an older form that was sent before the change. True: nobody else needs to know.
   */
  changeBefore(seqId: number, version: number, change: (message: Message) => Message): boolean {
    if (seqId <= this.#contiguous) {
      return false;
    }
    const early = this.#early?.get(seqId);
    if (early !== undefined) {
      early.message = change(early.message);
      return true;
    }
    this.exists(seqId);
    if (this.#changes.size < BUFFER_LIMIT || this.#changes.has(seqId)) {
      this.#changes.set(seqId, [...(this.#changes.get(seqId) ?? []), { version, change }]);
    }
    return true;
  }

  /**
   * A page of the history that begins right after `after` and leaves nothing out. Messages are ascending.
   * Answers whether it brought anything new.
   */
  page(after: number, messages: readonly Message[]): boolean {
    const before = this.#contiguous;
    if (after > before) {
      return false;
    }
    for (const message of messages) {
      if (message.seqId > this.#contiguous + 1) {
        // The authority has nothing in between.
        this.#skipTo(message.seqId - 1);
      }
      this.accept(message, false);
    }
    return this.#contiguous > before;
  }

  /** Gives up on the first gap: continues behind it and reports what is missing. */
  abandonGap(): void {
    let next = this.#head + 1;
    if (this.#early !== undefined) {
      for (const seqId of this.#early.keys()) {
        next = Math.min(next, seqId);
      }
    }
    this.#skipTo(next - 1);
    this.#drain();
  }

  #hold(seqId: number, early: Early): void {
    this.#early ??= new Map();
    const known = this.#early.get(seqId);
    if (known !== undefined) {
      known.message = merged(known.message, early.message, early.live);
    } else if (this.#early.size < BUFFER_LIMIT) {
      this.#early.set(seqId, early);
    }
  }

  #drain(): void {
    const early = this.#early;
    if (early === undefined) {
      return;
    }
    for (let next = early.get(this.#contiguous + 1); next !== undefined; next = early.get(this.#contiguous + 1)) {
      this.#contiguous += 1;
      early.delete(this.#contiguous);
      this.#sink.message(this.conversationId, next.message, next.live);
    }
    if (early.size === 0) {
      this.#early = undefined;
    }
  }

  /** Moves over what nobody has, emitting what the buffer holds on the way. */
  #skipTo(seqId: number): void {
    while (this.#contiguous < seqId) {
      let next = seqId + 1;
      for (const early of this.#early?.keys() ?? []) {
        if (early < next) {
          next = early;
        }
      }
      this.#sink.gap(this.conversationId, this.#contiguous + 1, next - 1);
      this.#contiguous = next - 1;
      if (this.#head < this.#contiguous) {
        this.#head = this.#contiguous;
      }
      this.#drain();
    }
  }
}

/** Both are forms of one message. What is read back without reactions has none; what is pushed just leaves them out. */
function merged(known: Message, came: Message, live: boolean): Message {
  return newerOf(known, live ? came : { ...came, reactions: came.reactions ?? [] });
}

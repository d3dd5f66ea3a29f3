/**
 * What a workload needs to know of a server: a line takes messages by number and tells what comes back by number. Ours
 * and the bare objects speak differently; everything that is measured is the same code for both.
 */

/** Size of a message's text, in bytes (all ASCII). The peers were measured with the same. */
export const BODY_BYTES = 200;
const NUMBER_DIGITS = 10;
const FILLER = "x".repeat(BODY_BYTES - NUMBER_DIGITS);

/** Messages that one frame brought: their places in the order of the conversation, and their numbers. */
export interface Delivered {
  readonly places: readonly number[];
  readonly numbers: readonly number[];
}

export interface Line {
  /** Sends message `number` and does not wait. */
  send(number: number): void;
  /** An acknowledgement: the message is durable (ours) or its row is (bare). Its place in the order, where it has one. */
  onAck: (number: number, place: number) => void;
  /** The message is in SQL. Never called by the bare objects. */
  onConfirmed: (number: number) => void;
  onRefused: (number: number, reason: string) => void;
  onDelivered: (delivered: Delivered) => void;
}

/** Checks that a reader gets every place once and in order, and counts what it gets otherwise. */
export class Places {
  #last = 0;
  /** Deliveries of places that the reader had. A reader recognises them by their place; they cost, and do no harm. */
  again = 0;
  /** Places left out, whether they came later or not. */
  skipped = 0;

  /** True when this place is new. */
  take(place: number): boolean {
    if (place <= this.#last) {
      this.again += 1;
      return false;
    }
    if (this.#last !== 0) {
      this.skipped += place - this.#last - 1;
    }
    this.#last = place;
    return true;
  }
}

/** What a line does when nobody has said otherwise. */
export const IGNORE = {
  onAck: () => {},
  onConfirmed: () => {},
  onRefused: () => {},
  onDelivered: () => {},
} as const satisfies Partial<Line>;

/** The text of message `number`. */
export function bodyOf(number: number): string {
  return String(number).padStart(NUMBER_DIGITS, "0") + FILLER;
}

export function numberIn(body: string): number {
  return Number(body.slice(0, NUMBER_DIGITS));
}

/** Frames remembered by `FrameMemo`: several conversations and shards speak at a time. */
const MEMO_FRAMES = 8;

/**
 * Every reader of a conversation gets the same bytes, and reading them again as JSON for each would measure this client
 * and not the server: what was read once is recognised by its bytes.
 */
export class FrameMemo<T> {
  readonly #read: (text: string) => T;
  readonly #known: { bytes: Buffer; value: T }[] = [];

  constructor(read: (text: string) => T) {
    this.#read = read;
  }

  read(bytes: Buffer): T {
    for (const known of this.#known) {
      if (known.bytes.length === bytes.length && known.bytes.equals(bytes)) {
        return known.value;
      }
    }
    const value = this.#read(bytes.toString("utf8"));
    // A copy: the bytes are a view into a buffer of the socket, which would be kept alive as a whole.
    this.#known.unshift({ bytes: Buffer.from(bytes), value });
    this.#known.length = Math.min(this.#known.length, MEMO_FRAMES);
    return value;
  }
}

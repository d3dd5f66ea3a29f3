/**
 * What a user's session remembers of the conversations whose messages pass through it. In memory:
 * a session that begins a new life knows nothing, and takes everything again.
 */

/** Conversations remembered; the longest quiet one leaves first. */
const MEMORY = 512;

/** Messages of one conversation after `from` up to `to`. */
type Range = { conversationId: string; from: number; to: number };

export class SessionHeads {
  readonly #newest = new Map<string, number>();
  readonly #read = new Map<string, number>();
  readonly #passed = new Map<string, { from: number; to: number }>();

  /**
   * Newest sequences by conversation. A device that connects in the moment between a delivery and
   * the room's cache write would read an older head there; this one counts as well.
   */
  get newest(): ReadonlyMap<string, number> {
    return this.#newest;
  }

  note(conversationId: string, seqId: number): void {
    keep(this.#newest, conversationId, Math.max(this.#newest.get(conversationId) ?? 0, seqId));
  }

  /**
   * How far this user has read, by conversation: own messages and moved pointers. SQL learns of both a moment after they
   * were acknowledged; a list in between must not show them as unread.
   */
  get read(): ReadonlyMap<string, number> {
    return this.#read;
  }

  noteRead(conversationId: string, seqId: number): void {
    keep(this.#read, conversationId, Math.max(this.#read.get(conversationId) ?? 0, seqId));
  }

  /** Every open socket has had these, or was told of them when it connected: see `newest`. */
  hasPassed({ conversationId, from, to }: Range): boolean {
    const passed = this.#passed.get(conversationId);
    return passed !== undefined && from >= passed.from && to <= passed.to;
  }

  /** These went to the sockets. A range that does not touch the last one begins a new one. */
  pass({ conversationId, from, to }: Range): void {
    const passed = this.#passed.get(conversationId);
    const touches = passed !== undefined && from <= passed.to && to >= passed.from;
    const range = touches ? { from: Math.min(passed.from, from), to: Math.max(passed.to, to) } : { from, to };
    keep(this.#passed, conversationId, range);
  }

  /**
   * An own message was acknowledged to the socket that sent it and shown on the others. The room leaves it out of deliveries, so
   * without it what passes through would have a hole at each own message, and a room that delivers a range again would be heard twice.
   */
  passOwn(conversationId: string, seqId: number): void {
    this.pass({ conversationId, from: seqId - 1, to: seqId });
  }
}

/** Sets a value as the newest of its map, and lets the oldest go. */
function keep<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > MEMORY) {
    const [oldest] = map.keys();
    map.delete(oldest ?? "");
  }
}

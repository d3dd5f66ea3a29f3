/**
 * One flight at a time, and the next flight carries all that came meanwhile. A user's sends to one
 * room, a shard's sends of all its users: idle, each leaves at once; under load, batches grow by
 * themselves and the cost of each item falls.
 */

export type LaneLimits = {
  /** Items in one flight. */
  flight: number;
  /** Items waiting behind the flight; beyond it `offer` refuses. */
  waiting: number;
};

export class Lane<Item> {
  readonly #limits: LaneLimits;
  #flying: Item[] = [];
  #waiting: Item[] = [];

  constructor(limits: LaneLimits) {
    this.#limits = limits;
  }

  /** False when the lane is full: the caller answers RATE_LIMITED, nothing is dropped silently. */
  offer(item: Item): boolean {
    if (this.#waiting.length >= this.#limits.waiting) {
      return false;
    }
    this.#waiting.push(item);
    return true;
  }

  /** The next flight, or undefined while one is in the air or nothing waits. */
  depart(): readonly Item[] | undefined {
    if (this.#flying.length > 0 || this.#waiting.length === 0) {
      return undefined;
    }
    this.#flying = this.#waiting.splice(0, this.#limits.flight);
    return this.#flying;
  }

  /** The flight in the air came back (or failed): its items, in the order they left. */
  land(): readonly Item[] {
    const landed = this.#flying;
    this.#flying = [];
    return landed;
  }

  /** Gives up what waits, in order: the flight before it was lost, and order must hold. */
  abandon(): Item[] {
    return this.#waiting.splice(0);
  }

  /** What is in the air. */
  get flying(): readonly Item[] {
    return this.#flying;
  }

  get idle(): boolean {
    return this.#flying.length === 0 && this.#waiting.length === 0;
  }
}

/** Chance from one seed: sfc32 (Doty-Humphrey, PractRand), fast and good enough to drive a simulation. */

export class Prng {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number) {
    this.#a = seed | 0;
    this.#b = (seed / 2 ** 32) | 0;
    this.#c = 0x9e3779b9;
    for (let i = 0; i < 15; i++) {
      this.u32();
    }
  }

  /** Uniform over 32 bits. */
  u32(): number {
    const t = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + t) | 0;
    return t >>> 0;
  }

  /** Uniform in [0, 1). */
  readonly unit = (): number => this.u32() / 2 ** 32;

  /** Uniform integer in [0, below). */
  int(below: number): number {
    return Math.floor(this.unit() * below);
  }

  /** Uniform integer in [low, high]. */
  between(low: number, high: number): number {
    return low + this.int(high - low + 1);
  }

  chance(probability: number): boolean {
    return probability > 0 && this.unit() < probability;
  }

  /** Exponential with this mean, at least 1, at most ten means. */
  around(mean: number): number {
    return Math.max(1, Math.min(10 * mean, Math.round(-Math.log(1 - this.unit()) * mean)));
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.int(items.length)];
    if (item === undefined) {
      throw new Error("nothing to pick from");
    }
    return item;
  }

  shuffled<T>(items: readonly T[]): T[] {
    return items
      .map((item) => ({ item, key: this.u32() }))
      .sort((x, y) => x.key - y.key)
      .map(({ item }) => item);
  }
}

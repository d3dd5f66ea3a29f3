/**
 * Bounded memory: the bytes of all requests that are being worked on together. A request whose length is not told
 * beforehand counts as the largest that is taken.
 */
export class Gate {
  readonly #limitBytes: number;
  #bytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** False: no room; answer 503. A single request always fits when nothing else is there. */
  enter(bytes: number): boolean {
    if (this.#bytes > 0 && this.#bytes + bytes > this.#limitBytes) {
      return false;
    }
    this.#bytes += bytes;
    return true;
  }

  leave(bytes: number): void {
    this.#bytes -= bytes;
  }
}

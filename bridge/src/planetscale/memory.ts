/** Bounded memory: the rows of all results together, from MySQL's first row until the answer has been made. */
export class ResultMemory {
  readonly #limitBytes: number;
  #bytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** For one result. */
  hold(): ResultHold {
    let held = 0;
    let isOver = false;
    return {
      take: (bytes) => {
        // A result always fits when nothing else is there; its own size is limited elsewhere.
        if (isOver || (this.#bytes > held && this.#bytes + bytes > this.#limitBytes)) {
          return false;
        }
        held += bytes;
        this.#bytes += bytes;
        return true;
      },
      release: () => {
        isOver = true;
        this.#bytes -= held;
        held = 0;
      },
    };
  }
}

export interface ResultHold {
  /** False: no room, and none for what comes after a release. */
  take(bytes: number): boolean;
  /** Gives back everything; twice does nothing. */
  release(): void;
}

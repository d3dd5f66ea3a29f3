/** Waiting without polling: a condition is looked at whenever something has happened. */

export type Waiting = {
  patienceMs: number;
  /** What was seen instead, for the message of a failure. */
  seen(): string;
  /** Nothing more can come. */
  over?(): boolean;
};

export class Watchers {
  readonly #looks = new Set<() => void>();

  /** Something has happened. */
  changed(): void {
    for (const look of this.#looks) {
      look();
    }
  }

  /** Rejects when the time is over, or nothing more can come, with the name of what never came. */
  async until(what: string, check: () => boolean, { patienceMs, seen, over }: Waiting): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = (): void => {
      if (check()) {
        resolve();
      } else if (over?.() === true) {
        reject(new Error(`it was over before ${what}: ${shortened(seen())}`));
      }
    };
    const late = setTimeout(() => reject(new Error(`never came: ${what}; ${shortened(seen())}`)), patienceMs);
    this.#looks.add(look);
    look();
    try {
      await promise;
    } finally {
      clearTimeout(late);
      this.#looks.delete(look);
    }
  }
}

/** Frames can be long; the message of a failure must stay readable. */
const SEEN_CHARS = 2_000;

function shortened(text: string): string {
  return text.length <= SEEN_CHARS ? text : `${text.slice(0, SEEN_CHARS)}… (${text.length} characters)`;
}

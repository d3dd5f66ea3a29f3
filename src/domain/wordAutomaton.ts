/**
 * Many words in a text with one pass over it (Aho–Corasick 1975): the time depends on the text, not on how many words the
 * list has. Works on UTF-16 units, which for well-formed words and texts finds the same as working on characters.
 */

/** A place in the text where a word stands: units `from` (inclusive) to `to` (exclusive). */
export type Found = { word: number; from: number; to: number };

type State = {
  readonly next: Map<number, State>;
  /** Where the longest proper end of what was read continues that is a beginning of a word. */
  fallback: State | undefined;
  /** Index of the word that ends here. */
  word: number | undefined;
  /** The nearest state on the way of fallbacks where a shorter word ends. */
  shorter: State | undefined;
};

function newState(): State {
  return { next: new Map(), fallback: undefined, word: undefined, shorter: undefined };
}

export class WordAutomaton {
  readonly #root = newState();
  readonly #lengths: readonly number[];

  /** Empty words are never found; of equal ones only the last is. */
  constructor(words: readonly string[]) {
    this.#lengths = words.map((word) => word.length);
    words.forEach((word, index) => {
      let state = this.#root;
      for (let at = 0; at < word.length; at++) {
        const unit = word.charCodeAt(at);
        const next = state.next.get(unit) ?? newState();
        state.next.set(unit, next);
        state = next;
      }
      state.word = word === "" ? undefined : index;
    });
    this.#link();
  }

  /** Breadth first: a state's fallback is shorter than the state, so it has its own links already. */
  #link(): void {
    const queue = [...this.#root.next.values()];
    for (const state of queue) {
      state.fallback ??= this.#root;
      state.shorter = state.fallback.word === undefined ? state.fallback.shorter : state.fallback;
      for (const [unit, next] of state.next) {
        let from: State | undefined = state.fallback;
        while (from !== undefined && !from.next.has(unit)) {
          from = from.fallback;
        }
        next.fallback = from?.next.get(unit) ?? this.#root;
        queue.push(next);
      }
    }
  }

  /** Every place of every word, by where it ends; words may overlap. */
  find(text: string): Found[] {
    const found: Found[] = [];
    let state = this.#root;
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      let from: State | undefined = state;
      while (from !== undefined && !from.next.has(unit)) {
        from = from.fallback;
      }
      state = from?.next.get(unit) ?? this.#root;
      for (let end: State | undefined = state; end !== undefined; end = end.shorter) {
        if (end.word !== undefined) {
          found.push({ word: end.word, from: at + 1 - (this.#lengths[end.word] ?? 0), to: at + 1 });
        }
      }
    }
    return found;
  }
}

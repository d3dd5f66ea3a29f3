/** A value that changes, as `useSyncExternalStore` and everybody else can follow it. */
export type Store<T> = {
  get(): T;
  /** Called after each change; the answer ends it. */
  subscribe(listener: () => void): () => void;
};

/** A store and the way to change it. */
export class Writable<T> implements Store<T> {
  #value: T;
  readonly #listeners = new Set<() => void>();

  constructor(value: T) {
    this.#value = value;
  }

  get = (): T => this.#value;

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  set(value: T): void {
    this.#value = value;
    for (const listener of this.#listeners) {
      listener();
    }
  }
}

/** What is under way in this isolate: calls that were not answered and timers that have not gone off. */

/** Timers that are part of an operation are short; a report of metrics in ten seconds is not waited for. */
const SHORT_MS = 2_000;

/** Properties that stand in front of others for a while. */
export class Patches {
  readonly #undo: (() => void)[] = [];

  /** What `undo` is to do as well. */
  later(undo: () => void): void {
    this.#undo.push(undo);
  }

  undo(): void {
    for (const one of this.#undo.splice(0).toReversed()) {
      one();
    }
  }

  /** A property of the object itself, in front of whatever it has. */
  shadow(target: object, name: string, value: unknown): void {
    const before = Object.getOwnPropertyDescriptor(target, name);
    Object.defineProperty(target, name, { configurable: true, writable: true, value });
    this.later(() => {
      if (before === undefined) {
        Reflect.deleteProperty(target, name);
      } else {
        Object.defineProperty(target, name, before);
      }
    });
  }

  /** A method, by one that is made of it; what is no method stays. */
  replace<F extends (...args: never[]) => unknown>(target: object, name: string, by: (real: F) => F): void {
    const before = Object.getOwnPropertyDescriptor(target, name);
    const real: unknown = before?.value;
    if (before !== undefined && typeof real === "function") {
      Object.defineProperty(target, name, { ...before, value: by(real as F) });
      this.later(() => Object.defineProperty(target, name, before));
    }
  }
}

export class Pending {
  #count = 0;

  get isNothing(): boolean {
    return this.#count === 0;
  }

  /** Counts a call as under way until it has ended, well or not. */
  during(result: unknown): unknown {
    if (isPromise(result)) {
      this.#count += 1;
      const ended = (): void => {
        this.#count -= 1;
      };
      result.then(ended, ended);
    }
    return result;
  }

  watchTimers(patches: Patches): void {
    const { setTimeout: set, clearTimeout: clear } = globalThis;
    const running = new Set<unknown>();
    const over = (timer: unknown): void => {
      this.#count -= running.delete(timer) ? 1 : 0;
    };
    patches.shadow(globalThis, "setTimeout", (callback: () => void, ms = 0) => {
      if (ms > SHORT_MS) {
        return set.call(globalThis, callback, ms);
      }
      const timer: unknown = set.call(
        globalThis,
        () => {
          over(timer);
          callback();
        },
        ms,
      );
      running.add(timer);
      this.#count += 1;
      return timer;
    });
    patches.shadow(globalThis, "clearTimeout", (timer: Parameters<typeof clear>[0]) => {
      over(timer);
      clear.call(globalThis, timer);
    });
  }
}

/** Answers of stubs are no instances of Promise. */
function isPromise(value: unknown): value is PromiseLike<unknown> {
  return (
    (typeof value === "object" || typeof value === "function") &&
    value !== null &&
    typeof Reflect.get(value, "then") === "function"
  );
}

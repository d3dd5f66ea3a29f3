/** Several calls at one time. */
import type { Reply } from "./net.ts";

/** One after the other would take too long; all at once, and `done` hears whether each succeeded. */
export function eachOf<Element>(
  items: readonly Element[],
  each: (item: Element, next: (ok: boolean) => void) => void,
  done: (ok: boolean) => void,
): void {
  let left = items.length;
  let ok = true;
  if (left === 0) {
    done(true);
  }
  for (const item of items) {
    each(item, (good) => {
      ok = ok && good;
      left -= 1;
      if (left === 0) {
        done(ok);
      }
    });
  }
}

/** The same of calls, each of which succeeds with its answer. */
export function callEach<Element, T>(
  items: readonly Element[],
  each: (item: Element, done: Reply<T>) => void,
  done: (ok: boolean) => void,
): void {
  eachOf(items, (item, next: (ok: boolean) => void) => each(item, (answer) => next(answer !== "failed")), done);
}

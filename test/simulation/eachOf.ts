/** Several calls at one time. */

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

/** How an oracle speaks. */
import { Violation } from "./kernel.ts";

export function fail(oracle: string, detail: string): never {
  throw new Violation(oracle, detail);
}

/** @param where says what was wrong; called only then */
export function check(good: boolean, oracle: string, where: () => string): void {
  if (!good) {
    throw new Violation(oracle, where());
  }
}

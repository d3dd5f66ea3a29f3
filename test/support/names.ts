/** Names that no other test has. */

/** One letter for each decimal digit: without vowels, and without letters that stand for one. */
const LETTERS = "bdhjmqvwxz";

/** A number as letters that make no word: names go through the content filter, which reads digits as letters ("a55"). */
export function wordless(number: number): string {
  return String(number).replaceAll(/\d/g, (digit) => LETTERS.charAt(Number(digit)));
}

/** Of the clock, which tells processes with the same number apart: enough for ten days, and short enough for a user name. */
const TIME_MS = 1e9;
let count = 0;

/** @param prefix at most 10 characters, where it becomes a user name */
export function uniqueName(prefix: string): string {
  count += 1;
  return `${prefix}-${[process.pid, Date.now() % TIME_MS, count].map(wordless).join("-")}`;
}

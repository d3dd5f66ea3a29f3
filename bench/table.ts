/** Numbers and tables of the page. */
import type { Load } from "./load/measures.ts";
import type { Chosen } from "./series.ts";
import { figureOf, type Figure, ratiosOf } from "./stats.ts";

/** `median [min–max]`, as many decimals as the size of the number deserves; `~` before a rough one. */
export function show({ median, min, max }: Figure, rough = false): string {
  if (!Number.isFinite(median)) {
    return "–";
  }
  const range = min === max ? "" : ` [${number(min)}–${number(max)}]`;
  return `${rough ? "~" : ""}${number(median)}${range}`;
}

/** A number for a reader: thousands with commas, three digits that count below that. */
export function number(value: number): string {
  if (!Number.isFinite(value)) {
    return "–";
  }
  const size = Math.abs(value);
  const decimals = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : 2;
  return value.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

/** A Markdown table; nothing when there are no rows. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return rows.length === 0 ? "" : [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** Ours, the baseline's and their ratio, as cells. */
export function compare<T>({ ours, bare, rough }: Chosen<T>, read: (run: T) => number): string[] {
  const [left, right] = [ours.map(read), bare.map(read)];
  return [show(figureOf(left), rough), show(figureOf(right), rough), show(ratiosOf(left, right), rough)];
}

/** One figure of ours, as a cell. */
export function ourFigure<T>({ ours, rough }: Chosen<T>, read: (run: T) => number): string {
  return show(figureOf(ours.map(read)), rough);
}

/** Processor seconds per second of server, client and everything else, as a cell. */
export function cores(runs: readonly { readonly load: Load }[]): string {
  const of = (read: (load: Load) => number): string => figureOf(runs.map(({ load }) => read(load))).median.toFixed(2);
  return runs.length === 0
    ? "–"
    : [of((load) => load.server), of((load) => load.client), of((load) => load.others)].join(", ");
}

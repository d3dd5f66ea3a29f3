/** Numbers and tables of the page. */
import type { Figure } from "./stats.ts";

/** `median [min–max]`, as many decimals as the size of the number deserves. */
export function show({ median, min, max }: Figure): string {
  return `${number(median)} [${number(min)}–${number(max)}]`;
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

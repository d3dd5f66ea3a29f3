/** Prometheus text format 0.0.4, and the sums over isolates that it shows. */
import type { MeterKind, Samples } from "./meters.ts";

export type Family = { readonly name: string; readonly kind: MeterKind; readonly help: string };

/** The content type of the text. */
export const EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** What an isolate says of itself: totals since it began, and how things stand. */
export type IsolateReport = { isolate: string; totals: Samples; gauges: Samples };

/** Growth since the isolate's last report; a total that shrank is one that began anew. */
export function growth(before: Samples, now: Samples): Samples {
  const grown: Samples = {};
  for (const [sample, value] of Object.entries(now)) {
    const old = before[sample] ?? 0;
    const more = value >= old ? value - old : value;
    if (more > 0) {
      grown[sample] = more;
    }
  }
  return grown;
}

/** Adds in place. */
export function addTo(sums: Samples, more: Samples): void {
  for (const [sample, value] of Object.entries(more)) {
    sums[sample] = (sums[sample] ?? 0) + value;
  }
}

/** Gauges of several isolates as one: the sum of each sample, or the largest where the family says so. */
export function joinGauges(all: readonly Samples[], largestCounts: ReadonlySet<string>): Samples {
  const joined: Samples = {};
  for (const gauges of all) {
    for (const [sample, value] of Object.entries(gauges)) {
      const old = joined[sample] ?? 0;
      joined[sample] = largestCounts.has(familyOf(sample)) ? Math.max(old, value) : old + value;
    }
  }
  return joined;
}

function familyOf(sample: string): string {
  return sample.split("{", 1)[0] ?? sample;
}

/** The suffixes that a family's samples may have. */
const SUFFIXES: Readonly<Record<MeterKind, RegExp>> = {
  counter: /$/,
  gauge: /$/,
  histogram: /_(?:bucket|sum|count)$/,
};

/** The text of a scrape. Families without samples are named all the same, so that a scraper knows what there is. */
export function expose(families: readonly Family[], samples: Samples): string {
  const byFamily = new Map<string, string[]>();
  for (const [sample, value] of Object.entries(samples)) {
    const lines = byFamily.get(familyOf(sample)) ?? [];
    lines.push(`${sample} ${value}`);
    byFamily.set(familyOf(sample), lines);
  }
  const text = families.flatMap(({ name, kind, help }) => {
    const own = [...byFamily].filter(
      ([sample]) => sample.startsWith(name) && sample.replace(SUFFIXES[kind], "") === name,
    );
    return [`# HELP ${name} ${help}`, `# TYPE ${name} ${kind}`, ...own.flatMap(([, lines]) => lines)];
  });
  return `${text.join("\n")}\n`;
}

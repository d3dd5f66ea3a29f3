/** Repetitions to one figure. */

/** Median with the least and the greatest, as every table has it. All are NaN when there was nothing. */
export interface Figure {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function figureOf(values: readonly number[]): Figure {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1] ?? Number.NaN;
  const high = sorted[Math.floor(middle)] ?? Number.NaN;
  return { median: (low + high) / 2, min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN };
}

/** Ratios of repetitions that ran one after the other, so that both met the machine in the same mood. */
export function ratiosOf(ours: readonly number[], bare: readonly number[]): Figure {
  return bare.length === 0 ? figureOf([]) : figureOf(ours.map((value, index) => value / (bare[index] ?? Number.NaN)));
}

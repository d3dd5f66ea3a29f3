/** Repetitions of workloads, and which of them count. */
import type { Load } from "./load/measures.ts";
import type { TargetName } from "./targets.ts";

/** Other work on the machine, in cores, above which a repetition counts only when there are not enough better ones. */
const CALM_CORES = 0.3;
/** So many repetitions without disturbance are enough to leave the disturbed ones out. */
const ENOUGH = 2;

/** Whether a repetition had the machine for itself. */
export function isCalm(load: Load): boolean {
  return load.others <= CALM_CORES;
}

/** The repetitions of one workload that count, ours and the baseline's beside each other. */
export interface Chosen<T> {
  readonly ours: readonly T[];
  readonly bare: readonly T[];
  /** Other work disturbed too many of them: all are in, and their figures are an order of magnitude. */
  readonly rough: boolean;
  /** Disturbed repetitions that were left out. */
  readonly leftOut: number;
}

/** The workload's name in a series where the baseline is the bare shape of ours (see `baseline/shape.ts`). */
export function shapeOf(workload: string): string {
  return `shape of ${workload}`;
}

export class Series<T extends { readonly load: Load }> {
  readonly #runs = new Map<string, Record<TargetName, T[]>>();

  add(workload: string, target: TargetName, result: T): void {
    let runs = this.#runs.get(workload);
    if (runs === undefined) {
      runs = { ours: [], bare: [] };
      this.#runs.set(workload, runs);
    }
    runs[target].push(result);
  }

  /** Every repetition on our server, whatever disturbed it: for counts, which must always be right. */
  all(workload: string): readonly T[] {
    return this.#runs.get(workload)?.ours ?? [];
  }

  /** A repetition counts as undisturbed when both servers were. */
  chosen(workload: string): Chosen<T> {
    const { ours = [], bare = [] } = this.#runs.get(workload) ?? {};
    const turns = Array.from({ length: Math.max(ours.length, bare.length) }, (_, turn) => turn);
    const calm = turns.filter((turn) => [ours[turn], bare[turn]].every((run) => run === undefined || isCalm(run.load)));
    if (calm.length === turns.length || calm.length < ENOUGH) {
      return { ours, bare, rough: calm.length < turns.length, leftOut: 0 };
    }
    const pick = (runs: readonly T[]): T[] => calm.flatMap((turn) => runs[turn] ?? []);
    return { ours: pick(ours), bare: pick(bare), rough: false, leftOut: turns.length - calm.length };
  }
}

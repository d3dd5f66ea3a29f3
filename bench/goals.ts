/** The targets, and whether a run met them. A target is judged by the median of the repetitions. */
import { ratiosOf, figureOf, type Figure } from "./stats.ts";
import type { Results } from "./suites.ts";

export interface Goal {
  readonly what: string;
  readonly wanted: string;
  /** `undefined`: this run did not measure it. */
  readonly measured: Figure | undefined;
  readonly met: boolean;
  /** Beside the figure, where it needs a word. */
  readonly note?: string;
}

const KIB = 1024;

/** Every target, in the order of the page. */
export function judge(results: Results): Goal[] {
  const { acks, groups, worlds, memory, storms } = results;
  const direct = { ours: acks.of("direct", "ours"), bare: acks.of("direct", "bare") };
  const p50 = direct.ours.map((run) => run.ack.p50Ms);
  const ratio = ratiosOf(
    p50,
    direct.bare.map((run) => run.ack.p50Ms),
  );
  const bytes = (name: "ours" | "bare"): number[] => memory.of("memory", name).map((run) => run.perSocketBytes);
  const world = (rate: number, below: number): Goal => {
    const runs = worlds.of(String(rate), "ours");
    const complete = runs.filter((run) => run.complete).length;
    return goal(
      `world room, 4,000 readers, ${rate} msg/s: delivery P99, ms`,
      `complete, < ${below.toLocaleString("en-US")}`,
      runs.map((run) => run.delivery.p99Ms),
      (median) => median < below && complete === runs.length,
      `complete in ${complete} of ${runs.length}`,
    );
  };
  const group = (key: string, what: string, least: number): Goal =>
    goal(
      what,
      `≥ ${least.toLocaleString("en-US")}`,
      groups.of(key, "ours").map((run) => run.deliveriesPerSecond),
      (median) => median >= least,
    );
  const stormRuns = storms.of("storm", "ours");
  const failed = stormRuns.reduce((sum, run) => sum + run.failed, 0);
  return [
    goal("direct, 1 in flight: send → ack P50, ms", "≤ 0.50", p50, (median) => median <= 0.5),
    goal("the same, times the bare write", "≤ 3", direct.bare.length > 0 ? ratio : undefined, (median) => median <= 3),
    goal(
      "50 pairs: acks/s",
      "≥ 3,500",
      acks.of("pairs", "ours").map((run) => run.acksPerSecond),
      (median) => median >= 3_500,
    ),
    group("50/8", "group of 50, 8 in flight: deliveries/s", 100_000),
    group("500/8", "group of 500, 8 in flight: deliveries/s", 100_000),
    group("50/1", "group of 50, 1 in flight: deliveries/s", 18_000),
    group("500/1", "group of 500, 1 in flight: deliveries/s", 18_000),
    world(50, 1_000),
    world(100, 500),
    goal(
      "idle signed-in socket: memory, times the bare one",
      "≤ 1.5",
      bytes("bare").length > 0 ? ratiosOf(bytes("ours"), bytes("bare")) : undefined,
      (median) => median <= 1.5,
      `${kib(bytes("ours"))} and ${kib(bytes("bare"))} KiB`,
    ),
    goal(
      "connect storm of 2,000: s",
      "all, ≤ 2.5",
      stormRuns.map((run) => run.totalMs / 1_000),
      (median) => median <= 2.5 && failed === 0,
      `${failed} failed`,
    ),
  ];
}

function goal(
  what: string,
  wanted: string,
  measured: readonly number[] | Figure | undefined,
  isMet: (median: number) => boolean,
  note?: string,
): Goal {
  const figure = measured === undefined || "median" in measured ? measured : figureOf(measured);
  if (figure === undefined || Number.isNaN(figure.median)) {
    return { what, wanted, measured: undefined, met: false };
  }
  return { what, wanted, measured: figure, met: isMet(figure.median), ...(note === undefined ? {} : { note }) };
}

function kib(bytes: readonly number[]): string {
  return (figureOf(bytes).median / KIB).toFixed(0);
}

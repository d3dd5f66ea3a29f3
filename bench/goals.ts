/** The targets, and whether a run met them. A target is judged by the median of the repetitions that count. */
import { workloadOf } from "./engines/measure.ts";
import { TOPIC_GOAL } from "./engines/section.ts";
import type { Plan } from "./plan.ts";
import type { Chosen } from "./series.ts";
import { figureOf, type Figure, ratiosOf } from "./stats.ts";
import type { Results } from "./suites.ts";

export interface Goal {
  readonly what: string;
  readonly wanted: string;
  /** `undefined`: this run did not measure it. */
  readonly measured: Figure | undefined;
  /** Other work on the machine disturbed the measurement. */
  readonly rough: boolean;
  readonly met: boolean;
  /** Beside the figure, where it needs a word. */
  readonly note?: string;
}

const KIB = 1024;

/** Where work beside the server belongs to it, and nothing can tell whether other work disturbed. */
const UNDISTURBED: Chosen<unknown> = { ours: [], bare: [], rough: false, leftOut: 0 };

/** Every target, in the order of the page. */
export function judge({ acks, groups, worlds, memory, storms, persist, engines }: Results, plan: Plan): Goal[] {
  const direct = acks.chosen("direct");
  const idle = memory.chosen("memory");
  const storm = storms.chosen("storm");
  const failed = storms.all("storm").reduce((sum, run) => sum + run.failed, 0);
  const least = (what: string, chosen: Chosen<unknown>, values: readonly number[], wanted: number): Goal =>
    goal(what, `≥ ${wanted.toLocaleString("en-US")}`, chosen, figureOf(values), (median) => median >= wanted);
  const group = (key: string, what: string, wanted: number): Goal => {
    const chosen = groups.chosen(key);
    const values = chosen.ours.map((run) => run.deliveriesPerSecond);
    return least(`${what}: deliveries/s`, chosen, values, wanted);
  };
  const world = (rate: number, belowMs: number): Goal => {
    const chosen = worlds.chosen(String(rate));
    const runs = worlds.all(String(rate));
    const complete = runs.filter((run) => run.complete).length;
    return goal(
      `world room, ${(runs[0]?.readers ?? 0).toLocaleString("en-US")} readers, ${rate} msg/s: delivery P99, ms`,
      `complete, < ${belowMs.toLocaleString("en-US")}`,
      chosen,
      figureOf(chosen.ours.map((run) => run.delivery.p99Ms)),
      (median) => median < belowMs && complete === runs.length,
      `complete in ${complete} of ${runs.length}`,
    );
  };
  const kib = (runs: readonly { perSocketBytes: number }[]): string =>
    (figureOf(runs.map((run) => run.perSocketBytes)).median / KIB).toFixed(0);
  const p50 = (runs: Chosen<{ ack: { p50Ms: number } }>["ours"]): number[] => runs.map((run) => run.ack.p50Ms);
  const pairs = acks.chosen("pairs");
  const intoMysql = persist.chosen("MariaDB");
  const onEngines = engines.all(workloadOf("engines", "direct"));
  const hot = engines.all(workloadOf("engines", "hot"));
  const hotByTopic = engines.all(workloadOf("engines, topic", "hot"));
  return [
    goal(
      "direct, 1 in flight: send → ack P50, ms",
      "≤ 0.50",
      direct,
      figureOf(p50(direct.ours)),
      (median) => median <= 0.5,
    ),
    goal(
      "the same, times the bare write",
      "≤ 3",
      direct,
      ratiosOf(p50(direct.ours), p50(direct.bare)),
      (median) => median <= 3,
    ),
    least(
      `${plan.pairs} pairs: acks/s`,
      pairs,
      pairs.ours.map((run) => run.acksPerSecond),
      3_500,
    ),
    group("50/8", "group of 50, 8 in flight", 100_000),
    group("500/8", "group of 500, 8 in flight", 100_000),
    group("50/1", "group of 50, 1 in flight", 18_000),
    group("500/1", "group of 500, 1 in flight", 18_000),
    world(50, 1_000),
    world(100, 500),
    goal(
      "idle signed-in socket: memory, times the bare one",
      "≤ 1.5",
      idle,
      ratiosOf(
        idle.ours.map((run) => run.perSocketBytes),
        idle.bare.map((run) => run.perSocketBytes),
      ),
      (median) => median <= 1.5,
      `${kib(idle.ours)} and ${kib(idle.bare)} KiB`,
    ),
    goal(
      `connect storm of ${(storm.ours[0]?.sockets ?? 0).toLocaleString("en-US")}: s`,
      "all, ≤ 2.5",
      storm,
      figureOf(storm.ours.map((run) => run.totalMs / 1_000)),
      (median) => median <= 2.5 && failed === 0,
      `${failed} failed`,
    ),
    least(
      "persisted in MariaDB through the bridge: messages/s",
      intoMysql,
      intoMysql.ours.map((run) => run.messagesPerSecond),
      5_000,
    ),
    goal(
      "direct on Kafka, MariaDB and Redis: send → ack P50, times the embedded default",
      "≤ 1.2",
      UNDISTURBED,
      ratiosOf(p50(onEngines), p50(engines.all(workloadOf("embedded", "direct")))),
      (median) => median <= 1.2,
    ),
    goal(
      `${plan.hotSenders.toLocaleString("en-US")} senders into one room with UPSTREAM=topic: messages/s, times those without`,
      `≥ ${TOPIC_GOAL}`,
      UNDISTURBED,
      ratiosOf(
        hotByTopic.map((run) => run.acksPerSecond),
        hot.map((run) => run.acksPerSecond),
      ),
      (median) => median >= TOPIC_GOAL,
    ),
  ];
}

function goal(
  what: string,
  wanted: string,
  { rough }: Chosen<unknown>,
  figure: Figure,
  isMet: (median: number) => boolean,
  note?: string,
): Goal {
  const measured = Number.isNaN(figure.median) ? undefined : figure;
  return {
    what,
    wanted,
    measured,
    rough,
    met: isMet(figure.median),
    ...(note === undefined ? {} : { note }),
  };
}

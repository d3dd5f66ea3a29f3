/** The page's section about the other engines. */
import type { AckResult } from "../load/acks.ts";
import type { Plan } from "../plan.ts";
import type { Series } from "../series.ts";
import { figureOf, ratiosOf } from "../stats.ts";
import { cores, number, show, table } from "../table.ts";
import { workloadOf } from "./measure.ts";
import { SETUPS, type SetupName } from "./setups.ts";

/** The section; empty when nothing was measured. */
export function onEngines(results: Series<AckResult>, plan: Plan): string {
  const runs = (setup: SetupName, what: "direct" | "hot"): readonly AckResult[] => results.all(workloadOf(setup, what));
  const rows = SETUPS.filter((setup) => runs(setup, "direct").length > 0).map((setup) => {
    const against = (what: "direct" | "hot", base: SetupName, read: (run: AckResult) => number): string =>
      setup === base ? "1" : show(ratiosOf(runs(setup, what).map(read), runs(base, what).map(read)));
    const p50 = (run: AckResult): number => run.ack.p50Ms;
    const rate = (run: AckResult): number => run.acksPerSecond;
    const direct = setup === "embedded" ? "embedded" : "engines";
    return [
      setup,
      show(figureOf(runs(setup, "direct").map(p50))),
      against("direct", "embedded", p50),
      show(figureOf(runs(setup, "hot").map(rate))),
      against("hot", direct, rate),
      cores(runs(setup, "hot")),
    ];
  });
  const head = [
    "",
    "direct, 1 in flight: send → `sent`, P50, ms",
    "beside embedded",
    `${number(plan.hotSenders)} senders into one room: messages/s`,
    "beside the same engines without `topic`",
    "cores then: workerd, client, all others",
  ];
  return rows.length === 0
    ? ""
    : `"engines" is Kafka, MariaDB and Redis behind one bridge, real ones on the same two cores; "topic" is \`UPSTREAM=topic\`.

${table(head, rows)}`;
}

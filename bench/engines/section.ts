/** The page's section about the other engines. */
import type { AckResult } from "../load/acks.ts";
import type { Plan } from "../plan.ts";
import type { Series } from "../series.ts";
import { figureOf, ratiosOf } from "../stats.ts";
import { cores, number, show, table } from "../table.ts";
import { workloadOf } from "./measure.ts";
import { SETUPS, type SetupName } from "./setups.ts";

/** Times the messages of `direct` that one room is to take with `topic`. */
export const TOPIC_GOAL = 2;

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
      show(figureOf(runs(setup, "hot").map(workerdMs))),
      cores(runs(setup, "hot")),
    ];
  });
  const head = [
    "",
    "direct, 1 in flight: send → `sent`, P50, ms",
    "beside embedded",
    `${number(plan.hotSenders)} senders into one room: messages/s`,
    "beside the same engines without `topic`",
    "workerd, ms of processor a message",
    "cores then: workerd, client, all others",
  ];
  const rates = (setup: SetupName): number[] => runs(setup, "hot").map((run) => run.acksPerSecond);
  const isSlower = ratiosOf(rates("engines, topic"), rates("engines")).median < TOPIC_GOAL;
  return rows.length === 0
    ? ""
    : `"engines" is Kafka, MariaDB and Redis behind one bridge, real ones on the same two cores; "topic" is \`UPSTREAM=topic\`.

${table(head, rows)}${isSlower ? `\n\n${WHY_TOPIC_IS_NOT_FASTER}` : ""}`;
}

/** Processor time of workerd for each message that was acknowledged, milliseconds. */
function workerdMs({ load, acksPerSecond }: AckResult): number {
  return (load.server * 1_000) / acksPerSecond;
}

const WHY_TOPIC_IS_NOT_FASTER = `Twice the messages with \`topic\` was the aim, and it cannot be had here. What the bus would gain is that
a room gets many sends in one call; but sends into the world go through the shards of their users with \`direct\` as well, up to 256 in a call,
so the room is not what limits them. What limits both is the one thread that workerd has here, and most of a message's time on it
is the sender's own object: it wakes for the frame, for the answer of its shard, and with \`topic\` once more for what became of the send, and it
acknowledges twice. The column of processor time a message shows the difference. \`topic\` is for having every send in Kafka before
anything else happens to it, not for speed.`;

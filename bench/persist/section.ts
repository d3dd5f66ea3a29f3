/** The page's section about messages on their way into SQL. */
import type { PersistPlan } from "../plan.ts";
import type { Series } from "../series.ts";
import { cores, number, ourFigure, table } from "../table.ts";
import { SQL_ENGINES } from "./engines.ts";
import type { PersistResult } from "./persist.ts";

const US_PER_S = 1_000_000;

/** The section; empty when nothing was measured. */
export function intoSql(persist: Series<PersistResult>, plan: PersistPlan): string {
  const rows = SQL_ENGINES.map((engine) => ({ engine, chosen: persist.chosen(engine) }))
    .filter(({ chosen }) => chosen.ours.length > 0)
    .map(({ engine, chosen }) => {
      const cost = (core: keyof PersistResult["cores"]): string =>
        ourFigure(chosen, (run) => (run.cores[core] / run.messagesPerSecond) * US_PER_S);
      return [
        engine === "D1" ? "D1" : "MariaDB behind the bridge",
        ourFigure(chosen, (run) => run.messagesPerSecond),
        ourFigure(chosen, (run) => run.messages / run.batches),
        cost("worker"),
        cost("bridge"),
        cost("database"),
        cores(chosen.ours),
      ];
    });
  const head = [
    "",
    "messages/s",
    "messages a batch",
    "Worker, µs of processor a message",
    "bridge",
    "database",
    "cores: those three, client, others",
  ];
  return rows.length === 0
    ? ""
    : `${number(plan.messages)} messages wait in the logs of ${number(plan.rooms)} rooms, as after an outage of SQL, and are let through.

${table(head, rows)}`;
}

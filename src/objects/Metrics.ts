/**
 * The sums of what all isolates report. Totals are durable, and idempotent: an isolate reports what it has counted since it began,
 * and only the growth is added. One write or two a report, never one a message.
 */
import { DurableObject } from "cloudflare:workers";
import { systemClock } from "../platform/clock.ts";
import { ObjectSchema } from "../platform/objectSchema.ts";
import type { MetricsRpc } from "../platform/rpc.ts";
import { addTo, growth, joinGauges, type IsolateReport } from "../telemetry/exposition.ts";
import type { Samples } from "../telemetry/meters.ts";
import { LARGEST_COUNTS } from "../telemetry/metrics.ts";

const MIGRATIONS = [
  `CREATE TABLE isolates (
     id TEXT PRIMARY KEY, seen_at INTEGER NOT NULL, totals TEXT NOT NULL, gauges TEXT NOT NULL
   ) WITHOUT ROWID;
   CREATE TABLE sums (id INTEGER PRIMARY KEY, totals TEXT NOT NULL);`,
];

/** How things stand is believed so long; an isolate with open sockets reports at least with each renewal of a lease (2 minutes). */
const GAUGES_LIFE_MS = 5 * 60_000;
/** An isolate that was silent so long does not come back: its totals stand in the sums. */
const ISOLATE_LIFE_MS = 24 * 3_600_000;

type IsolateRow = { totals: string; gauges: string };

export class Metrics extends DurableObject<Env> implements MetricsRpc {
  readonly #sql: SqlStorage;
  #sums: Samples;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    new ObjectSchema(ctx.storage, MIGRATIONS).ensure();
    this.#sql = ctx.storage.sql;
    const [row] = this.#sql.exec<{ totals: string }>("SELECT totals FROM sums").toArray();
    this.#sums = row === undefined ? {} : (JSON.parse(row.totals) as Samples);
  }

  report({ isolate, totals, gauges }: IsolateReport): Promise<void> {
    const now = systemClock.now();
    const sums = { ...this.#sums };
    this.ctx.storage.transactionSync(() => {
      const [known] = this.#sql.exec<IsolateRow>("SELECT totals, gauges FROM isolates WHERE id = ?", isolate).toArray();
      addTo(sums, growth(known === undefined ? {} : (JSON.parse(known.totals) as Samples), totals));
      this.#sql.exec(
        `INSERT INTO isolates (id, seen_at, totals, gauges) VALUES (?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, totals = excluded.totals, gauges = excluded.gauges`,
        isolate,
        now,
        JSON.stringify(totals),
        JSON.stringify(gauges),
      );
      if (known === undefined) {
        this.#sql.exec("DELETE FROM isolates WHERE seen_at < ?", now - ISOLATE_LIFE_MS);
      }
      this.#sql.exec(
        "INSERT INTO sums (id, totals) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET totals = excluded.totals",
        JSON.stringify(sums),
      );
    });
    this.#sums = sums;
    return Promise.resolve();
  }

  read(): Promise<{ totals: Samples; gauges: Samples; isolates: number }> {
    const rows = this.#sql
      .exec<IsolateRow>("SELECT totals, gauges FROM isolates WHERE seen_at >= ?", systemClock.now() - GAUGES_LIFE_MS)
      .toArray();
    const gauges = joinGauges(
      rows.map((row) => JSON.parse(row.gauges) as Samples),
      LARGEST_COUNTS,
    );
    return Promise.resolve({ totals: this.#sums, gauges, isolates: rows.length });
  }
}

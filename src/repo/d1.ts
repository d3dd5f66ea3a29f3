/**
 * D1 behind the interface of the repositories. D1 has no interactive transactions: what must be atomic is one `batch` whose
 * conditions stand inside the SQL.
 */
import { drizzle, type DrizzleD1Database } from "drizzle-orm/d1";
import * as tables from "../../schema/sqlite.ts";
import { d1Statements } from "./d1Rows.ts";
import { d1Dialect } from "./d1Dialect.ts";
import { affectedBy, type Database, type Freshness } from "./database.ts";
import { guarded } from "./failures.ts";

/** Opens a database on its binding. It holds no state; one a request is fine. */
export function d1Database(binding: D1Database): Database {
  const now = drizzle(binding);
  const at = (freshness: Freshness | undefined): DrizzleD1Database => (freshness === "recent" ? recent(binding) : now);
  return {
    tables,
    dialect: d1Dialect,
    query: (make, freshness) => guarded(() => make(at(freshness))),
    rows: (query, freshness) => guarded(() => at(freshness).all(query)),
    change: async (make) => affectedBy(await guarded(() => make(now))),
    queries: (make) => guarded(() => now.batch(make(now))),
    atomically: (make) => guarded(() => now.batch(make(now))),
    async applyRows(rows, limitMs) {
      const [first, ...rest] = d1Statements(now, rows);
      if (first !== undefined) {
        await guarded(() => now.batch([first, ...rest]), limitMs);
      }
    },
  };
}

/** A session may be answered by the nearest replica. Drizzle asks it only for what sessions have too: `prepare` and `batch`. */
function recent(binding: D1Database): DrizzleD1Database {
  return drizzle(binding.withSession("first-unconstrained") as unknown as D1Database);
}

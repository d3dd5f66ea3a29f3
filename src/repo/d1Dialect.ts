/** How SQLite, which D1 is, says what dialects say differently. */
import { sql } from "drizzle-orm";
import { messages } from "../../schema/sqlite.ts";
import type { Dialect } from "./database.ts";

/**
 * SQLite's words. Two things that Drizzle's D1 driver cannot do inside a `batch`: `db.run(sql)` with parameters (it has no statement to
 * bind them to), and a join of two tables with a column name in common (rows come back by name).
 */
export const d1Dialect: Dialect = {
  // One JSON parameter: D1 binds only 100 values.
  list: (values) => sql`(SELECT value FROM json_each(${JSON.stringify(values)}))`,
  greatest: (a, b) => sql`max(${a}, ${b})`,
  incoming: (column) => sql`excluded.${sql.identifier(column.name)}`,
  keepFirst: (insert, key) => insert.onConflictDoNothing({ target: [...key] }),
  upsert: (_table, insert, { key, set, where }) =>
    insert.onConflictDoUpdate({ target: key, set, ...(where === undefined ? {} : { setWhere: where }) }),
  mergeJson: (base, patch) => sql`json_patch(${base}, ${patch})`,
  jsonBoolean: (condition) => sql`json(CASE WHEN ${condition} THEN 'true' ELSE 'false' END)`,
  // `max` over a primary key prefix is one look-up.
  newest: (db, conversationIds) =>
    db.select().from(messages).where(sql`(${messages.conversationId}, ${messages.seqId}) IN (
      SELECT j.value, (SELECT max(m.seq_id) FROM messages m WHERE m.conversation_id = j.value)
      FROM json_each(${JSON.stringify(conversationIds)}) j)`),
};

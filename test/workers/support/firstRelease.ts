/** A room's tables as the first release left them: what wakes with these has to make the rest. */
const FIRST_TABLES = ["messages", "members", "outbox", "facts", "object_schema"];

/** Takes away everything that a later migration has made; the object has to be evicted afterwards. */
export function toFirstRelease({ sql }: DurableObjectStorage): void {
  const made = sql
    .exec<{ type: string; name: string; tbl_name: string }>(
      "SELECT type, name, tbl_name FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE '\\_%' ESCAPE '\\'",
    )
    .toArray();
  for (const { type, name, tbl_name: table } of made) {
    if (type === "table" && !FIRST_TABLES.includes(name)) {
      sql.exec(`DROP TABLE "${name}"`);
    } else if (type === "index" && FIRST_TABLES.includes(table) && name !== "messages_by_client") {
      sql.exec(`DROP INDEX "${name}"`);
    }
  }
  sql.exec("DELETE FROM object_schema");
  sql.exec("INSERT INTO object_schema (version) VALUES (1)");
}

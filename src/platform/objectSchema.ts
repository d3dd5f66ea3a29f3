/**
 * Numbered migrations of an object's own SQLite. A statement list that has been released is never
 * edited, only followed by another. (`PRAGMA user_version` is refused on the platform, so the
 * number stands in a table.)
 */
export function migrateObject(storage: DurableObjectStorage, migrations: readonly string[]): void {
  const sql = storage.sql;
  sql.exec("CREATE TABLE IF NOT EXISTS object_schema (version INTEGER NOT NULL)");
  const row = sql.exec("SELECT max(version) AS version FROM object_schema").toArray()[0];
  const current = typeof row?.["version"] === "number" ? row["version"] : 0;
  if (current >= migrations.length) {
    return;
  }
  storage.transactionSync(() => {
    for (const statements of migrations.slice(current)) {
      sql.exec(statements);
    }
    sql.exec("INSERT INTO object_schema (version) VALUES (?)", migrations.length);
  });
}

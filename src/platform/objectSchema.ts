/**
 * Numbered migrations of an object's own SQLite. A statement list that has been released is never
 * edited, only followed by another. (`PRAGMA user_version` is refused on the platform, so the
 * number stands in a table.)
 *
 * Tables are made with the first write, not with the first look: anybody may name a conversation
 * that does not exist, and an object that has stored nothing costs nothing.
 */
export class ObjectSchema {
  readonly #storage: DurableObjectStorage;
  readonly #migrations: readonly string[];
  #ready: boolean;

  constructor(storage: DurableObjectStorage, migrations: readonly string[]) {
    this.#storage = storage;
    this.#migrations = migrations;
    const found = storage.sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'object_schema'");
    this.#ready = found.toArray().length > 0;
    if (this.#ready) {
      this.#migrate();
    }
  }

  /** Are there tables to read from? */
  get ready(): boolean {
    return this.#ready;
  }

  /** Before a write: makes the tables of an object that has none. */
  ensure(): void {
    if (!this.#ready) {
      this.#storage.sql.exec("CREATE TABLE object_schema (version INTEGER NOT NULL)");
      this.#migrate();
      this.#ready = true;
    }
  }

  #migrate(): void {
    const { sql } = this.#storage;
    const row = sql.exec("SELECT max(version) AS version FROM object_schema").toArray()[0];
    const current = typeof row?.["version"] === "number" ? row["version"] : 0;
    if (current >= this.#migrations.length) {
      return;
    }
    this.#storage.transactionSync(() => {
      for (const statements of this.#migrations.slice(current)) {
        sql.exec(statements);
      }
      sql.exec("INSERT INTO object_schema (version) VALUES (?)", this.#migrations.length);
    });
  }
}

/**
 * One shard of the embedded cache. Everything lives in memory and may vanish when the object
 * sleeps, except presence: it is also in SQLite, since a user who is connected and quiet must stay
 * online while nobody asks.
 */
import { DurableObject } from "cloudflare:workers";
import { CACHE_KEYS } from "../cache/types.ts";
import { MemoryCache } from "../cache/memoryCache.ts";
import { systemClock } from "../platform/clock.ts";
import { GroupCommit } from "../platform/groupCommit.ts";
import { ObjectSchema } from "../platform/objectSchema.ts";
import type { CacheCommand, CacheReply, CacheRpc } from "../platform/rpc.ts";

const MIGRATIONS = [
  `CREATE TABLE entries (
     key TEXT PRIMARY KEY, value TEXT NOT NULL, expires_at INTEGER NOT NULL
   ) WITHOUT ROWID;`,
];

/** Of the isolate's 128 MB, which other objects share. Source: platform limits. */
const MAX_BYTES = 24 * 1024 * 1024;
const DURABLE_PREFIX = CACHE_KEYS.online("");

export class CacheStore extends DurableObject<Env> implements CacheRpc {
  readonly #cache: MemoryCache;
  readonly #commit: GroupCommit;
  /** What the running pipeline writes that has to survive. */
  #written: Promise<void>[] = [];

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    new ObjectSchema(ctx.storage, MIGRATIONS).ensure();
    const { sql } = ctx.storage;
    this.#commit = new GroupCommit(ctx.storage);
    this.#cache = new MemoryCache(MAX_BYTES, {
      holds: (key) => key.startsWith(DURABLE_PREFIX),
      put: (key, value, expiresAt) => {
        this.#write(
          `INSERT INTO entries (key, value, expires_at) VALUES (?, ?, ?)
           ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at`,
          key,
          value,
          Math.min(expiresAt, Number.MAX_SAFE_INTEGER),
        );
      },
      remove: (key) => this.#write("DELETE FROM entries WHERE key = ?", key),
    });
    sql.exec("DELETE FROM entries WHERE expires_at <= ?", systemClock.now());
    const rows = sql.exec<{ key: string; value: string; expires_at: number }>(
      "SELECT key, value, expires_at FROM entries",
    );
    for (const row of rows) {
      this.#cache.restore(row.key, row.value, row.expires_at);
    }
    // Presence is durable here, so what is absent has been absent for ever.
    this.#cache.restore(CACHE_KEYS.presenceSince, "0", Number.POSITIVE_INFINITY);
  }

  async pipeline(commands: CacheCommand[]): Promise<CacheReply[]> {
    const now = systemClock.now();
    const replies = commands.map((command) => this.#cache.run(command, now));
    // Its own writes only: others' reads do not wait for them.
    await Promise.all(this.#written.splice(0));
    return replies;
  }

  #write(statement: string, ...values: SqlStorageValue[]): void {
    this.#written.push(this.#commit.add(() => void this.ctx.storage.sql.exec(statement, ...values)));
  }
}

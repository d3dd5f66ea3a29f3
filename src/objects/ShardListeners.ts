/**
 * Users of a shard who are here without wanting the room's messages (they have unsubscribed, or read it on a socket of its own):
 * an announcement to everyone is for them as well.
 */
import { sessionOf } from "../platform/stubs.ts";
import { describeError, log } from "../telemetry/log.ts";

/** Calls to sessions in the air at one time. */
const SLICE = 100;

/** The table of FanoutShard's second migration. */
export const LISTENERS_TABLE = "CREATE TABLE listeners (user_id TEXT PRIMARY KEY) WITHOUT ROWID;";

export class ShardListeners {
  readonly #sql: SqlStorage;
  readonly #env: Env;
  readonly #users: Set<string>;

  constructor(sql: SqlStorage, env: Env) {
    this.#sql = sql;
    this.#env = env;
    this.#users = new Set(
      sql
        .exec<{ user_id: string }>("SELECT user_id FROM listeners")
        .toArray()
        .map((row) => row.user_id),
    );
  }

  /** Writes only what changes: most users never listen without reading. */
  set(userId: string, listens: boolean): void {
    if (listens === this.#users.has(userId)) {
      return;
    }
    if (listens) {
      this.#users.add(userId);
      this.#sql.exec("INSERT OR IGNORE INTO listeners (user_id) VALUES (?)", userId);
    } else {
      this.#users.delete(userId);
      this.#sql.exec("DELETE FROM listeners WHERE user_id = ?", userId);
    }
  }

  /**
   * A frame for every user of the shard, the readers and those who only listen; each session is called once.
   * @returns how many sockets took it. Whoever was not reached is named in the log and will not be called again for it
   */
  async announce(frame: string, readers: readonly string[]): Promise<number> {
    const userIds = [...readers, ...this.#users];
    let sockets = 0;
    for (let at = 0; at < userIds.length; at += SLICE) {
      const taken = await Promise.all(userIds.slice(at, at + SLICE).map((userId) => this.#deliver(userId, frame)));
      sockets += taken.reduce((sum, count) => sum + count, 0);
    }
    return sockets;
  }

  async #deliver(userId: string, frame: string): Promise<number> {
    try {
      const taken = await sessionOf(this.#env, userId).deliver([frame]);
      if (taken === 0) {
        // Gone without a word; who comes back says so.
        this.set(userId, false);
      }
      return taken;
    } catch (error) {
      log("warn", "an announcement did not reach a user", { userId, error: describeError(error) });
      return 0;
    }
  }
}

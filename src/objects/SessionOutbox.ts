/** What a user's changes left in the SQL outbox: published again, from the user's alarm, until none of it is left. */
import { publishOutbox } from "../queues/sqlOutbox.ts";
import { describeError, log } from "../telemetry/log.ts";
import type { SessionSqlStore } from "./SessionSqlStore.ts";

/** Rows that nobody confirmed are published again after this time. */
const OUTBOX_RETRY_MS = 5_000;

type Parts = {
  env: Env;
  userId: string;
  store: SessionSqlStore;
  /** Wakes the session after so long at the latest. */
  armAlarm(inMs: number): Promise<void>;
};

export class SessionOutbox {
  readonly #parts: Parts;
  /** How often somebody was about to write rows. */
  #asked = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Before rows are written: whatever happens to the writer, the alarm looks for them. */
  async watch(): Promise<void> {
    const { store, armAlarm } = this.#parts;
    this.#asked += 1;
    store.transaction(() => store.saveFact("outboxWatch", true));
    await armAlarm(OUTBOX_RETRY_MS);
  }

  /** From the alarm. */
  async check(): Promise<void> {
    const { env, userId, store, armAlarm } = this.#parts;
    if (store.fact("outboxWatch") !== true) {
      return;
    }
    const asked = this.#asked;
    try {
      const left = await publishOutbox(env, userId);
      // Asked for again while we looked: those rows may have come after the look.
      if (left === 0 && asked === this.#asked) {
        store.transaction(() => store.saveFact("outboxWatch", false));
        return;
      }
    } catch (error) {
      log("warn", "SQL outbox not read", { userId, error: describeError(error) });
    }
    await armAlarm(OUTBOX_RETRY_MS);
  }
}

/** How far a user has read the world room: its pointers live in the users' objects, since everybody is in it by rule. */
import { WORLD_ROOM_ID } from "../domain/records.ts";
import { roomOf, type ObjectEnv } from "../platform/stubs.ts";
import { describeError, log } from "../telemetry/log.ts";
import type { SessionSqlStore } from "./SessionSqlStore.ts";

export class WorldPointer {
  readonly #env: ObjectEnv;
  readonly #store: SessionSqlStore;

  constructor(env: ObjectEnv, store: SessionSqlStore) {
    this.#env = env;
    this.#store = store;
  }

  /** Last sequence read, 0 before the first. */
  get seqId(): number {
    return this.#store.fact("worldReadSeqId") ?? 0;
  }

  /** Forward only, and never past the head; answers where it stands. */
  moveTo(seqId: number, headSeqId: number): number {
    const before = this.seqId;
    const next = Math.max(before, Math.min(seqId, headSeqId));
    if (next > before) {
      this.#store.transaction(() => this.#store.saveFact("worldReadSeqId", next));
    }
    return next;
  }

  /** With the first sign-in: what was said before an account was made is not unread to it, as for a new member of a group. */
  async begin(userId: string): Promise<void> {
    try {
      const { headSeqId } = await roomOf(this.#env, WORLD_ROOM_ID).readLog(0, 0);
      this.moveTo(headSeqId, headSeqId);
    } catch (error) {
      // No reason to refuse an account: the world is shown as unread from its beginning.
      log("warn", "the world's head is not known", { userId, error: describeError(error) });
    }
  }
}

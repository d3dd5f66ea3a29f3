/** Takes changed messages out of the cache of a room's newest messages, before their change is answered. */
import { CACHE_KEYS, type Cache } from "../cache/types.ts";
import { changedSeqIds } from "../domain/changeNotices.ts";
import type { RoomRecord } from "../domain/records.ts";

/** A cache that hangs must not hold up a recall for longer; the fan-out's notice takes the entry out again. */
const WAIT_MS = 250;

export class HotPurge {
  readonly #cache: Cache;
  readonly #key: string;
  /** Pipelines that may still bring an old form. */
  readonly #inAir = new Set<Promise<unknown>>();

  constructor(cache: Cache, conversationId: string) {
    this.#cache = cache;
    this.#key = CACHE_KEYS.hotMessages(conversationId);
  }

  /** A pipeline with messages has left. */
  left(pipeline: Promise<unknown>): void {
    this.#inAir.add(pipeline);
    const landed = (): void => void this.#inAir.delete(pipeline);
    pipeline.then(landed, landed);
  }

  /** Comes back when the messages of these records are out, or the cache does not answer. Never throws. */
  async purge(records: readonly RoomRecord[]): Promise<void> {
    const seqIds = changedSeqIds(records);
    if (seqIds.length === 0) {
      return;
    }
    const done = this.#removeAll(seqIds, [...this.#inAir]);
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, WAIT_MS);
    await Promise.race([done, late]);
    clearTimeout(timer);
  }

  /** What is on its way may land in between: what it brought goes as well. */
  async #removeAll(seqIds: readonly number[], earlier: readonly Promise<unknown>[]): Promise<void> {
    await this.#remove(seqIds);
    if (earlier.length > 0) {
      await Promise.allSettled(earlier);
      await this.#remove(seqIds);
    }
  }

  async #remove(seqIds: readonly number[]): Promise<void> {
    try {
      await this.#cache.pipeline(seqIds.map((seqId) => ["ZREMRANGEBYSCORE", this.#key, seqId, seqId]));
    } catch {
      // The notice to the readers does it again, until the cache answers.
    }
  }
}

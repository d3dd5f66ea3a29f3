/**
 * News about messages that a big room's readers may have already, gathered for a while: of edits and reactions to one message
 * the last is enough, and a busy room must not cost each reader a frame for every tap. Recalls and edits all get through.
 */

/** Not in the contract: half a second late is soon enough for a reaction. */
export const NOTES_WINDOW_MS = 500;
/** Reactions in one window; the longest known leave first. Their counts are absolute, so the next one mends them. */
export const NOTES_LIMIT = 50;

/** `key`: of two notes with the same key that of the higher `version` is enough; queues bring them in any order. */
export type Note<Frame = string> = { key: string; version: number; frame: Frame; isReaction: boolean };

export class ShardNotes<Frame = string> {
  #waiting = new Map<string, Note<Frame>>();

  /** True when a window begins with it: the caller takes it when its time has come. */
  add(note: Note<Frame>): boolean {
    const begins = this.#waiting.size === 0;
    if ((this.#waiting.get(note.key)?.version ?? -1) > note.version) {
      return false;
    }
    this.#waiting.delete(note.key);
    this.#waiting.set(note.key, note);
    const reactions = [...this.#waiting.values()].filter((one) => one.isReaction);
    const oldest = reactions[0];
    if (reactions.length > NOTES_LIMIT && oldest !== undefined) {
      this.#waiting.delete(oldest.key);
    }
    return begins;
  }

  /** Everything that has gathered, in the order in which it last changed. */
  take(): Frame[] {
    const frames = [...this.#waiting.values()].map((note) => note.frame);
    this.#waiting = new Map();
    return frames;
  }
}

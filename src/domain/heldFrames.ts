/**
 * Frames for whoever of a small room is here (typing), which wait until it is known who that is. Nothing of them is kept, and
 * what is too much is dropped without a word.
 */
import type { ServerFrame } from "../protocol/frames.ts";
import type { RoomEffect } from "./roomEffects.ts";

/** With more members here nobody is told: it could not be read. Not in the contract. */
export const TYPING_READERS = 100;
/** Senders whose frames wait at one time: what they would see of each other could not be read either. */
const HELD_LIMIT = TYPING_READERS;
/** Who is here is asked for at most once in this time, however many type. As long as a sender waits between two of them. */
const LOOK_PAUSE_MS = 2_000;

export class HeldFrames {
  /** By sender: the newest says it all. */
  readonly #frames = new Map<string, ServerFrame>();
  #lookNotBefore = 0;

  hold(from: string, frame: ServerFrame): void {
    if (this.#frames.size < HELD_LIMIT) {
      this.#frames.set(from, frame);
    }
  }

  /** Whether it may be asked now who is here; then not again for a while. */
  look(now: number): boolean {
    const may = now >= this.#lookNotBefore;
    this.#lookNotBefore = may ? now + LOOK_PAUSE_MS : this.#lookNotBefore;
    return may;
  }

  /** All that wait, for those who are here. */
  release(here: readonly string[]): RoomEffect[] {
    const pushes = [...this.#frames].flatMap(([from, frame]) => {
      const others = here.filter((userId) => userId !== from);
      return others.length > TYPING_READERS
        ? []
        : others.map((userId): RoomEffect => ({ kind: "push", userId, frames: [frame] }));
    });
    this.#frames.clear();
    return pushes;
  }
}

/** Collects what one step wants done. */
import type { ClientEffect, ClientEvent, ClientFrame } from "./types.ts";
import { SESSION_LINK } from "./types.ts";

/** Most steps of a busy client want nothing: they share one list. */
const NOTHING: readonly ClientEffect[] = Object.freeze([]);

export class Effects {
  #list: ClientEffect[] = [];
  #armedAt = Infinity;

  push(effect: ClientEffect): void {
    this.#list.push(effect);
  }

  emit(event: ClientEvent): void {
    this.#list.push({ kind: "emit", event });
  }

  /** To the user's own socket. */
  send(frame: ClientFrame): void {
    this.#list.push({ kind: "frame", link: SESSION_LINK, frame });
  }

  /** Asks for a call of `timer` at this time, unless an earlier one is already asked for. */
  arm(at: number): void {
    if (at < this.#armedAt) {
      this.#armedAt = at;
      this.#list.push({ kind: "timer", at });
    }
  }

  /** The timer has been called: nothing is asked for any more. */
  disarm(): void {
    this.#armedAt = Infinity;
  }

  take(): readonly ClientEffect[] {
    if (this.#list.length === 0) {
      return NOTHING;
    }
    const taken = this.#list;
    this.#list = [];
    return taken;
  }
}

/** Notifications that a user must see once: shown to the sockets that are open, else kept for the first one. */
import { keep, NO_NOTICES, take, type Notice } from "../domain/notices.ts";
import { sendFrames } from "../platform/sockets.ts";
import type { SessionSockets } from "./SessionSockets.ts";
import type { SessionSqlStore } from "./SessionSqlStore.ts";

export class SessionNotices {
  readonly #store: SessionSqlStore;
  readonly #sockets: SessionSockets;

  constructor(store: SessionSqlStore, sockets: SessionSockets) {
    this.#store = store;
    this.#sockets = sockets;
  }

  /** An event that was told before changes nothing. */
  notify(notice: Notice): void {
    const next = keep(this.#store.fact("notices") ?? NO_NOTICES, notice);
    if (next === undefined) {
      return;
    }
    this.#store.transaction(() => this.#store.saveFact("notices", next));
    this.show(this.#sockets.open());
  }

  /** What has waited goes to these sockets, if there are any. What leaves waits for the write before it (output gate). */
  show(sockets: readonly WebSocket[]): void {
    const notices = this.#store.fact("notices");
    if (sockets.length === 0 || notices === undefined || notices.waiting.length === 0) {
      return;
    }
    const { frames, left } = take(notices);
    this.#store.transaction(() => this.#store.saveFact("notices", left));
    sendFrames(sockets, frames);
  }
}

/** Counts what a socket sent that cannot be used; too much in a while closes it. In memory: who sends rubbish keeps us awake. */
import { systemClock } from "../platform/clock.ts";
import { closeSocket } from "../platform/sockets.ts";

/** In this time so many bad frames are borne. Source: WIRE "Frames". */
const WINDOW_MS = 10_000;

export class BadFrames {
  readonly #limit: number;
  readonly #recent = new WeakMap<WebSocket, number[]>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  count(socket: WebSocket): void {
    const now = systemClock.now();
    const recent = (this.#recent.get(socket) ?? []).filter((at) => at > now - WINDOW_MS);
    recent.push(now);
    this.#recent.set(socket, recent);
    if (recent.length > this.#limit) {
      closeSocket(socket, "INVALID_INPUT");
    }
  }
}

/** The user's own socket and those of watched rooms: what state the client is in, and what it does about it. */
import type { Effects } from "./effects.ts";
import { Link } from "./link.ts";
import { CLOSE_ABNORMAL } from "./reconnect.ts";
import { Rooms } from "./rooms.ts";
import { SESSION_LINK, type ConnectionState, type StateReason } from "./types.ts";

export class Connection {
  readonly #out: Effects;
  readonly #main: Link;
  readonly rooms: Rooms;
  readonly #lost: (now: number) => void;
  #state: ConnectionState = "idle";
  /** A RATE_LIMITED error often comes right before the close that it explains. */
  #retryAfterMs: number | undefined;

  /** @param lost called whenever a connection that may have been used is gone. */
  constructor(
    random: () => number,
    out: Effects,
    cursor: (conversationId: string) => number | undefined,
    lost: (now: number) => void,
  ) {
    this.#out = out;
    this.#main = new Link(SESSION_LINK, random);
    this.rooms = new Rooms(random, out, cursor);
    this.#lost = lost;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  get isReady(): boolean {
    return this.#main.phase === "ready";
  }

  /** Undefined for a link that wants no socket: what it says is of no interest. */
  link(name: string): Link | undefined {
    const link = name === SESSION_LINK ? this.#main : this.rooms.link(name);
    return link === undefined || link.phase === "off" ? undefined : link;
  }

  connect(now: number): void {
    if (this.#main.phase === "off") {
      this.#setState("connecting");
      this.#open(now);
    }
  }

  disconnect(now: number): void {
    this.#stop(now, "closed by the client");
    this.#setState("idle");
  }

  retryNow(now: number): void {
    if (this.#main.phase === "waiting") {
      this.#open(now);
    }
  }

  opened(name: string, now: number): void {
    const link = this.link(name);
    if (link?.phase === "opening") {
      link.opened(now);
    }
  }

  /** `connected` came. */
  ready(heartbeatMs: number, now: number): void {
    this.#main.ready(now, heartbeatMs, this.#out);
    this.#out.arm(this.#main.nextDueAt());
    this.#retryAfterMs = undefined;
    this.#setState("online");
    this.rooms.mainReady(now);
  }

  synced(): void {
    this.#main.synced();
  }

  /** The server asked for patience; it may be about to close. */
  rateLimited(retryAfterMs: number | undefined): void {
    this.#retryAfterMs = retryAfterMs;
  }

  closed(name: string, code: number, now: number, retryAfterMs: number | undefined): void {
    if (name === SESSION_LINK) {
      this.#mainClosed(code, now, retryAfterMs ?? this.#retryAfterMs, "closed");
    } else if (this.rooms.closed(name, code, now, retryAfterMs, this.isReady) === "needs-auth") {
      this.signedOut(now);
    }
  }

  tokenRefreshed(now: number): void {
    if (this.#main.tokenRefreshed()) {
      this.#open(now);
    }
    this.rooms.tokenRefreshed(now);
  }

  tokenUnavailable(now: number): void {
    if (this.#main.tokenUnavailable(now)) {
      this.#out.arm(this.#main.retryAt);
    }
    this.rooms.tokenUnavailable(now);
  }

  signedOut(now: number): void {
    this.#stop(now, "unauthenticated");
    this.#setState("needs-auth", "unauthenticated");
  }

  timer(now: number): void {
    const due = this.#main.due(now, this.#out);
    if (due === "open") {
      this.#open(now);
    } else if (due !== undefined) {
      this.#out.push({ kind: "close", link: SESSION_LINK, code: 1000, reason: due });
      this.#mainClosed(CLOSE_ABNORMAL, now, undefined, due);
    }
    this.rooms.timer(now, this.isReady);
  }

  nextDueAt(): number {
    return Math.min(this.#main.nextDueAt(), this.rooms.nextDueAt());
  }

  #open(now: number): void {
    this.#main.open(now, this.#out);
    this.#out.arm(this.#main.nextDueAt());
  }

  #mainClosed(code: number, now: number, retryAfterMs: number | undefined, why: StateReason): void {
    if (!this.#main.hasSocket) {
      return;
    }
    this.#retryAfterMs = undefined;
    const next = this.#main.closed(code, now, retryAfterMs, this.#out);
    this.#lost(now);
    switch (next) {
      case "waiting":
        this.#out.arm(this.#main.retryAt);
        this.#setState("reconnecting", why, this.#main.retryAt);
        break;
      case "refreshing":
        this.#setState("reconnecting", "unauthenticated");
        break;
      case "needs-auth":
        this.signedOut(now);
        break;
      case "banned":
      case "session-replaced":
        this.#stop(now, next);
        this.#setState("stopped", next);
        break;
    }
  }

  #stop(now: number, reason: string): void {
    const used = this.#main.hasSocket;
    this.#main.stop(this.#out, reason);
    this.rooms.stopAll(reason);
    if (used) {
      this.#lost(now);
    }
  }

  #setState(state: ConnectionState, reason?: StateReason, retryAt?: number): void {
    if (state === this.#state && retryAt === undefined) {
      return;
    }
    this.#state = state;
    this.#out.emit({
      type: "state",
      state,
      ...(reason === undefined ? {} : { reason }),
      ...(retryAt === undefined ? {} : { retryAt }),
    });
  }
}

/**
 * One socket's life: open, hear the first frame, ping, notice death, wait, open again. Used for the user's own socket
 * and for each room socket.
 */
import type { Effects } from "./effects.ts";
import type { ClientFrame } from "./types.ts";
import { CONNECT_TIMEOUT_MS, HEARTBEAT_DEFAULT_MS, PONG_GRACE_MS, STABLE_AFTER_MS } from "./limits.ts";
import { afterClose, CLOSE_ABNORMAL, retryDelayMs } from "./reconnect.ts";

/** Answered by the server without waking the object, so it must be exactly this text. */
const PING: ClientFrame = { type: "ping" };

/** Ask whether the token is good after the second refused upgrade, and now and then after that. */
const SUSPECT_EVERY = 8;
const SUSPECT_AT = 2;

export type LinkPhase =
  /** Wants no socket. */
  | "off"
  /** Until `retryAt`. */
  | "waiting"
  /** Until the adapter has a new access token. */
  | "refreshing"
  /** Asked for a socket. */
  | "opening"
  /** Open; the server's first frame is to come. */
  | "open"
  | "ready";

/** What became of a closed link. */
export type Closed = "waiting" | "refreshing" | "needs-auth" | "banned" | "session-replaced";

export class Link {
  readonly name: string;
  readonly #random: () => number;
  phase: LinkPhase = "off";
  retryAt = Infinity;
  /** Connections lost or refused since the last one that finished its sync and lived for 5 s. */
  #failures = 0;
  /** Upgrades refused in a row without a close frame. */
  #refusals = 0;
  /** A token was refreshed for this link and has not been accepted yet: a second refusal means sign in. */
  #refreshed = false;
  #synced = false;
  #openedAt = 0;
  #lastHeardAt = 0;
  #deadlineAt = Infinity;
  #pingAt = Infinity;
  #heartbeatMs = HEARTBEAT_DEFAULT_MS;

  constructor(name: string, random: () => number) {
    this.name = name;
    this.#random = random;
  }

  /** Asks for a socket now, whatever the link was waiting for. */
  open(now: number, out: Effects, since?: number): void {
    this.phase = "opening";
    this.retryAt = Infinity;
    this.#synced = false;
    this.#deadlineAt = now + CONNECT_TIMEOUT_MS;
    out.push(since === undefined ? { kind: "open", link: this.name } : { kind: "open", link: this.name, since });
  }

  opened(now: number): void {
    this.phase = "open";
    this.#openedAt = now;
    this.#lastHeardAt = now;
    this.#refusals = 0;
  }

  /**
   * The server's first frame came: the link may be used. It pings at once, since a room's socket is otherwise silent until its first
   * heartbeat: a server misses a client that pinged and stopped much sooner than one that never did, and workerd ends the
   * connection of a socket that it closes ten seconds late when no text frame ever came.
   */
  ready(now: number, heartbeatMs: number | undefined, out: Effects): void {
    if (this.phase !== "ready") {
      out.push({ kind: "frame", link: this.name, frame: PING });
    }
    this.phase = "ready";
    this.#refreshed = false;
    this.#heartbeatMs = heartbeatMs ?? HEARTBEAT_DEFAULT_MS;
    this.#deadlineAt = Infinity;
    this.#pingAt = now + this.#heartbeatMs;
    this.#lastHeardAt = now;
  }

  /** Anything at all was heard. */
  heard(now: number): void {
    this.#lastHeardAt = now;
  }

  /** Sync (or the room's first frame) is done: together with 5 s of life this ends the back-off. */
  synced(): void {
    this.#synced = true;
  }

  /** A socket was asked for or is there. */
  get hasSocket(): boolean {
    return this.phase === "opening" || this.phase === "open" || this.phase === "ready";
  }

  stop(out: Effects, reason: string): void {
    const hadSocket = this.hasSocket;
    this.#off();
    this.#failures = 0;
    this.#refusals = 0;
    this.#refreshed = false;
    if (hadSocket) {
      out.push({ kind: "close", link: this.name, code: 1000, reason });
    }
  }

  closed(code: number, now: number, retryAfterMs: number | undefined, out: Effects): Closed {
    const neverOpened = this.phase === "opening";
    if (this.#synced && now - this.#openedAt >= STABLE_AFTER_MS) {
      this.#failures = 0;
    }
    this.#off();
    const next = afterClose(code, this.#failures, this.#random, retryAfterMs);
    this.#failures += 1;
    switch (next.kind) {
      case "stop":
        return next.reason;
      case "refresh":
        if (this.#refreshed) {
          this.#refreshed = false;
          return "needs-auth";
        }
        this.phase = "refreshing";
        out.push({ kind: "refreshToken", why: "rejected" });
        return "refreshing";
      case "retry":
        if (neverOpened && code === CLOSE_ABNORMAL) {
          this.#refusals += 1;
          if (this.#refusals % SUSPECT_EVERY === SUSPECT_AT) {
            out.push({ kind: "refreshToken", why: "suspected" });
          }
        }
        this.phase = "waiting";
        this.retryAt = now + next.afterMs;
        return "waiting";
    }
  }

  /** A new token is there: true when this link was waiting for it and should open now. */
  tokenRefreshed(): boolean {
    if (this.phase !== "refreshing") {
      return false;
    }
    this.#refreshed = true;
    return true;
  }

  /** The token could not be refreshed for now: true when this link waits and tries again. */
  tokenUnavailable(now: number): boolean {
    if (this.phase !== "refreshing") {
      return false;
    }
    this.phase = "waiting";
    this.retryAt = now + retryDelayMs(this.#failures, this.#random);
    return true;
  }

  /** Pings, or says what has run out. The caller closes on `"timeout"` and `"heartbeat"`, opens on `"open"`. */
  due(now: number, out: Effects): "open" | "timeout" | "heartbeat" | undefined {
    if (this.phase === "waiting") {
      return now >= this.retryAt ? "open" : undefined;
    }
    if (now >= this.#deadlineAt) {
      return "timeout";
    }
    if (this.phase !== "ready") {
      return undefined;
    }
    if (now >= this.#deadAt()) {
      return "heartbeat";
    }
    if (now >= this.#pingAt) {
      this.#pingAt = now + this.#heartbeatMs;
      out.push({ kind: "frame", link: this.name, frame: PING });
    }
    return undefined;
  }

  nextDueAt(): number {
    if (this.phase === "waiting") {
      return this.retryAt;
    }
    return this.phase === "ready" ? Math.min(this.#pingAt, this.#deadAt()) : this.#deadlineAt;
  }

  /** A ping and its grace have passed in silence. */
  #deadAt(): number {
    return this.#lastHeardAt + this.#heartbeatMs + PONG_GRACE_MS;
  }

  #off(): void {
    this.phase = "off";
    this.retryAt = Infinity;
    this.#synced = false;
    this.#deadlineAt = Infinity;
    this.#pingAt = Infinity;
  }
}

/**
 * Runs the core on real sockets, timers and requests: carries its effects out in order and gives it back what comes of
 * them. All decisions are the core's.
 */
import { SESSION_LINK, type ClientCore, type ClientEffect, type ClientEvent, type Steps } from "./core/index.ts";
import { ChatError } from "./errors.ts";
import type { ClientClock, Logger, SocketConstructor, SocketLike } from "./options.ts";
import type { List, Message, ServerFrame } from "./protocol.ts";
import type { Rest } from "./rest.ts";

const SUBPROTOCOL = "gochat.v1";
const TOKEN_PREFIX = "gochat.bearer.";
const OPEN = 1;
/** The longest wait that timers can count; the core only asks again. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export type DriverPorts = {
  core: ClientCore;
  rest: Rest;
  /** `ws://…` of the server. */
  socketUrl: string;
  WebSocket: SocketConstructor;
  clock: ClientClock;
  logger: Logger;
  event(event: ClientEvent): void;
  /** After each step, when all that it wanted is done or on its way. */
  settled(): void;
};

export class Driver {
  readonly #ports: DriverPorts;
  readonly #sockets = new Map<string, SocketLike>();
  /** Grows with each wish for a socket of a link: what an older one brings is not heard. */
  readonly #generations = new Map<string, number>();
  readonly #effects: ClientEffect[] = [];
  #running = false;
  #timer: unknown;
  #timerAt = Infinity;
  #timerKeepsAlive = false;

  constructor(ports: DriverPorts) {
    this.#ports = ports;
  }

  /** One step of the core. What an effect leads to is queued behind the effects before it. */
  step(step: (core: ClientCore, now: number) => Steps): void {
    const { core, clock, settled } = this.#ports;
    for (const effect of step(core, clock.now())) {
      this.#effects.push(effect);
    }
    if (this.#running) {
      return;
    }
    this.#running = true;
    try {
      // By index, not by shift: a page of history is thousands of effects, and each may add more.
      for (let i = 0; i < this.#effects.length; i++) {
        const effect = this.#effects[i];
        if (effect !== undefined) {
          this.#carryOut(effect);
        }
      }
    } finally {
      this.#effects.length = 0;
      this.#running = false;
    }
    if (this.#timer !== undefined && this.#timerKeepsAlive !== this.#wantsToLive) {
      this.#setTimer();
    }
    settled();
  }

  /** Nothing happens any more. */
  stop(): void {
    if (this.#timer !== undefined) {
      this.#ports.clock.clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    // What is pending would ask for its timer again: nobody listens to it.
    this.#timerAt = -Infinity;
  }

  #carryOut(effect: ClientEffect): void {
    switch (effect.kind) {
      case "emit":
        return this.#ports.event(effect.event);
      case "frame":
        return this.#send(effect.link, effect.frame);
      case "timer":
        return this.#arm(effect.at);
      case "open":
        return void this.#open(effect.link, effect.since);
      case "close":
        return this.#drop(effect.link, effect.code, effect.reason);
      case "loadHistory":
        return void this.#loadHistory(effect.conversationId, effect.after, effect.limit);
      case "refreshToken":
        return void (effect.why === "rejected" ? this.#refreshToken() : this.#checkSignIn());
    }
  }

  // ---- sockets

  async #open(link: string, since: number | undefined): Promise<void> {
    this.#drop(link, 1000, "replaced");
    const generation = this.#generations.get(link) ?? 0;
    const { rest, socketUrl, WebSocket } = this.#ports;
    let token = rest.tokens.fresh;
    if (token === undefined) {
      try {
        token = (await rest.tokens.refresh(undefined)).accessToken;
      } catch (error) {
        if (this.#generations.get(link) === generation) {
          this.#unreachable(link, error);
        }
        return;
      }
      if (this.#generations.get(link) !== generation) {
        return;
      }
    }
    const path = link === SESSION_LINK ? "/ws" : `/ws/rooms/${encodeURIComponent(link)}`;
    const query = since === undefined ? "" : `?since=${since}`;
    const socket = new WebSocket(socketUrl + path + query, [SUBPROTOCOL, TOKEN_PREFIX + token]);
    this.#sockets.set(link, socket);
    const current = (): boolean => this.#generations.get(link) === generation;
    let isOpen = false;
    const ended = (code: number): void => {
      if (current() && this.#sockets.get(link) === socket) {
        this.#sockets.delete(link);
        this.step((core, now) => core.socketClosed(link, code, now));
      }
    };
    socket.addEventListener("open", () => {
      isOpen = true;
      if (current()) {
        this.step((core, now) => core.socketOpened(link, now));
      }
    });
    socket.addEventListener("message", (event) => {
      if (current()) {
        this.#received(link, event.data);
      }
    });
    socket.addEventListener("close", (event) => ended(event.code));
    socket.addEventListener("error", () => {
      // The close event that follows an open socket says all that can be known. Node 22 has none for a server that is not there.
      if (!isOpen) {
        ended(ABNORMAL);
      }
    });
  }

  /** No socket without a token. A dead session has told the core itself. */
  #unreachable(link: string, error: unknown): void {
    const signedOut = error instanceof ChatError && error.name === "NOT_SIGNED_IN";
    this.step((core, now) => (signedOut ? core.authFailed(now) : core.socketClosed(link, ABNORMAL, now)));
  }

  #received(link: string, data: unknown): void {
    let frame: ServerFrame;
    try {
      // The server's schemas are the contract; frames of a type not known here are passed on as they are.
      frame = JSON.parse(String(data)) as ServerFrame;
    } catch (error) {
      this.#ports.logger.warn("a frame could not be read", error);
      return;
    }
    this.step((core, now) => core.frame(link, frame, now));
  }

  #send(link: string, frame: object): void {
    const socket = this.#sockets.get(link);
    // What cannot be sent is sent again by the core, once it has heard of the close.
    if (socket?.readyState === OPEN) {
      socket.send(JSON.stringify(frame));
    }
  }

  #drop(link: string, code: number, reason: string): void {
    this.#generations.set(link, (this.#generations.get(link) ?? 0) + 1);
    const socket = this.#sockets.get(link);
    this.#sockets.delete(link);
    try {
      socket?.close(code, reason);
    } catch (error) {
      this.#ports.logger.warn("a socket could not be closed", error);
    }
  }

  // ---- time

  #arm(at: number): void {
    if (at < this.#timerAt) {
      this.#timerAt = at;
      this.#setTimer();
    }
  }

  #setTimer(): void {
    const { clock } = this.#ports;
    if (this.#timer !== undefined) {
      clock.clearTimeout(this.#timer);
    }
    this.#timerKeepsAlive = this.#wantsToLive;
    const ms = Math.min(LONGEST_TIMER_MS, Math.max(0, this.#timerAt - clock.now()));
    this.#timer = clock.setTimeout(() => this.#due(), ms, this.#timerKeepsAlive);
  }

  /** Between two connections there is no socket that would keep the process alive, and a connection is wanted. */
  get #wantsToLive(): boolean {
    const { state } = this.#ports.core;
    return state === "reconnecting" || state === "connecting";
  }

  #due(): void {
    this.#timer = undefined;
    this.#timerAt = Infinity;
    this.step((core, now) => core.timer(now));
  }

  // ---- requests

  async #loadHistory(conversationId: string, after: number, limit: number): Promise<void> {
    try {
      const path = `/conversations/${encodeURIComponent(conversationId)}/messages`;
      const page = await this.#ports.rest.call<List<Message>>("GET", path, undefined, { after, limit });
      this.step((core, now) => core.historyLoaded(conversationId, after, page.items, now));
    } catch (error) {
      const wire = error instanceof ChatError ? error.wire : undefined;
      this.step((core, now) => core.historyFailed(conversationId, wire, now));
    }
  }

  async #refreshToken(): Promise<void> {
    const { tokens } = this.#ports.rest;
    try {
      await tokens.refresh(tokens.session?.accessToken);
      this.step((core, now) => core.tokenRefreshed(now));
    } catch (error) {
      const dead = error instanceof ChatError && error.retry === "never";
      this.step((core, now) => (dead ? core.authFailed(now) : core.tokenUnavailable(now)));
    }
  }

  /** A browser cannot see why an upgrade was refused: an ordinary call can. */
  async #checkSignIn(): Promise<void> {
    try {
      await this.#ports.rest.call("GET", "/users/me");
    } catch (error) {
      if (error instanceof ChatError && (error.name === "UNAUTHENTICATED" || error.name === "BANNED")) {
        this.step((core, now) => core.authFailed(now));
      }
    }
  }
}

const ABNORMAL = 1006;

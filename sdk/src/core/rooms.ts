/**
 * Sockets of big rooms. While a room's own socket is up, the user's socket is asked to leave the room out; while it is
 * down, to bring it again, so that a room socket that cannot be had makes nobody deaf.
 */
import type { Effects } from "./effects.ts";
import { Link, type Closed } from "./link.ts";
import { CLOSE_ABNORMAL, CLOSE_NOT_FOUND } from "./reconnect.ts";

export class Rooms {
  readonly #random: () => number;
  readonly #out: Effects;
  readonly #cursor: (conversationId: string) => number | undefined;
  readonly #links = new Map<string, Link>();

  constructor(random: () => number, out: Effects, cursor: (conversationId: string) => number | undefined) {
    this.#random = random;
    this.#out = out;
    this.#cursor = cursor;
  }

  link(conversationId: string): Link | undefined {
    return this.#links.get(conversationId);
  }

  watch(conversationId: string, now: number, mainReady: boolean): void {
    if (!this.#links.has(conversationId)) {
      const link = new Link(conversationId, this.#random);
      this.#links.set(conversationId, link);
      if (mainReady) {
        this.#open(link, now);
      }
    }
  }

  unwatch(conversationId: string, mainReady: boolean): void {
    const link = this.#links.get(conversationId);
    if (link !== undefined) {
      const wasReady = link.phase === "ready";
      link.stop(this.#out, "not watched any more");
      this.#links.delete(conversationId);
      this.#subscribe(conversationId, wasReady && mainReady);
    }
  }

  /** The user's own socket is up (again): it brings every room until told otherwise. */
  mainReady(now: number): void {
    for (const link of this.#links.values()) {
      if (link.phase === "ready") {
        this.#out.send({ type: "unsubscribe", data: { conversationId: link.name } });
      } else if (link.phase === "off" || link.phase === "waiting") {
        this.#open(link, now);
      }
    }
  }

  /** The room's first frame came. */
  ready(conversationId: string, now: number, mainReady: boolean): void {
    const link = this.#links.get(conversationId);
    if (link !== undefined) {
      link.ready(now, undefined, this.#out);
      link.synced();
      this.#out.arm(link.nextDueAt());
      if (mainReady) {
        this.#out.send({ type: "unsubscribe", data: { conversationId } });
      }
    }
  }

  closed(
    conversationId: string,
    code: number,
    now: number,
    retryAfterMs: number | undefined,
    mainReady: boolean,
  ): Closed | undefined {
    const link = this.#links.get(conversationId);
    if (link === undefined || !link.hasSocket) {
      return undefined;
    }
    this.#subscribe(conversationId, link.phase === "ready" && mainReady);
    if (code === CLOSE_NOT_FOUND) {
      // Not a member, not a big room: it stays with the user's own socket.
      this.#links.delete(conversationId);
      return undefined;
    }
    const next = link.closed(code, now, retryAfterMs, this.#out);
    this.#out.arm(link.nextDueAt());
    return next;
  }

  tokenRefreshed(now: number): void {
    for (const link of this.#links.values()) {
      if (link.tokenRefreshed()) {
        this.#open(link, now);
      }
    }
  }

  tokenUnavailable(now: number): void {
    for (const link of this.#links.values()) {
      if (link.tokenUnavailable(now)) {
        this.#out.arm(link.retryAt);
      }
    }
  }

  stopAll(reason: string): void {
    for (const link of this.#links.values()) {
      link.stop(this.#out, reason);
    }
  }

  timer(now: number, mainReady: boolean): void {
    for (const link of this.#links.values()) {
      const due = link.due(now, this.#out);
      if (due === "open") {
        this.#open(link, now);
      } else if (due !== undefined) {
        this.#out.push({ kind: "close", link: link.name, code: 1000, reason: due });
        this.closed(link.name, CLOSE_ABNORMAL, now, undefined, mainReady);
      }
    }
  }

  nextDueAt(): number {
    let due = Infinity;
    for (const link of this.#links.values()) {
      due = Math.min(due, link.nextDueAt());
    }
    return due;
  }

  #open(link: Link, now: number): void {
    link.open(now, this.#out, this.#cursor(link.name));
    this.#out.arm(link.nextDueAt());
  }

  #subscribe(conversationId: string, wanted: boolean): void {
    if (wanted) {
      this.#out.send({ type: "subscribe", data: { conversationId } });
    }
  }
}

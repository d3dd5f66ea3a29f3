/**
 * A user's coming and going: the presence lease in the cache, the registration with the world's
 * shard, and the events that others follow. Told by `UserSession`, which owns sockets and alarm.
 */
import { queuesBus } from "../bus/queues.ts";
import { CACHE_KEYS, type Cache } from "../cache/types.ts";
import { GHOST_AFTER_MS, SILENT_AFTER_MS, PRESENCE_RENEW_MS, PRESENCE_TTL_MS } from "../domain/presence.ts";
import { WORLD_ROOM_ID } from "../domain/records.ts";
import { systemClock } from "../platform/clock.ts";
import { newId } from "../platform/ids.ts";
import type { Settings } from "../platform/settings.ts";
import { closeSocket } from "../platform/sockets.ts";
import { shardOf } from "../platform/stubs.ts";
import { describeError, log } from "../telemetry/log.ts";
import type { SessionSockets } from "./SessionSockets.ts";
import type { SessionSqlStore } from "./SessionSqlStore.ts";

type Parts = {
  env: Env;
  userId: string;
  settings: Settings;
  cache: Cache;
  store: SessionSqlStore;
  sockets: SessionSockets;
  /** Wakes the session after so long at the latest. */
  armAlarm(inMs: number): Promise<void>;
  /** Work that nobody waits for. */
  later(work: Promise<void>): void;
};

export class SessionPresence {
  readonly #parts: Parts;
  /** Cache writes, one after the other, so that the last one wins. */
  #writes: Promise<void> = Promise.resolve();
  /** Calls of the world's shard, likewise. */
  #registrations: Promise<void> = Promise.resolve();
  /**
   * Upgrades on their way to a socket. They count as here: the close of an old socket that comes in just then must not make
   * the new one's user absent.
   */
  #arriving = 0;
  /** Who waits until the last of them is through. */
  #awaited: PromiseWithResolvers<void> | undefined;
  /** Sockets that closed or failed; the runtime may call them open a moment longer. */
  readonly #gone = new WeakSet<WebSocket>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * An upgrade: presence is set before the client can ask for heads (see docs/architecture.md), then `accept` takes the
   * socket, without another wait. It answers undefined when there must be none after all.
   */
  async arriving<T>(accept: () => T | undefined): Promise<T | undefined> {
    this.#arriving += 1;
    let accepted: T | undefined;
    try {
      if (this.#here().length === 0) {
        await this.#arrive();
      } else if (!this.#wantsWorld()) {
        // The others have all unsubscribed from the world; a new socket has not.
        await this.followWorld();
      }
      accepted = accept();
    } finally {
      this.#arriving -= 1;
      if (this.#arriving === 0) {
        this.#awaited?.resolve();
        this.#awaited = undefined;
      }
    }
    if (!this.#isHere()) {
      await this.#depart();
    }
    return accepted;
  }

  /**
   * Resolves when no upgrade is on its way. The world's shard serves a user from the registration on, which comes before the
   * socket: told "no socket" in between it would forget who is just coming, and nobody would tell it again.
   */
  async arrivals(): Promise<void> {
    if (this.#arriving > 0) {
      this.#awaited ??= Promise.withResolvers();
      await this.#awaited.promise;
    }
  }

  async #arrive(): Promise<void> {
    const { store, later, armAlarm } = this.#parts;
    const before = store.fact("presence");
    store.transaction(() => store.saveFact("presence", { online: true, awaySince: 0 }));
    await Promise.all([this.#write(), armAlarm(PRESENCE_RENEW_MS), this.followWorld()]);
    if (before?.online !== true) {
      later(this.#announce("user.online"));
    }
  }

  /** Only the last socket that goes matters: a late close of an old one changes nothing. */
  async left(socket: WebSocket): Promise<void> {
    const { sockets, store } = this.#parts;
    this.#gone.add(socket);
    const device = store.device(sockets.of(socket).deviceId);
    if (device !== undefined) {
      store.transaction(() => store.putDevice({ ...device, lastSeenAt: systemClock.now() }));
    }
    await (this.#isHere() ? this.followWorld() : this.#depart());
  }

  async #depart(): Promise<void> {
    const { store, settings, armAlarm } = this.#parts;
    store.transaction(() => store.saveFact("presence", { online: true, awaySince: systemClock.now() }));
    await Promise.all([this.#write(), armAlarm(settings.limits.offlineAfterMs), this.followWorld()]);
  }

  #here(): WebSocket[] {
    return this.#parts.sockets.open().filter((socket) => !this.#gone.has(socket));
  }

  #isHere(): boolean {
    return this.#arriving > 0 || this.#here().length > 0;
  }

  #wantsWorld(): boolean {
    return this.#parts.sockets.wanting(WORLD_ROOM_ID).some((socket) => !this.#gone.has(socket));
  }

  /** From the alarm: renew the lease, or go offline when nobody has come back. */
  async check(): Promise<void> {
    const { armAlarm } = this.#parts;
    this.#sweepGhosts();
    if (this.#isHere()) {
      // The registration as well: a shard forgets who did not answer for a while.
      await Promise.all([this.#write(), armAlarm(PRESENCE_RENEW_MS), this.followWorld()]);
    } else {
      await this.#goOffline();
    }
  }

  /** A room thought that the user is here: after a crash, or in the moment of leaving. */
  clearStale(): void {
    if (this.#parts.store.fact("presence") !== undefined) {
      this.#parts.later(this.#write());
    }
  }

  /** Registered with the world's shard while any socket wants the world here. What counts is the state when it is called. */
  followWorld(): Promise<void> {
    const { env, userId, settings } = this.#parts;
    this.#registrations = this.#registrations.then(async () => {
      const shard = shardOf(env, WORLD_ROOM_ID, userId, settings.worldShards);
      try {
        await (this.#arriving > 0 || this.#wantsWorld() ? shard.register(userId) : shard.unregister(userId));
      } catch (error) {
        log("warn", "world shard not reached", { userId, error: describeError(error) });
      }
    });
    return this.#registrations;
  }

  async #goOffline(): Promise<void> {
    const { store, settings, armAlarm } = this.#parts;
    const presence = store.fact("presence");
    if (presence?.online !== true) {
      return;
    }
    // Without a time the server died under an open socket: that was long enough ago.
    const waitMs = presence.awaySince + settings.limits.offlineAfterMs - systemClock.now();
    if (presence.awaySince > 0 && waitMs > 0) {
      await armAlarm(waitMs);
      return;
    }
    store.transaction(() => store.saveFact("presence", { online: false, awaySince: 0 }));
    await this.#write();
    await this.#announce("user.offline");
  }

  /** What counts is the state when the write is made, not when it was asked for. */
  #write(): Promise<void> {
    const { cache, userId } = this.#parts;
    this.#writes = this.#writes.then(async () => {
      const key = CACHE_KEYS.online(userId);
      try {
        await cache.pipeline([this.#isHere() ? ["SET", key, "1", PRESENCE_TTL_MS] : ["DEL", key]]);
      } catch (error) {
        // Rooms that cannot read presence deliver to everybody.
        log("warn", "presence not written", { userId, error: describeError(error) });
      }
    });
    return this.#writes;
  }

  async #announce(type: "user.online" | "user.offline"): Promise<void> {
    const { env, userId } = this.#parts;
    const now = systemClock.now();
    const body = {
      event_id: newId(now),
      event_type: type,
      timestamp: Math.floor(now / 1000),
      user_id: userId,
      payload: { last_seen_at: now },
    };
    try {
      await queuesBus(env).publish("gochat.user-events", [{ key: userId, body }]);
    } catch (error) {
      log("warn", "presence event lost", { userId, error: describeError(error) });
    }
  }

  /** A hibernated socket can stay open after its client is gone; the last ping tells. */
  #sweepGhosts(): void {
    const { sockets } = this.#parts;
    const now = systemClock.now();
    for (const socket of sockets.open()) {
      if (now - sockets.lastHeardAt(socket) > (sockets.everPinged(socket) ? GHOST_AFTER_MS : SILENT_AFTER_MS)) {
        closeSocket(socket, "SLOW_CONSUMER");
      }
    }
  }
}

/**
 * A user's coming and going: the presence lease in the cache, the registration with the world's
 * shard, and the events that others follow. Told by `UserSession`, which owns sockets and alarm.
 */
import { queuesBus } from "../bus/queues.ts";
import { CACHE_KEYS, type Cache } from "../cache/types.ts";
import { GHOST_AFTER_MS, PRESENCE_RENEW_MS, PRESENCE_TTL_MS } from "../domain/presence.ts";
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

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** First socket: presence is set before the client can ask for heads (see docs/architecture.md). */
  async arrive(): Promise<void> {
    const { store, later, armAlarm } = this.#parts;
    const before = store.fact("presence");
    store.transaction(() => store.saveFact("presence", { online: true, awaySince: 0 }));
    await Promise.all([this.#write(true), armAlarm(PRESENCE_RENEW_MS), this.#register(true)]);
    if (before?.online !== true) {
      later(this.#announce("user.online"));
    }
  }

  /** Only the last socket that goes matters: a late close of an old one changes nothing. */
  async left(socket: WebSocket): Promise<void> {
    const { sockets, store, settings, armAlarm } = this.#parts;
    if (sockets.open().some((other) => other !== socket)) {
      await this.followWorld();
      return;
    }
    const now = systemClock.now();
    const { deviceId } = sockets.of(socket);
    store.transaction(() => {
      const device = store.device(deviceId);
      if (device !== undefined) {
        store.putDevice({ ...device, lastSeenAt: now });
      }
      store.saveFact("presence", { online: true, awaySince: now });
    });
    await Promise.all([this.#write(false), armAlarm(settings.limits.offlineAfterMs), this.#register(false)]);
  }

  /** From the alarm: renew the lease, or go offline when nobody has come back. */
  async check(): Promise<void> {
    const { sockets, armAlarm } = this.#parts;
    this.#sweepGhosts();
    if (sockets.open().length > 0) {
      // The registration as well: a shard forgets who did not answer for a while.
      await Promise.all([this.#write(true), armAlarm(PRESENCE_RENEW_MS), this.followWorld()]);
    } else {
      await this.#goOffline();
    }
  }

  /** A room thought that the user is here: after a crash, or in the moment of leaving. */
  clearStale(): void {
    if (this.#parts.store.fact("presence") !== undefined) {
      this.#parts.later(this.#write(false));
    }
  }

  /** Before a socket is accepted that wants the world, which none has wanted so far. */
  joinWorld(): Promise<void> {
    return this.#register(true);
  }

  /** Registered with the world's shard while any socket wants the world here. */
  followWorld(): Promise<void> {
    return this.#register(this.#parts.sockets.anyWants(WORLD_ROOM_ID));
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
    await this.#write(false);
    await this.#announce("user.offline");
  }

  /** What counts is the state when the write is made, not when it was asked for. */
  #write(online: boolean): Promise<void> {
    const { cache, sockets, userId } = this.#parts;
    this.#writes = this.#writes.then(async () => {
      const key = CACHE_KEYS.online(userId);
      const present = online || sockets.open().length > 0;
      try {
        await cache.pipeline([present ? ["SET", key, "1", PRESENCE_TTL_MS] : ["DEL", key]]);
      } catch (error) {
        // Rooms that cannot read presence deliver to everybody.
        log("warn", "presence not written", { userId, error: describeError(error) });
      }
    });
    return this.#writes;
  }

  async #register(wanted: boolean): Promise<void> {
    const { env, userId, settings } = this.#parts;
    const shard = shardOf(env, WORLD_ROOM_ID, userId, settings.worldShards);
    try {
      await (wanted ? shard.register(userId) : shard.unregister(userId));
    } catch (error) {
      log("warn", "world shard not reached", { userId, error: describeError(error) });
    }
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
      if (now - sockets.lastHeardAt(socket) > GHOST_AFTER_MS) {
        closeSocket(socket, "SLOW_CONSUMER");
      }
    }
  }
}

/**
 * A user's coming and going: the presence lease in the cache, the registration with the world's
 * shard, and the events that others follow. Told by `UserSession`, which owns sockets and alarm.
 */
import { busOf } from "../bus/index.ts";
import { CACHE_KEYS, type Cache, type CacheCommand, type CacheReply } from "../cache/types.ts";
import { GHOST_AFTER_MS, SILENT_AFTER_MS, PRESENCE_RENEW_MS, PRESENCE_TTL_MS } from "../domain/presence.ts";
import { WORLD_ROOM_ID } from "../domain/records.ts";
import { HEAD_LAG_MS } from "../domain/roomDelivery.ts";
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
  /** Tells sockets that rooms and shard know of them: their clients ask for what they missed. */
  greet(sockets: readonly WebSocket[]): void;
  /** Everything in the world up to here was sent before this user was registered. */
  worldHead(seqId: number): void;
  /** Wakes the session after so long at the latest. */
  armAlarm(inMs: number): Promise<void>;
  /** Work that nobody waits for. */
  later(work: Promise<void>): void;
};

/** What could not be written is written again after this time: until then rooms or the shard may take this user for away. */
const REWRITE_MS = 1_000;

export class SessionPresence {
  readonly #parts: Parts;
  /** Cache writes, one after the other, so that the last one wins. */
  #writes: Promise<boolean> = Promise.resolve(true);
  /** Calls of the world's shard, likewise. */
  #registrations: Promise<boolean> = Promise.resolve(true);
  /** The lease was written in this life of the object, and not taken back since. */
  #leased = false;
  /** The world's shard was told of this user in this life of the object, and not told otherwise since. */
  #follows = false;
  /** Nothing of an earlier life is known. */
  #fresh = true;
  #trustCacheAt = 0;
  #rewriting = false;
  /** Sockets that closed or failed; the runtime may call them open a moment longer. */
  readonly #gone = new WeakSet<WebSocket>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * A socket was accepted. It is open at once, so that whoever delivers from now on finds it; but `connected`, on which its
   * client asks for what it missed, comes only when rooms and shard know that this user is here (see docs/architecture.md).
   * What could not be written does not keep it away: it is written again soon, and then `connected` comes once more.
   */
  async arrived(socket: WebSocket): Promise<void> {
    const { greet } = this.#parts;
    const isFirst = this.#here().every((other) => other === socket);
    if (isFirst) {
      await this.#arrive();
    } else if (!this.#leased || !this.#follows) {
      // After hibernation nobody knows any more what was written; or the others have all unsubscribed from the world.
      await Promise.all([this.#write(), this.followWorld()]);
    }
    if (this.#isHere()) {
      greet([socket]);
    } else {
      await this.#depart();
    }
  }

  /**
   * Resolves when the cache's heads are at least as new as what an earlier life of this object passed on. A new life does not
   * know what that was; rooms deliver again when their cache pipeline takes longer than the same time.
   */
  async cacheIsCurrent(): Promise<void> {
    const waitMs = this.#trustCacheAt - systemClock.now();
    if (waitMs > 0) {
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }

  async #arrive(): Promise<void> {
    const { store, later, armAlarm } = this.#parts;
    const before = store.fact("presence");
    const arrivals = (before?.arrivals ?? 0) + 1;
    store.transaction(() => store.saveFact("presence", { online: true, awaySince: 0, arrivals }));
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
    const { settings, armAlarm } = this.#parts;
    this.#save({ online: true, awaySince: systemClock.now() });
    await Promise.all([this.#write(), armAlarm(settings.limits.offlineAfterMs), this.followWorld()]);
  }

  #save(presence: { online: boolean; awaySince: number }): void {
    const { store } = this.#parts;
    store.transaction(() => store.saveFact("presence", { ...presence, arrivals: this.#arrivals }));
  }

  /** How often somebody has come to whom nobody was here. On disk, so it only grows. */
  get #arrivals(): number {
    return this.#parts.store.fact("presence")?.arrivals ?? 0;
  }

  #here(): WebSocket[] {
    return this.#parts.sockets.open().filter((socket) => !this.#gone.has(socket));
  }

  #isHere(): boolean {
    return this.#here().length > 0;
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
      this.#parts.later(this.#write().then(() => undefined));
    }
  }

  /**
   * Registered with the world's shard while any socket wants the world here. What counts is the state when it is called.
   * Answers whether the shard knows now.
   */
  followWorld(): Promise<boolean> {
    this.#registrations = this.#registrations.then(() => this.#register());
    return this.#registrations;
  }

  async #register(): Promise<boolean> {
    const { env, userId, settings, worldHead } = this.#parts;
    const shard = shardOf(env, WORLD_ROOM_ID, userId, settings.worldShards);
    const wanted = this.#wantsWorld();
    try {
      if (wanted) {
        worldHead((await shard.register(userId)) ?? 0);
      } else {
        await shard.unregister(userId);
      }
      this.#follows = wanted;
      return true;
    } catch (error) {
      log("warn", "world shard not reached", { userId, error: describeError(error) });
      this.#follows = false;
      this.#writeAgain();
      return false;
    }
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
    this.#save({ online: false, awaySince: 0 });
    await this.#write();
    await this.#announce("user.offline");
  }

  /** What counts is the state when the write is made, not when it was asked for. Answers whether the cache knows now. */
  #write(): Promise<boolean> {
    this.#writes = this.#writes.then(() => this.#writeLease());
    return this.#writes;
  }

  async #writeLease(): Promise<boolean> {
    const { cache, userId } = this.#parts;
    const key = CACHE_KEYS.online(userId);
    const isHere = this.#isHere();
    // Taken back by value: a command of an earlier life that comes late must not wipe out what a later one wrote.
    const arrivals = String(this.#arrivals);
    const write: CacheCommand = isHere ? ["SET", key, arrivals, PRESENCE_TTL_MS] : ["DELIF", key, arrivals];
    let before: CacheReply | undefined;
    try {
      [before] = await cache.pipeline([["GET", key], write]);
      this.#leased = isHere;
      return true;
    } catch (error) {
      // Rooms that cannot read presence deliver to everybody.
      log("warn", "presence not written", { userId, error: describeError(error) });
      this.#leased = false;
      this.#writeAgain();
      return false;
    } finally {
      if (this.#fresh && before !== null) {
        this.#trustCacheAt = systemClock.now() + HEAD_LAG_MS;
      }
      this.#fresh = false;
    }
  }

  /** In a while, for as long as somebody is here; the lease of somebody who is not runs out by itself. */
  #writeAgain(): void {
    if (this.#rewriting || !this.#isHere()) {
      return;
    }
    this.#rewriting = true;
    setTimeout(() => {
      this.#rewriting = false;
      this.#parts.later(this.#rewrite());
    }, REWRITE_MS);
  }

  async #rewrite(): Promise<void> {
    if (!this.#isHere()) {
      return;
    }
    const [leased, follows] = await Promise.all([
      this.#leased || this.#write(),
      this.#follows === this.#wantsWorld() || this.followWorld(),
    ]);
    if (leased && follows) {
      // Between the failure and now messages may have passed these sockets by: their clients ask again.
      this.#parts.greet(this.#here());
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
      await busOf(env).publish("gochat.user-events", [{ key: userId, body }]);
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

/**
 * A user's coming and going: the presence lease in the cache, the registration with the world's
 * shard, and the events that others follow. Told by `UserSession`, which owns sockets and alarm.
 */
import { CACHE_KEYS, type Cache, type CacheCommand, type CacheReply } from "../cache/types.ts";
import { GHOST_AFTER_MS, SILENT_AFTER_MS, PRESENCE_RENEW_MS, PRESENCE_TTL_MS } from "../domain/presence.ts";
import { WORLD_ROOM_ID } from "../domain/records.ts";
import { HEAD_LAG_MS } from "../domain/roomDelivery.ts";
import { systemClock } from "../platform/clock.ts";
import type { Settings } from "../platform/settings.ts";
import { closeSocket } from "../platform/sockets.ts";
import { shardOf } from "../platform/stubs.ts";
import { describeError, log } from "../telemetry/log.ts";
import { noteSockets } from "../telemetry/metrics.ts";
import { reportSoon } from "../telemetry/report.ts";
import { SessionComings } from "./SessionComings.ts";
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
/** The mark of a short absence outlives the alarm that ends it by this much; after that it ends by itself. */
const AWAY_SLACK_MS = 30_000;

export class SessionPresence {
  /** What others are told. */
  readonly comings: SessionComings;
  readonly #parts: Parts;
  /** Cache writes, one after the other, so that the last one wins. */
  #writes: Promise<boolean> = Promise.resolve(true);
  /** Calls of the world's shard, likewise. */
  #registrations: Promise<boolean> = Promise.resolve(true);
  /** The lease was written in this life of the object, and not taken back since. */
  #leased = false;
  /** The lease was taken back in this life of the object, and not written since. */
  #takenBack = false;
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
    const { env, userId, settings, sockets, store, armAlarm } = parts;
    this.comings = new SessionComings({
      env,
      userId,
      store,
      armAlarm,
      offlineAfterMs: settings.limits.offlineAfterMs,
      remember: (eventId) => {
        const here = this.#here();
        for (const socket of here) {
          sockets.remember(socket, { ...sockets.of(socket), told: eventId });
        }
        return here.length > 0;
      },
      // Also one that is closing: what it remembers is so.
      remembered: (eventId) => sockets.all().some((socket) => sockets.of(socket).told === eventId),
    });
  }

  /**
   * A socket was accepted. It is open at once, so that whoever delivers from now on finds it; but `connected`, on which its
   * client asks for what it missed, comes only when rooms and shard know that this user is here (see docs/architecture.md).
   * What could not be written does not keep it away: it is written again soon, and then `connected` comes once more.
   */
  async arrived(socket: WebSocket): Promise<void> {
    const { greet } = this.#parts;
    const here = this.#here();
    this.#noteSockets(here.length);
    const isFirst = here.every((other) => other === socket);
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
    const { later, armAlarm } = this.#parts;
    this.comings.arrived();
    await Promise.all([this.#write(), armAlarm(PRESENCE_RENEW_MS), this.followWorld()]);
    later(this.comings.publish());
  }

  /** Only the last socket that goes matters: a late close of an old one changes nothing. */
  async left(socket: WebSocket): Promise<void> {
    const { sockets, store } = this.#parts;
    this.#gone.add(socket);
    const { deviceId, told } = sockets.of(socket);
    if (told !== undefined) {
      // It remembered that for this object; now another socket does, or the disk.
      this.comings.told(told);
    }
    const device = store.device(deviceId);
    if (device !== undefined) {
      store.transaction(() => store.putDevice({ ...device, lastSeenAt: systemClock.now() }));
    }
    await this.recount();
  }

  /** Sockets have closed: is anybody left? */
  async recount(): Promise<void> {
    this.#noteSockets(this.#here().length);
    await (this.#isHere() ? this.followWorld() : this.#depart());
  }

  #noteSockets(open: number): void {
    const { env, userId } = this.#parts;
    const now = systemClock.now();
    noteSockets(userId, open, now);
    reportSoon(env, now);
  }

  async #depart(): Promise<void> {
    const { settings, armAlarm } = this.#parts;
    if (this.comings.fact?.online !== true) {
      // Never here, or known to be away: the late close of an old socket.
      return;
    }
    this.comings.departed();
    await Promise.all([this.#write(), armAlarm(settings.limits.offlineAfterMs), this.followWorld()]);
  }

  /** How often somebody has come to whom nobody was here. On disk, so it only grows. */
  get #arrivals(): number {
    return this.comings.fact?.arrivals ?? 0;
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

  /** From the alarm: renew the lease, or go offline when nobody has come back; tell friends what they could not be told. */
  async check(): Promise<void> {
    const { store, armAlarm } = this.#parts;
    const before = this.comings.fact;
    const sweptSince = this.#sweepGhosts();
    const here = this.#isHere();
    this.#noteSockets(this.#here().length);
    const usedAt = Math.max(0, ...store.devices().map((device) => device.lastSeenAt));
    const lookInMs = this.comings.look({ here, usedAt, ...(sweptSince === undefined ? {} : { sweptSince }) });
    if (here) {
      // The registration as well: a shard forgets who did not answer for a while.
      await Promise.all([this.#write(), armAlarm(PRESENCE_RENEW_MS), this.followWorld()]);
    } else if (before?.online === true) {
      await Promise.all([this.#write(), lookInMs === undefined ? undefined : armAlarm(lookInMs), this.followWorld()]);
    }
    await this.comings.publish();
  }

  /** A room thought that the user is here: after a crash, or in the moment of leaving. */
  clearStale(): void {
    // Where presence cannot be read everybody is delivered to: not each time a command to the cache.
    if (!this.#takenBack && this.comings.fact !== undefined) {
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
    // Who comes while the shard is being told otherwise has to tell it anew.
    this.#follows &&= wanted;
    try {
      if (wanted) {
        worldHead((await shard.register(userId)) ?? 0);
      } else {
        await shard.unregister(userId, this.#isHere());
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
    const commands: CacheCommand[] = [["GET", key], write, ...(isHere ? [] : [this.#awayMark()])];
    let before: CacheReply | undefined;
    try {
      [before] = await cache.pipeline(commands);
      this.#leased = isHere;
      this.#takenBack = !isHere;
      return true;
    } catch (error) {
      // Rooms that cannot read presence deliver to everybody.
      log("warn", "presence not written", { userId, error: describeError(error) });
      this.#leased = false;
      this.#takenBack = false;
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

  /** In lists, too, nobody is to see a quick reconnect: a friend who saw "away" there would never be told otherwise. */
  #awayMark(): CacheCommand {
    const { userId, settings } = this.#parts;
    const key = CACHE_KEYS.away(userId);
    return this.comings.fact?.online === true
      ? ["SET", key, "1", settings.limits.offlineAfterMs + AWAY_SLACK_MS]
      : ["DEL", key];
  }

  /**
   * A hibernated socket can stay open after its client is gone; the last ping tells. Answers when the last client that was given
   * up was heard of, if any was.
   */
  #sweepGhosts(): number | undefined {
    const { sockets } = this.#parts;
    const now = systemClock.now();
    let sweptSince: number | undefined;
    for (const socket of sockets.open()) {
      const heardAt = sockets.lastHeardAt(socket);
      if (now - heardAt > (sockets.everPinged(socket) ? GHOST_AFTER_MS : SILENT_AFTER_MS)) {
        closeSocket(socket, "SLOW_CONSUMER");
        sweptSince = Math.max(heardAt, sweptSince ?? 0);
      }
    }
    return sweptSince;
  }
}

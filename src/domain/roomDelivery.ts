/**
 * The way of a room's messages to its readers: one cache pipeline at a time (head, hot messages,
 * presence), delivery rounds to the online members, or fan-out tasks when there are too many.
 */
import type { ServerFrame } from "../protocol/frames.ts";
import { HeldFrames } from "./heldFrames.ts";
import type { StoredMessage, FanoutTask } from "./records.ts";
import { cacheEffect } from "./roomCache.ts";
import type { RoomContext } from "./roomContext.ts";
import { DeliveryRounds, type Delivery } from "./rounds.ts";

/** At most one fan-out task in this time. Source: DESIGN section 2, FanoutShard. */
export const FANOUT_WINDOW_MS = 100;
/** Presence is read again at once for the same receiver so often, per batch; then the alarm goes on. */
const RECHECK_LIMIT = 3;
/**
 * When everybody is known to be here, nobody's presence depends on the pipeline and it may wait so
 * long for more: the sessions themselves know the newest heads (see `SessionRpc.heads`).
 */
const CACHE_PAUSE_MS = 100;
/**
 * So long after a commit its head may still be missing in the cache. A user object that begins a new life waits so long
 * before it believes the cache; a pipeline that takes longer proves nothing about who connected meanwhile.
 */
export const HEAD_LAG_MS = 250;
/**
 * A pipeline is late when the machine is overloaded, and delivering everything again would make it later still: at most
 * once in this time.
 */
const AGAIN_PAUSE_MS = 5_000;

type CacheFlight = {
  from: number;
  to: number;
  asked: string[];
  /** When the first of its messages was committed, epoch milliseconds. */
  behindSince: number;
  /** Nobody was asked for: fan-out needs no presence. */
  big: boolean;
  /** Begins at `#uncachedFrom` and asks for all members, also those who have everything. */
  again: boolean;
};
type Unsure = { cursor: number; soon: boolean };

export class RoomDelivery {
  readonly #room: RoomContext;
  readonly #rounds: DeliveryRounds;
  /** Members of a room small enough for rounds, or undefined when it must be read (again). */
  #memberIds: string[] | undefined;
  /** Deliveries that hold nothing but the receiver's own messages: answered without a call. */
  #doneHere: { userId: string; delivery: Delivery }[] = [];
  #cacheFlight: CacheFlight | undefined;
  /** Up to here presence was asked for, whether or not the cache answered. */
  #cachedSeqId: number;
  /** When the head left `#cachedSeqId` behind; 0 while it has not. */
  #behindSince = 0;
  /** The cache had an older head than this for too long: whoever connected then may have been told the older one. */
  #uncachedFrom: number | undefined;
  #retryCache = false;
  /**
   * Up to here senders get their own messages as well. Usually their other devices have them from the acknowledgement;
   * but when this object, or the cache, was away, those devices may have been told an older head.
   */
  #ownUpTo: number;
  #againNotBefore = 0;
  #cacheNotBefore = 0;
  #cacheDown = false;
  readonly #unsure = new Map<string, Unsure>();
  readonly #rechecks = new Map<string, number>();
  readonly #held = new HeldFrames();
  #fanoutSeqId: number;
  #fanoutDone = 0;
  #fanoutNotBefore = 0;
  #fanoutSentAt = 0;
  /** Delivered by fan-out; the room has just become so big, or no longer is, when this differs from `room.big`. */
  #big: boolean;

  constructor(room: RoomContext) {
    this.#room = room;
    const delivered = Math.min(room.counters.deliveredSeqId, room.headSeqId);
    this.#cachedSeqId = delivered;
    this.#ownUpTo = room.headSeqId;
    this.#fanoutSeqId = delivered;
    this.#fanoutDone = delivered;
    this.#big = room.big;
    this.#rounds = new DeliveryRounds(
      {
        deliver: (delivery) => this.#deliver(delivery),
        reach: (from, to) => room.fitting(from, to).at(-1)?.message.seqId ?? to,
        patience: (inMs) => room.timer("patience", inMs),
        retry: (inMs) => room.timer("retry", inMs),
        gather: (inMs) => room.timer("gather", inMs),
        unsure: (userId, cursor, soon) => this.#recheck(userId, cursor, soon),
      },
      delivered,
    );
  }

  /** Up to where every online member (or the fan-out) has everything. */
  get deliveredSeqId(): number {
    let least = Math.min(this.#cachedSeqId, this.#uncachedFrom ?? Infinity);
    if (this.#big) {
      return Math.min(least, this.#fanoutDone);
    }
    least = Math.min(least, this.#rounds.delivered());
    for (const { cursor } of this.#unsure.values()) {
      least = Math.min(least, cursor);
    }
    return least;
  }

  /** Messages up to the head are durable: starts whatever is not under way. */
  committed(): void {
    const room = this.#room;
    if (this.#cachedSeqId < room.headSeqId && this.#behindSince === 0) {
      this.#behindSince = room.now;
    }
    this.#changeWay();
    if (this.#big) {
      this.#rounds.skipTo(room.headSeqId);
      this.tryFanout();
    } else {
      this.#rounds.committed(room.headSeqId, room.now);
      this.#finishHere();
    }
    this.tryCache();
  }

  /** A room that crosses the limit goes on, the other way, from where everybody has everything. */
  #changeWay(): void {
    const room = this.#room;
    if (this.#big === room.big) {
      return;
    }
    const delivered = Math.max(this.deliveredSeqId, room.counters.deliveredSeqId);
    this.#big = room.big;
    if (this.#big) {
      this.#rounds.skipTo(room.headSeqId);
      this.#unsure.clear();
      this.#fanoutSeqId = delivered;
      this.#fanoutDone = delivered;
    } else {
      this.#rounds.skipTo(delivered);
      this.#cachedSeqId = Math.min(this.#cachedSeqId, delivered);
    }
  }

  /** New messages: whoever was given up for the last batch is asked for again. */
  newBatch(): void {
    this.#rechecks.clear();
  }

  membersChanged(removed: readonly string[]): void {
    this.#memberIds = undefined;
    this.#changeWay();
    for (const userId of removed) {
      this.#unsure.delete(userId);
      this.#rounds.remove(userId, this.#room.now);
    }
    this.#finishHere();
  }

  /** Shows a frame to the other members of a small room who are here; whoever is not known yet is asked for first. */
  showHere(from: string, frame: ServerFrame): void {
    if (this.#big) {
      return;
    }
    this.#held.hold(from, frame);
    const unknown = this.#members().filter((userId) => userId !== from && !this.#rounds.knows(userId));
    if (unknown.length > 0 && this.#held.look(this.#room.now)) {
      for (const userId of unknown) {
        const cursor = this.#unsure.get(userId)?.cursor ?? this.#room.headSeqId;
        this.#unsure.set(userId, { cursor, soon: true });
      }
      this.tryCache();
    }
    this.#showHeld();
  }

  /** Once nobody is asked for any more. */
  #showHeld(): void {
    if (this.#cacheFlight === undefined) {
      const here = this.#big ? [] : this.#members().filter((userId) => this.#rounds.knows(userId));
      this.#room.effects.push(...this.#held.release(here));
    }
  }

  /** A delivery's answer: open sockets of that user, or "failed". */
  answered(userId: string, delivery: { from: number; to: number }, sockets: number | "failed"): void {
    this.#rounds.answered(userId, delivery, sockets, this.#room.now);
    this.#finishHere();
  }

  cached(answer: { online: string[]; complete: boolean } | "failed"): void {
    const flight = this.#cacheFlight;
    if (flight === undefined) {
      return;
    }
    const { now } = this.#room;
    this.#cacheFlight = undefined;
    this.#cacheDown = answer === "failed";
    if (flight.big && !this.#big) {
      // The room has become small meanwhile: its members have still to be asked for.
      this.#behindSince = flight.behindSince;
      this.tryCache();
      return;
    }
    const before = this.#cachedSeqId;
    this.#cachedSeqId = Math.max(before, flight.to);
    const late = flight.to > before && now - flight.behindSince > HEAD_LAG_MS;
    if (answer === "failed") {
      this.#uncachedFrom = Math.min(this.#uncachedFrom ?? flight.from, flight.from);
    } else if (flight.again || late) {
      // Once more for what came late, now that the cache answers.
      this.#uncachedFrom = late ? Math.min(before, flight.again ? before : (this.#uncachedFrom ?? before)) : undefined;
      if (late) {
        this.#againNotBefore = now + AGAIN_PAUSE_MS;
      }
    }
    const everybody = answer === "failed" || !answer.complete;
    this.#found(flight, everybody ? flight.asked : answer.online);
    if (this.#big) {
      if (flight.again) {
        this.#fanoutSeqId = Math.min(this.#fanoutSeqId, flight.from);
        this.#fanoutDone = Math.min(this.#fanoutDone, flight.from);
      }
      this.tryFanout();
    }
    this.tryCache();
    this.#showHeld();
  }

  /** These members may be online: whoever is not known yet gets everything after the flight's beginning. */
  #found(flight: CacheFlight, online: readonly string[]): void {
    const { now } = this.#room;
    const here = new Set(online);
    // Who left the conversation while the pipeline was in the air is not asked for any more.
    const members = new Set(this.#big ? [] : this.#members());
    for (const userId of flight.asked) {
      const cursor = Math.min(this.#unsure.get(userId)?.cursor ?? flight.from, flight.from);
      this.#unsure.delete(userId);
      if (here.has(userId) && members.has(userId)) {
        if (flight.again) {
          this.#rounds.rewind(userId, flight.from, now);
        }
        this.#rounds.found(userId, cursor, now);
      }
    }
    this.#finishHere();
  }

  onPatience(): void {
    this.#rounds.onPatience(this.#room.now);
    this.#finishHere();
  }

  onGathered(): void {
    this.#rounds.onGathered(this.#room.now);
    this.#finishHere();
  }

  onRetry(): void {
    this.#rounds.onRetry(this.#room.now);
    this.#finishHere();
  }

  /** The fan-out task up to `toSeqId` could not be put on the bus. */
  fanoutRefused(): void {
    this.#fanoutSeqId = Math.min(this.#fanoutSeqId, this.#fanoutDone);
  }

  fannedOut(toSeqId: number): void {
    this.#fanoutDone = Math.max(this.#fanoutDone, Math.min(toSeqId, this.#room.headSeqId));
  }

  /** Whatever has not been answered for so long is tried again; true when there was anything. */
  onAlarm(retryMs: number): boolean {
    const { now } = this.#room;
    this.#changeWay();
    if (this.#big && now - this.#fanoutSentAt >= retryMs) {
      this.#fanoutSeqId = this.#fanoutDone;
    }
    this.#rounds.expire(now);
    this.#finishHere();
    for (const entry of this.#unsure.values()) {
      entry.soon = true;
    }
    this.#retryCache = this.#uncachedFrom !== undefined;
    return this.#retryCache || this.#unsure.size > 0;
  }

  /** Only what the cache was told of: a reader who connects later must find that head there. */
  tryFanout(): void {
    const room = this.#room;
    if (this.#fanoutSeqId >= this.#cachedSeqId) {
      return;
    }
    if (room.now < this.#fanoutNotBefore) {
      room.timer("fanout", this.#fanoutNotBefore - room.now);
      return;
    }
    const rows = room.fitting(this.#fanoutSeqId, this.#cachedSeqId);
    const last = rows.at(-1);
    if (last === undefined || room.state === undefined) {
      return;
    }
    const task: FanoutTask = {
      conversationId: room.conversationId,
      type: room.state.type,
      fromSeqId: this.#fanoutSeqId + 1,
      toSeqId: last.message.seqId,
      messages: rows.map((row) => row.message),
    };
    this.#fanoutSeqId = task.toSeqId;
    this.#fanoutSentAt = room.now;
    this.#fanoutNotBefore = room.now + FANOUT_WINDOW_MS;
    room.effects.push({ kind: "fanout", task });
    if (this.#fanoutSeqId < this.#cachedSeqId) {
      room.timer("fanout", FANOUT_WINDOW_MS);
    }
  }

  #finishHere(): void {
    for (let done = this.#doneHere.pop(); done !== undefined; done = this.#doneHere.pop()) {
      this.#rounds.answered(done.userId, done.delivery, 1, this.#room.now);
    }
  }

  #deliver(delivery: Delivery): void {
    const messages: StoredMessage[] = this.#room.rows(delivery.from, delivery.to).map((row) => row.message);
    const fresh = messages.filter((message) => message.seqId > this.#ownUpTo);
    const senders = new Set(fresh.map((message) => message.senderId));
    const others = delivery.userIds.filter((userId) => !senders.has(userId));
    const { from, to } = delivery;
    if (others.length > 0) {
      this.#room.effects.push({ kind: "deliver", from, to, messages, userIds: others });
    }
    if (others.length === delivery.userIds.length) {
      return;
    }
    for (const userId of delivery.userIds) {
      if (!senders.has(userId)) {
        continue;
      }
      // A sender has its own messages from the acknowledgement.
      const rest = messages.filter((message) => message.senderId !== userId || message.seqId <= this.#ownUpTo);
      if (rest.length === 0) {
        this.#doneHere.push({ userId, delivery });
      } else {
        this.#room.effects.push({ kind: "deliver", from, to, messages: rest, userIds: [userId] });
      }
    }
  }

  /**
   * Away (`soon`: it may have come back this moment), or not reachable. Whoever cannot be found out about now is asked for
   * by the alarm, until the cache says that they are away.
   */
  #recheck(userId: string, cursor: number, soon: boolean): void {
    if (this.#big) {
      return;
    }
    const tries = (this.#rechecks.get(userId) ?? 0) + 1;
    this.#rechecks.set(userId, tries);
    this.#unsure.set(userId, { cursor, soon: soon && tries <= RECHECK_LIMIT && !this.#cacheDown });
    this.tryCache();
  }

  tryCache(): void {
    if (this.#cacheFlight !== undefined) {
      return;
    }
    const room = this.#room;
    const behind = this.#cachedSeqId < room.headSeqId;
    const urgent = this.#retryCache || [...this.#unsure.values()].some((entry) => entry.soon);
    if (!behind && !urgent) {
      return;
    }
    const mayAgain = !this.#cacheDown && room.now >= this.#againNotBefore;
    const again = this.#uncachedFrom !== undefined && (this.#retryCache || mayAgain);
    const presenceOf = this.#big ? [] : this.#members().filter((userId) => again || !this.#rounds.knows(userId));
    if (presenceOf.length === 0 && !urgent && room.now < this.#cacheNotBefore) {
      room.timer("cache", this.#cacheNotBefore - room.now);
      return;
    }
    const from = again ? Math.min(this.#uncachedFrom ?? Infinity, this.#cachedSeqId) : this.#cachedSeqId;
    const to = room.headSeqId;
    this.#cacheNotBefore = room.now + CACHE_PAUSE_MS;
    this.#ownUpTo = again ? to : this.#ownUpTo;
    this.#cacheFlight = { from, to, asked: presenceOf, behindSince: this.#behindSince, big: this.#big, again };
    this.#behindSince = 0;
    this.#retryCache = false;
    room.effects.push(cacheEffect(room, from, to, presenceOf));
  }

  #members(): string[] {
    this.#memberIds ??= this.#room.store.members("", this.#room.limits.directDelivery).map((member) => member.userId);
    return this.#memberIds;
  }
}

/**
 * The way of a room's messages to its readers: one cache pipeline at a time (head, hot messages,
 * presence), delivery rounds to the online members, or fan-out tasks when there are too many.
 */
import type { StoredMessage, FanoutTask } from "./records.ts";
import type { RoomContext } from "./roomContext.ts";
import { DeliveryRounds, type Delivery } from "./rounds.ts";

/** At most one fan-out task in this time. Source: DESIGN section 2, FanoutShard. */
export const FANOUT_WINDOW_MS = 100;
/** Presence is read again for the same receiver so often, per batch, before its client is left to sync. */
const RECHECK_LIMIT = 3;
/**
 * When everybody is known to be here, nobody's presence depends on the pipeline and it may wait so
 * long for more: the sessions themselves know the newest heads (see `SessionRpc.heads`).
 */
const CACHE_PAUSE_MS = 25;

type CacheFlight = { from: number; to: number; asked: string[] };
type Unsure = { cursor: number; soon: boolean };

export class RoomDelivery {
  readonly #room: RoomContext;
  readonly #rounds: DeliveryRounds;
  /** Members of a room small enough for rounds, or undefined when it must be read (again). */
  #memberIds: string[] | undefined;
  /** Deliveries that hold nothing but the receiver's own messages: answered without a call. */
  #doneHere: { userId: string; delivery: Delivery }[] = [];
  #cacheFlight: CacheFlight | undefined;
  #cachedSeqId: number;
  #cacheNotBefore = 0;
  #cacheDown = false;
  readonly #unsure = new Map<string, Unsure>();
  readonly #rechecks = new Map<string, number>();
  #fanoutSeqId: number;
  #fanoutDone = 0;
  #fanoutNotBefore = 0;
  #fanoutSentAt = 0;

  constructor(room: RoomContext) {
    this.#room = room;
    const delivered = Math.min(room.counters.deliveredSeqId, room.headSeqId);
    this.#cachedSeqId = delivered;
    this.#fanoutSeqId = delivered;
    this.#rounds = new DeliveryRounds(
      {
        deliver: (delivery) => this.#deliver(delivery),
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
    if (this.#room.big) {
      return this.#fanoutDone;
    }
    let least = Math.min(this.#rounds.delivered(), this.#cachedSeqId);
    for (const { cursor } of this.#unsure.values()) {
      least = Math.min(least, cursor);
    }
    return least;
  }

  /** Messages up to the head are durable: starts whatever is not under way. */
  committed(): void {
    const room = this.#room;
    if (room.big) {
      this.#rounds.skipTo(room.headSeqId);
      this.tryFanout();
    } else {
      this.#fanoutSeqId = room.headSeqId;
      this.#rounds.committed(room.headSeqId, room.now);
      this.#finishHere();
    }
    this.tryCache();
  }

  /** New messages: whoever was given up for the last batch is asked for again. */
  newBatch(): void {
    this.#rechecks.clear();
  }

  membersChanged(removed: readonly string[]): void {
    this.#memberIds = undefined;
    for (const userId of removed) {
      this.#unsure.delete(userId);
      this.#rounds.remove(userId, this.#room.now);
    }
    this.#finishHere();
  }

  /** Members of this (small) room who are known to be online. */
  onlineMembers(): string[] {
    return this.#room.big ? [] : this.#members().filter((userId) => this.#rounds.knows(userId));
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
    this.#cacheFlight = undefined;
    this.#cacheDown = answer === "failed";
    this.#cachedSeqId = flight.to;
    const everybody = answer === "failed" || !answer.complete;
    const online = new Set(everybody ? flight.asked : answer.online);
    // Who left the conversation while the pipeline was in the air is not asked for any more.
    const members = new Set(this.#room.big ? [] : this.#members());
    for (const userId of flight.asked) {
      const cursor = this.#unsure.get(userId)?.cursor ?? flight.from;
      this.#unsure.delete(userId);
      if (online.has(userId) && members.has(userId)) {
        this.#rounds.found(userId, cursor, this.#room.now);
      }
    }
    this.#finishHere();
    this.tryCache();
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
    this.#fanoutSeqId = Math.min(this.#fanoutSeqId, this.#room.counters.deliveredSeqId);
  }

  fannedOut(toSeqId: number): void {
    this.#fanoutDone = Math.max(this.#fanoutDone, Math.min(toSeqId, this.#room.headSeqId));
  }

  /** Whatever the fan-out has not confirmed for so long is sent again. */
  onAlarm(retryMs: number): void {
    if (this.#room.big && this.#room.now - this.#fanoutSentAt >= retryMs) {
      this.#fanoutSeqId = Math.max(this.#room.counters.deliveredSeqId, this.#fanoutDone);
    }
  }

  tryFanout(): void {
    const room = this.#room;
    if (this.#fanoutSeqId >= room.headSeqId) {
      return;
    }
    if (room.now < this.#fanoutNotBefore) {
      room.timer("fanout", this.#fanoutNotBefore - room.now);
      return;
    }
    const rows = room.fitting(this.#fanoutSeqId);
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
    if (this.#fanoutSeqId < room.headSeqId) {
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
    const senders = new Set(messages.map((message) => message.senderId));
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
      const rest = messages.filter((message) => message.senderId !== userId);
      if (rest.length === 0) {
        this.#doneHere.push({ userId, delivery });
      } else {
        this.#room.effects.push({ kind: "deliver", from, to, messages: rest, userIds: [userId] });
      }
    }
  }

  #recheck(userId: string, cursor: number, soon: boolean): void {
    const tries = (this.#rechecks.get(userId) ?? 0) + 1;
    if (tries > RECHECK_LIMIT || (soon && this.#cacheDown)) {
      return;
    }
    this.#rechecks.set(userId, tries);
    this.#unsure.set(userId, { cursor, soon });
    this.tryCache();
  }

  tryCache(): void {
    if (this.#cacheFlight !== undefined) {
      return;
    }
    const room = this.#room;
    const behind = this.#cachedSeqId < room.headSeqId;
    const again = [...this.#unsure.values()].some((entry) => entry.soon);
    if (!behind && !again) {
      return;
    }
    const from = this.#cachedSeqId;
    const to = room.headSeqId;
    const presenceOf = room.big ? [] : this.#members().filter((userId) => !this.#rounds.knows(userId));
    if (presenceOf.length === 0 && !again && room.now < this.#cacheNotBefore) {
      room.timer("cache", this.#cacheNotBefore - room.now);
      return;
    }
    this.#cacheNotBefore = room.now + CACHE_PAUSE_MS;
    this.#cacheFlight = { from, to, asked: presenceOf };
    const messages = room.rows(Math.max(from, to - room.limits.hotMessages), to).map((row) => row.message);
    room.effects.push({ kind: "cache", headSeqId: to, messages, presenceOf });
  }

  #members(): string[] {
    this.#memberIds ??= this.#room.store.members("", this.#room.limits.directDelivery).map((member) => member.userId);
    return this.#memberIds;
  }
}

/**
 * A user's sends on their way to the rooms: rate limits, then one flight at a time to each
 * conversation, so that a sender's messages keep their order whatever the network between the
 * objects does. A refused send that should be repeated holds back what came behind it until its
 * own time has come; otherwise the later message would overtake it.
 *
 * A flight may also be taken by the bus (`UPSTREAM=topic`): it keeps the order from there, the next flight leaves at once, and
 * what became of each send is heard later.
 */
import type { Fault, Result } from "../protocol/errors.ts";
import { err, ERRORS } from "../protocol/errors.ts";
import type { SendCommand } from "./commands.ts";
import { Lane, type LaneLimits } from "./lane.ts";
import { fullBucket, takeTokens, type Bucket, type Rate } from "./rate.ts";
import { WORLD_ROOM_ID, type StoredMessage } from "./records.ts";

export type SendLimits = { sends: Rate; world: Rate; lane: LaneLimits };

/** Sends one flight carries, and how many may wait behind it. */
export const SEND_LANE: LaneLimits = { flight: 64, waiting: 256 };
/** When the room cannot be reached: repeat after this time. */
const UNREACHABLE_RETRY_MS = 1_000;
const UNREACHABLE: Fault = { name: "UNAVAILABLE", retryAfterMs: UNREACHABLE_RETRY_MS };
/** Sends of one user that the bus has and no room has answered: what 20 a second come to in most of a minute. */
const ON_THE_WAY_MAX = 1_000;
/** Longer than a bus that works takes. What is older makes room when there are too many, and its sender is told to repeat it. */
const ON_THE_WAY_MS = 60_000;
/** Holds that are over are forgotten when there are so many, or twice as many as were still standing then. */
const HOLDS_SWEPT_AT = 256;

export type Parcel<Ticket> = { ticket: Ticket; command: SendCommand };
/** Stands from `from` (inclusive) to `until` (exclusive), epoch milliseconds. */
type Hold = {
  clientMsgId: string;
  from: number;
  until: number;
  fault: Fault;
  /** Between two tokens of the rate that is the reason; 0 for any other reason, which then ends for all at once. */
  spacingMs: number;
  /** Whom it refused since, each with its place in the line: a time that holds is another one for each. */
  followers: Map<string, number>;
};

/** Places kept for one hold; whoever comes later is told the last one's time. */
const FOLLOWERS_LIMIT = 256;

type OnTheWay<Ticket> = { conversationId: string; since: number; parcels: Parcel<Ticket>[] };

export type DeskPorts<Ticket> = {
  /** One flight to a room; answer with `landed`. */
  append(conversationId: string, sends: SendCommand[]): void;
  /** The bus has this send; its answer comes later. */
  taken(ticket: Ticket, conversationId: string, send: SendCommand): void;
  /** The answer for one send, exactly once. */
  answer(ticket: Ticket, conversationId: string, send: SendCommand, outcome: Result<StoredMessage>): void;
};

export class SendDesk<Ticket> {
  readonly #limits: SendLimits;
  readonly #ports: DeskPorts<Ticket>;
  readonly #lanes = new Map<string, Lane<Parcel<Ticket>>>();
  readonly #holds = new Map<string, Hold>();
  /** What the bus has, by conversation and client's key, longest there first. A send that was repeated is there as often. */
  readonly #onTheWay = new Map<string, OnTheWay<Ticket>>();
  /** Answers that came before the bus had said that it has the send. */
  readonly #early = new Map<string, Result<StoredMessage>>();
  #sweepAt = HOLDS_SWEPT_AT;
  readonly #bucket: Bucket;
  readonly #worldBucket: Bucket;

  constructor(limits: SendLimits, ports: DeskPorts<Ticket>, now: number) {
    this.#limits = limits;
    this.#ports = ports;
    this.#bucket = fullBucket(limits.sends, now);
    this.#worldBucket = fullBucket(limits.world, now);
  }

  /** Takes a send in; its answer comes through the port, at once when it is refused here. */
  submit(ticket: Ticket, conversationId: string, command: SendCommand, now: number): void {
    const refused = this.#refusal(conversationId, command, now);
    if (refused !== undefined) {
      this.#ports.answer(ticket, conversationId, command, err(refused));
      return;
    }
    let lane = this.#lanes.get(conversationId);
    if (lane === undefined) {
      lane = new Lane(this.#limits.lane);
      this.#lanes.set(conversationId, lane);
    }
    if (!lane.offer({ ticket, command })) {
      const fault: Fault = { name: "RATE_LIMITED", retryAfterMs: UNREACHABLE_RETRY_MS };
      this.#hold(conversationId, command.clientMsgId, fault, now);
      this.#ports.answer(ticket, conversationId, command, err(fault));
      return;
    }
    this.#depart(conversationId, lane);
  }

  /**
   * A flight came back: outcomes in order, or why nobody knows what became of it. "failed" is for no particular reason.
   */
  landed(conversationId: string, outcomes: Result<StoredMessage>[] | Fault | "failed", now: number): void {
    const lane = this.#lanes.get(conversationId);
    if (lane === undefined) {
      return;
    }
    const known = Array.isArray(outcomes) ? outcomes : undefined;
    const lost = Array.isArray(outcomes) ? undefined : err(outcomes === "failed" ? UNREACHABLE : outcomes);
    let later: Fault | undefined;
    lane.land().forEach(({ ticket, command }, index) => {
      const key = keyOf(conversationId, command.clientMsgId);
      const early = this.#early.get(key);
      this.#early.delete(key);
      const outcome = early ?? lost ?? known?.[index] ?? err({ name: "INTERNAL" });
      const comesAgain = !outcome.ok && (outcome === lost || ERRORS[outcome.fault.name].retry === "later");
      if (later === undefined && comesAgain) {
        later = outcome.fault;
        this.#hold(conversationId, command.clientMsgId, later, now);
      }
      this.#ports.answer(ticket, conversationId, command, outcome);
    });
    if (later !== undefined) {
      // What waited must not overtake what is to be sent again: all of it is, in order.
      for (const { ticket, command } of lane.abandon()) {
        this.#ports.answer(ticket, conversationId, command, err(later));
      }
    }
    this.#depart(conversationId, lane);
    if (lane.idle) {
      this.#lanes.delete(conversationId);
    }
  }

  /** The bus took a flight: its order is kept there, so the next one may leave. */
  taken(conversationId: string, now: number): void {
    const lane = this.#lanes.get(conversationId);
    if (lane === undefined) {
      return;
    }
    for (const { ticket, command } of lane.land()) {
      const key = keyOf(conversationId, command.clientMsgId);
      this.#ports.taken(ticket, conversationId, command);
      const early = this.#early.get(key);
      if (early === undefined) {
        const parcels = [...(this.#onTheWay.get(key)?.parcels ?? []), { ticket, command }];
        this.#onTheWay.delete(key);
        this.#onTheWay.set(key, { conversationId, since: now, parcels });
      } else {
        this.#early.delete(key);
        this.#ports.answer(ticket, conversationId, command, early);
      }
    }
    this.#depart(conversationId, lane);
    if (lane.idle) {
      this.#lanes.delete(conversationId);
    }
  }

  /**
   * What became of a send that the bus had. False when nobody here waits for it: it was answered before, or taken in by an
   * earlier life of this desk.
   */
  settle(conversationId: string, clientMsgId: string, outcome: Result<StoredMessage>, now: number): boolean {
    const key = keyOf(conversationId, clientMsgId);
    const waiting = this.#onTheWay.get(key)?.parcels ?? [];
    this.#onTheWay.delete(key);
    if (!outcome.ok && ERRORS[outcome.fault.name].retry === "later") {
      this.#hold(conversationId, clientMsgId, outcome.fault, now);
    }
    for (const { ticket, command } of waiting) {
      this.#ports.answer(ticket, conversationId, command, outcome);
    }
    const flying = this.#lanes.get(conversationId)?.flying ?? [];
    const isEarly = flying.some(({ command }) => command.clientMsgId === clientMsgId);
    if (isEarly) {
      this.#early.set(key, outcome);
    }
    return isEarly || waiting.length > 0;
  }

  /** Somebody waits no longer for a send that the bus has, and is told so; nothing when it has been answered. */
  giveUp(conversationId: string, clientMsgId: string, ticket: Ticket): void {
    const key = keyOf(conversationId, clientMsgId);
    const waiting = this.#onTheWay.get(key);
    const gone = waiting?.parcels.find((parcel) => parcel.ticket === ticket);
    if (waiting === undefined || gone === undefined) {
      return;
    }
    waiting.parcels = waiting.parcels.filter((parcel) => parcel !== gone);
    if (waiting.parcels.length === 0) {
      this.#onTheWay.delete(key);
    }
    this.#ports.answer(ticket, conversationId, gone.command, err(UNREACHABLE));
  }

  /** Is there room for one more on the bus? */
  #hasWayFor(key: string, now: number): boolean {
    if (this.#onTheWay.size < ON_THE_WAY_MAX || this.#onTheWay.has(key)) {
      return true;
    }
    for (const [old, { conversationId, since, parcels }] of this.#onTheWay) {
      if (since <= now - ON_THE_WAY_MS) {
        this.#onTheWay.delete(old);
        for (const { ticket, command } of parcels) {
          this.#ports.answer(ticket, conversationId, command, err(UNREACHABLE));
        }
      }
    }
    return this.#onTheWay.size < ON_THE_WAY_MAX;
  }

  #depart(conversationId: string, lane: Lane<Parcel<Ticket>>): void {
    const flight = lane.depart();
    if (flight !== undefined) {
      this.#ports.append(
        conversationId,
        flight.map((parcel) => parcel.command),
      );
    }
  }

  #refusal(conversationId: string, command: SendCommand, now: number): Fault | undefined {
    const hold = this.#standing(conversationId, now);
    if (hold !== undefined && hold.clientMsgId !== command.clientMsgId) {
      return {
        ...hold.fault,
        retryAfterMs: hold.until - now + this.#behind(hold, command.clientMsgId),
      };
    }
    this.#holds.delete(conversationId);
    if (!this.#hasWayFor(keyOf(conversationId, command.clientMsgId), now)) {
      const full: Fault = { name: "RATE_LIMITED", retryAfterMs: UNREACHABLE_RETRY_MS };
      this.#hold(conversationId, command.clientMsgId, full, now);
      return full;
    }
    const limits = [{ bucket: this.#bucket, rate: this.#limits.sends }];
    if (conversationId === WORLD_ROOM_ID) {
      limits.push({ bucket: this.#worldBucket, rate: this.#limits.world });
    }
    const waitMs = takeTokens(limits, now);
    if (waitMs === 0) {
      return undefined;
    }
    const fault: Fault = { name: "RATE_LIMITED", retryAfterMs: waitMs };
    const slowest = Math.min(...limits.map(({ rate }) => rate.perSecond));
    this.#hold(conversationId, command.clientMsgId, fault, now, 1000 / slowest);
    return fault;
  }

  /** How much later than the first one its turn comes. A repetition keeps its place. */
  #behind({ spacingMs, followers }: Hold, clientMsgId: string): number {
    const place = followers.get(clientMsgId) ?? Math.min(followers.size + 1, FOLLOWERS_LIMIT);
    if (place < FOLLOWERS_LIMIT) {
      followers.set(clientMsgId, place);
    }
    return Math.ceil(place * spacingMs);
  }

  /** In the place of a hold that stands: what that one refused came after everything that was under way. */
  #hold(conversationId: string, clientMsgId: string, fault: Fault, now: number, spacingMs = 0): void {
    const standing = this.#standing(conversationId, now);
    if (this.#holds.size >= this.#sweepAt) {
      for (const other of this.#holds.keys()) {
        this.#standing(other, now);
      }
      this.#sweepAt = Math.max(HOLDS_SWEPT_AT, 2 * this.#holds.size);
    }
    const until = Math.max(standing?.until ?? now, now + (fault.retryAfterMs ?? UNREACHABLE_RETRY_MS));
    this.#holds.set(conversationId, { clientMsgId, from: now, until, fault, spacingMs, followers: new Map() });
  }

  /** The hold on a conversation, unless it is over. When the clock went back, its time begins again. */
  #standing(conversationId: string, now: number): Hold | undefined {
    const hold = this.#holds.get(conversationId);
    if (hold !== undefined && now < hold.from) {
      hold.until += now - hold.from;
      hold.from = now;
    } else if (hold !== undefined && now >= hold.until) {
      this.#holds.delete(conversationId);
      return undefined;
    }
    return hold;
  }
}

/** A client's key has no blanks. */
function keyOf(conversationId: string, clientMsgId: string): string {
  return `${conversationId} ${clientMsgId}`;
}

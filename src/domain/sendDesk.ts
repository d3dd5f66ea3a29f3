/**
 * A user's sends on their way to the rooms: rate limits, then one flight at a time to each
 * conversation, so that a sender's messages keep their order whatever the network between the
 * objects does. A refused send that should be repeated holds back what came behind it until its
 * own time has come; otherwise the later message would overtake it.
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
/** Holds that are over are forgotten when there are so many, or twice as many as were still standing then. */
const HOLDS_SWEPT_AT = 256;

export type Parcel<Ticket> = { ticket: Ticket; command: SendCommand };
/** Stands from `from` (inclusive) to `until` (exclusive), epoch milliseconds. */
type Hold = { clientMsgId: string; from: number; until: number; fault: Fault };

export type DeskPorts<Ticket> = {
  /** One flight to a room; answer with `landed`. */
  append(conversationId: string, sends: SendCommand[]): void;
  /** The answer for one send, exactly once. */
  answer(ticket: Ticket, conversationId: string, send: SendCommand, outcome: Result<StoredMessage>): void;
};

export class SendDesk<Ticket> {
  readonly #limits: SendLimits;
  readonly #ports: DeskPorts<Ticket>;
  readonly #lanes = new Map<string, Lane<Parcel<Ticket>>>();
  readonly #holds = new Map<string, Hold>();
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
      const outcome = lost ?? known?.[index] ?? err({ name: "INTERNAL" });
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
      return { ...hold.fault, retryAfterMs: hold.until - now };
    }
    this.#holds.delete(conversationId);
    const limits = [{ bucket: this.#bucket, rate: this.#limits.sends }];
    if (conversationId === WORLD_ROOM_ID) {
      limits.push({ bucket: this.#worldBucket, rate: this.#limits.world });
    }
    const waitMs = takeTokens(limits, now);
    if (waitMs === 0) {
      return undefined;
    }
    const fault: Fault = { name: "RATE_LIMITED", retryAfterMs: waitMs };
    this.#hold(conversationId, command.clientMsgId, fault, now);
    return fault;
  }

  /** In the place of a hold that stands: what that one refused came after everything that was under way. */
  #hold(conversationId: string, clientMsgId: string, fault: Fault, now: number): void {
    const standing = this.#standing(conversationId, now);
    if (this.#holds.size >= this.#sweepAt) {
      for (const other of this.#holds.keys()) {
        this.#standing(other, now);
      }
      this.#sweepAt = Math.max(HOLDS_SWEPT_AT, 2 * this.#holds.size);
    }
    const until = Math.max(standing?.until ?? now, now + (fault.retryAfterMs ?? UNREACHABLE_RETRY_MS));
    this.#holds.set(conversationId, { clientMsgId, from: now, until, fault });
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

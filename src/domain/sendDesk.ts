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
import { fullBucket, takeToken, type Bucket, type Rate } from "./rate.ts";
import { WORLD_ROOM_ID, type StoredMessage } from "./records.ts";

export type SendLimits = { sends: Rate; world: Rate; lane: LaneLimits };

/** Sends one flight carries, and how many may wait behind it. */
export const SEND_LANE: LaneLimits = { flight: 64, waiting: 256 };
/** When the room cannot be reached: repeat after this time. */
const UNREACHABLE_RETRY_MS = 1_000;
const UNREACHABLE: Fault = { name: "UNAVAILABLE", retryAfterMs: UNREACHABLE_RETRY_MS };
/** Holds are forgotten when the map has grown to this size; they are short-lived. */
const HOLD_LIMIT = 256;

export type Parcel<Ticket> = { ticket: Ticket; command: SendCommand };
type Hold = { clientMsgId: string; until: number; fault: Fault };

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
    const parcels = lane.land();
    if (!Array.isArray(outcomes)) {
      // What waited must not overtake what may be lost: all of it is to be sent again, in order.
      const fault = outcomes === "failed" ? UNREACHABLE : outcomes;
      const all = [...parcels, ...lane.abandon()];
      const first = all[0];
      if (first !== undefined) {
        this.#hold(conversationId, first.command.clientMsgId, fault, now);
      }
      for (const { ticket, command } of all) {
        this.#ports.answer(ticket, conversationId, command, err(fault));
      }
    } else {
      parcels.forEach(({ ticket, command }, index) => {
        const outcome = outcomes[index] ?? err({ name: "INTERNAL" });
        if (!outcome.ok && ERRORS[outcome.fault.name].retry === "later") {
          this.#hold(conversationId, command.clientMsgId, outcome.fault, now);
        }
        this.#ports.answer(ticket, conversationId, command, outcome);
      });
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
    const hold = this.#holds.get(conversationId);
    if (hold !== undefined) {
      if (now < hold.until && hold.clientMsgId !== command.clientMsgId) {
        return { ...hold.fault, retryAfterMs: hold.until - now };
      }
      this.#holds.delete(conversationId);
    }
    const worldWaitMs = conversationId === WORLD_ROOM_ID ? takeToken(this.#worldBucket, this.#limits.world, now) : 0;
    const waitMs = Math.max(worldWaitMs, worldWaitMs > 0 ? 0 : takeToken(this.#bucket, this.#limits.sends, now));
    if (waitMs === 0) {
      return undefined;
    }
    const fault: Fault = { name: "RATE_LIMITED", retryAfterMs: waitMs };
    this.#hold(conversationId, command.clientMsgId, fault, now);
    return fault;
  }

  #hold(conversationId: string, clientMsgId: string, fault: Fault, now: number): void {
    const current = this.#holds.get(conversationId);
    if (current !== undefined && current.until > now) {
      return;
    }
    if (this.#holds.size >= HOLD_LIMIT) {
      this.#holds.clear();
    }
    const until = now + (fault.retryAfterMs ?? UNREACHABLE_RETRY_MS);
    this.#holds.set(conversationId, { clientMsgId, until, fault });
  }
}

/**
 * Delivery rounds of a conversation with at most 500 members: one batch at a time, the same for
 * every online member, and the next batch carries all that was committed meanwhile. A receiver
 * that has not answered when the others have leaves the round and catches up from the log by
 * itself, so it holds up nobody.
 *
 * Each receiver has a cursor: the last sequence that its `UserSession` took over. A cursor moves
 * only when the delivery was answered, so nothing is skipped when a call fails.
 */

/** Deliveries without an answer at one time; more wait, so that acks get through between them. */
export const ISSUE_WINDOW = 100;
/** When nobody has answered for so long and messages wait, the round goes on without the rest. */
export const PATIENCE_MS = 30;
/** Messages in one delivery; a receiver far behind takes several. */
export const DELIVERY_LIMIT = 100;
/** So many fit always, whatever they say: a frame is at most 64 KiB, a socket bears 1 MiB. No need to measure. */
const ALWAYS_FIT = 4;
/** Failed or unanswered-for deliveries to one receiver in a row before it is given up: its sockets
 * are gone with its object, and the client syncs when it connects again. */
export const STRIKE_LIMIT = 3;
const RETRY_BASE_MS = 100;
/** A delivery without any answer counts as failed after this time: the call may never come back. */
export const FLIGHT_LIMIT_MS = 10_000;
/**
 * After a round of several messages as many are expected again, and the next round waits so long
 * for them: senders who answer to the same round come within a moment of each other, and one round
 * of eight costs as much as a round of one. After a round of one message nothing waits.
 */
export const GATHER_MS = 2;

type Receiver = {
  readonly userId: string;
  /** Last sequence taken over by the receiver's session. */
  cursor: number;
  /** Sequence that the delivery in the air ends with; 0 when none is. */
  flying: number;
  /** Round number of that delivery; 0 for one of its own (catching up). */
  round: number;
  strikes: number;
  /** Not before this time after a failure, epoch milliseconds. */
  retryAt: number;
  /** When the delivery in the air left, epoch milliseconds. */
  flownAt: number;
  /** Where to begin again when that delivery is answered: see `rewind`. */
  rewindTo: number;
};

/** One delivery to issue: messages after `from` up to `to`, to each of `userIds`. */
export type Delivery = { from: number; to: number; userIds: string[] };

export type RoundPorts = {
  /** Issue these now. */
  deliver(delivery: Delivery): void;
  /** The last sequence, after `from` up to `to`, that one delivery can hold: long messages fill it sooner. */
  reach(from: number, to: number): number;
  /** Call `onPatience` / `onRetry` after so many milliseconds. One of each is armed at a time. */
  patience(inMs: number): void;
  retry(inMs: number): void;
  /** Call `onGathered` after so many milliseconds. */
  gather(inMs: number): void;
  /**
   * The receiver turned out to be away (its presence must be read again, it may just have come
   * back), or failed too often (`soon` false: read it with the next batch). It has everything up
   * to `cursor`.
   */
  unsure(userId: string, cursor: number, soon: boolean): void;
};

export class DeliveryRounds {
  readonly #ports: RoundPorts;
  readonly #receivers = new Map<string, Receiver>();
  /** Sequence that the newest round ends with; receivers in step have this cursor afterwards. */
  #roundSeq: number;
  #headSeq: number;
  #round = 0;
  /** Receivers of the running round that have not answered (issued or not). */
  #outstanding = 0;
  #inAir = 0;
  #queue: Receiver[] = [];
  #queueHead = 0;
  #lastAnswerAt = 0;
  #patienceArmed = false;
  #retryArmed = false;
  #gatherArmed = false;
  /** The next round waits for messages until this time, epoch milliseconds; undefined while none waits. */
  #gatherUntil: number | undefined;
  /** Messages of the newest round. */
  #lastBatch = 0;
  /** Messages that waited when the last round ended: those that its readers answer with come on top. */
  #leftWaiting = 0;

  constructor(ports: RoundPorts, deliveredSeqId: number) {
    this.#ports = ports;
    this.#roundSeq = deliveredSeqId;
    this.#headSeq = deliveredSeqId;
  }

  /** Known to be online: no presence has to be read for them. */
  knows(userId: string): boolean {
    return this.#receivers.has(userId);
  }

  get knownCount(): number {
    return this.#receivers.size;
  }

  /** Messages up to here need no further delivery. Only grows. */
  delivered(): number {
    let least = this.#roundSeq;
    for (const receiver of this.#receivers.values()) {
      least = Math.min(least, receiver.cursor);
    }
    return least;
  }

  /** Messages up to `head` are durable. */
  committed(head: number, now: number): void {
    this.#headSeq = head;
    if (this.#outstanding === 0) {
      this.#begin(now);
      return;
    }
    this.#armPatience(PATIENCE_MS);
  }

  /** Enough waiting: what has come goes. */
  onGathered(now: number): void {
    this.#gatherArmed = false;
    if (this.#gatherUntil === undefined) {
      // That round began with everything it waited for.
      return;
    }
    if (now < this.#gatherUntil) {
      this.#armGather(this.#gatherUntil - now);
      return;
    }
    this.#lastBatch = 0;
    this.#begin(now);
  }

  /** Everything up to `head` reached its readers another way (the fan-out of a big room). */
  skipTo(head: number): void {
    if (this.#receivers.size > 0) {
      this.#receivers.clear();
      this.#outstanding = 0;
    }
    this.#headSeq = head;
    this.#roundSeq = head;
  }

  /** A member was found online (or may be): it needs everything after `cursor`. */
  found(userId: string, cursor: number, now: number): void {
    const known = this.#receivers.get(userId);
    if (known !== undefined) {
      return;
    }
    const receiver: Receiver = {
      userId,
      cursor,
      flying: 0,
      round: 0,
      strikes: 0,
      retryAt: 0,
      flownAt: 0,
      rewindTo: Infinity,
    };
    this.#receivers.set(userId, receiver);
    this.#catchUp(receiver, now);
    this.#issue(now);
  }

  /** A receiver may have lost what it took over after `cursor`: it gets it again. */
  rewind(userId: string, cursor: number, now: number): void {
    const receiver = this.#receivers.get(userId);
    if (receiver === undefined || receiver.cursor <= cursor) {
      return;
    }
    if (receiver.flying !== 0) {
      // The answer to the delivery in the air is recognised by the cursor that it left with.
      receiver.rewindTo = Math.min(receiver.rewindTo, cursor);
      return;
    }
    receiver.cursor = cursor;
    this.#catchUp(receiver, now);
    this.#issue(now);
  }

  /** Deliveries that nobody has answered for long: the same as failed ones. */
  expire(now: number): void {
    for (const { userId, cursor, flying, flownAt } of this.#receivers.values()) {
      if (flying !== 0 && now - flownAt >= FLIGHT_LIMIT_MS) {
        this.answered(userId, { from: cursor, to: flying }, "failed", now);
      }
    }
  }

  /** No longer a member: gets nothing more, also not from a delivery that waits. */
  remove(userId: string, now: number): void {
    const receiver = this.#receivers.get(userId);
    if (receiver === undefined) {
      return;
    }
    this.#receivers.delete(userId);
    this.#leaveRound(receiver, now);
  }

  /** The receiver's session answered with its number of open sockets, or the call failed. */
  answered(userId: string, delivery: { from: number; to: number }, sockets: number | "failed", now: number): void {
    this.#inAir = Math.max(0, this.#inAir - 1);
    const receiver = this.#receivers.get(userId);
    // A member removed and added again meets the answer to an earlier delivery: not this one.
    const mine = receiver?.cursor === delivery.from && receiver.flying === delivery.to;
    if (receiver === undefined || !mine) {
      this.#issue(now);
      return;
    }
    this.#lastAnswerAt = now;
    const taken = receiver.flying;
    receiver.flying = 0;
    if (sockets === "failed") {
      receiver.strikes += 1;
      if (receiver.strikes >= STRIKE_LIMIT) {
        this.#receivers.delete(userId);
        this.#ports.unsure(userId, receiver.cursor, false);
      } else {
        receiver.retryAt = now + RETRY_BASE_MS * 2 ** receiver.strikes;
        this.#armRetry(RETRY_BASE_MS * 2 ** receiver.strikes);
      }
    } else if (sockets === 0) {
      this.#receivers.delete(userId);
      this.#ports.unsure(userId, receiver.cursor, true);
    } else {
      receiver.cursor = Math.min(Math.max(receiver.cursor, taken), receiver.rewindTo);
      receiver.strikes = 0;
    }
    receiver.rewindTo = Infinity;
    this.#leaveRound(receiver, now);
    if (this.#receivers.get(userId) === receiver) {
      this.#catchUp(receiver, now);
    }
    this.#issue(now);
  }

  onPatience(now: number): void {
    this.#patienceArmed = false;
    if (this.#outstanding === 0 || this.#headSeq === this.#roundSeq) {
      return;
    }
    const quietMs = now - this.#lastAnswerAt;
    if (this.#queueHead < this.#queue.length || quietMs < PATIENCE_MS) {
      this.#armPatience(Math.max(1, PATIENCE_MS - quietMs));
      return;
    }
    // The rest become laggards: still in the air, but no longer waited for.
    for (const receiver of this.#receivers.values()) {
      if (receiver.round === this.#round) {
        receiver.round = 0;
      }
    }
    this.#outstanding = 0;
    this.#inAir = 0;
    this.#begin(now);
  }

  onRetry(now: number): void {
    this.#retryArmed = false;
    for (const receiver of this.#receivers.values()) {
      if (receiver.retryAt > now) {
        this.#armRetry(receiver.retryAt - now);
      } else if (receiver.strikes > 0) {
        this.#catchUp(receiver, now);
      }
    }
    this.#issue(now);
  }

  #begin(now: number): void {
    while (this.#outstanding === 0 && this.#headSeq > this.#roundSeq) {
      const waiting = this.#headSeq - this.#roundSeq;
      if (this.#lastBatch > 1 && waiting < this.#leftWaiting + this.#lastBatch && this.#receivers.size > 1) {
        this.#gatherUntil ??= now + GATHER_MS;
        this.#armGather(GATHER_MS);
        break;
      }
      this.#leftWaiting = 0;
      this.#gatherUntil = undefined;
      const from = this.#roundSeq;
      this.#roundSeq = this.#reach(from, this.#headSeq);
      this.#lastBatch = this.#roundSeq - from;
      this.#round += 1;
      this.#lastAnswerAt = now;
      for (const receiver of this.#receivers.values()) {
        if (receiver.flying !== 0 || receiver.retryAt > now) {
          continue;
        }
        if (receiver.cursor === from) {
          receiver.flying = this.#roundSeq;
          receiver.flownAt = now;
          receiver.round = this.#round;
          this.#outstanding += 1;
          this.#queue.push(receiver);
        } else {
          this.#catchUp(receiver, now);
        }
      }
    }
    this.#issue(now);
    if (this.#outstanding > 0 && this.#headSeq > this.#roundSeq) {
      this.#armPatience(PATIENCE_MS);
    }
  }

  #reach(from: number, to: number): number {
    const end = Math.min(to, from + DELIVERY_LIMIT);
    return end - from <= ALWAYS_FIT ? end : this.#ports.reach(from, end);
  }

  /** A delivery of its own for a receiver that is behind the rounds. */
  #catchUp(receiver: Receiver, now: number): void {
    if (receiver.flying !== 0 || receiver.cursor >= this.#roundSeq || receiver.retryAt > now) {
      return;
    }
    receiver.flying = this.#reach(receiver.cursor, this.#roundSeq);
    receiver.flownAt = now;
    receiver.round = 0;
    this.#queue.push(receiver);
  }

  #leaveRound(receiver: Receiver, now: number): void {
    const inRound = receiver.round !== 0 && receiver.round === this.#round;
    receiver.round = 0;
    if (!inRound) {
      return;
    }
    this.#outstanding -= 1;
    if (this.#outstanding === 0) {
      this.#leftWaiting = this.#headSeq - this.#roundSeq;
      this.#begin(now);
    }
  }

  /** Issues what waits, as far as the window allows; neighbours with the same batch go together. */
  #issue(now: number): void {
    while (this.#queueHead < this.#queue.length && this.#inAir < ISSUE_WINDOW) {
      const first = this.#queue[this.#queueHead];
      this.#queueHead += 1;
      if (first === undefined || !this.#stillDue(first)) {
        continue;
      }
      first.flownAt = now;
      const delivery: Delivery = { from: first.cursor, to: first.flying, userIds: [first.userId] };
      this.#inAir += 1;
      while (this.#queueHead < this.#queue.length && this.#inAir < ISSUE_WINDOW) {
        const next = this.#queue[this.#queueHead];
        if (next === undefined || next.cursor !== first.cursor || next.flying !== first.flying) {
          break;
        }
        this.#queueHead += 1;
        if (this.#stillDue(next)) {
          next.flownAt = now;
          delivery.userIds.push(next.userId);
          this.#inAir += 1;
        }
      }
      this.#ports.deliver(delivery);
    }
    if (this.#queueHead === this.#queue.length) {
      this.#queue = [];
      this.#queueHead = 0;
    }
  }

  #stillDue(receiver: Receiver): boolean {
    return receiver.flying !== 0 && this.#receivers.get(receiver.userId) === receiver;
  }

  #armPatience(inMs: number): void {
    if (!this.#patienceArmed) {
      this.#patienceArmed = true;
      this.#ports.patience(inMs);
    }
  }

  #armGather(inMs: number): void {
    if (!this.#gatherArmed) {
      this.#gatherArmed = true;
      this.#ports.gather(inMs);
    }
  }

  #armRetry(inMs: number): void {
    if (!this.#retryArmed) {
      this.#retryArmed = true;
      this.#ports.retry(inMs);
    }
  }
}

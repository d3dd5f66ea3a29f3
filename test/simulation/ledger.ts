/**
 * What the system has promised, kept outside of it. Every commit, answer, delivery and emitted
 * message is compared with it at the moment it happens; the first difference ends the run.
 */
import type { PendingRow, ClientEvent } from "../../sdk/src/core/index.ts";
import type { SendCommand } from "../../src/domain/commands.ts";
import type { Counters } from "../../src/domain/ports.ts";
import { WORLD_ROOM_ID, type MemberState, type StoredMessage } from "../../src/domain/records.ts";
import type { Result } from "../../src/protocol/errors.ts";
import type { ServerFrame } from "../../src/protocol/frames.ts";
import type { DeviceNode } from "./deviceNode.ts";
import { ChangeLedger, ReceiptLedger } from "./changeLedger.ts";
import { check } from "./check.ts";
import type { Commit } from "./memoryStore.ts";
import { ReaderLedger } from "./readerLedger.ts";
import type { RoomNode } from "./roomNode.ts";
import type { Sim } from "./sim.ts";
import { Truth, type Submission } from "./truth.ts";

export class Ledger {
  readonly #sim: Sim;
  readonly truths = new Map<string, Truth>();
  readonly submissions = new Map<string, Submission>();
  /** Answers to (sender, key) as they left a room or reached a device. */
  readonly #acks = new Map<string, { messageId: string; seqId: number }>();
  readonly #messageIds = new Set<string>();
  readonly #lastOrder = new Map<string, number>();
  /** How far each reader has read, as each device was told last. */
  readonly #receipts = new Map<string, number>();
  /** Users who may miss the end of the world room until its next message: see `ShardNode.crash`. */
  readonly excused = new Set<string>();
  readonly changes: ChangeLedger;
  readonly receipts: ReceiptLedger;
  readonly readers: ReaderLedger;
  acks = 0;
  failures = 0;

  constructor(sim: Sim) {
    this.#sim = sim;
    this.changes = new ChangeLedger(sim);
    this.receipts = new ReceiptLedger(sim);
    this.readers = new ReaderLedger(sim);
  }

  truth(id: string): Truth {
    let truth = this.truths.get(id);
    if (truth === undefined) {
      truth = new Truth(id);
      this.truths.set(id, truth);
    }
    return truth;
  }

  // ---- people

  submitted(device: DeviceNode, row: PendingRow): void {
    this.submissions.set(row.data.clientMsgId, {
      device: device.name,
      userId: device.user.name,
      row,
      order: this.submissions.size + 1,
      outcome: "open",
      frames: 0,
    });
  }

  /** A send frame goes out: from the second one on it is a resend. */
  leavesDevice(device: DeviceNode, clientMsgId: string): void {
    const submission = this.submissions.get(clientMsgId);
    check(submission !== undefined, "sends come from people", () => `${device.name} sent ${clientMsgId}`);
    if (submission !== undefined) {
      submission.frames += 1;
    }
  }

  // ---- rooms

  /** What one event of a room wrote is durable now. */
  committed(room: RoomNode, commit: Commit): void {
    const truth = this.truth(room.id);
    for (const { message } of commit.rows) {
      this.#stored(truth, message);
    }
    for (const row of commit.replaced) {
      this.changes.replaced(truth, row);
    }
    for (const note of commit.notes) {
      this.changes.noted(truth, note);
    }
    this.receipts.outbox(truth, commit.outbox);
    if (commit.counters !== undefined) {
      this.#counted(truth, commit.counters);
    }
    for (const userId of commit.removed) {
      const member = truth.members.get(userId);
      if (member !== undefined) {
        member.leftAt = truth.head;
        member.leftAtUs = this.#sim.kernel.now;
        member.changes += 1;
      }
      truth.memberRows.delete(userId);
    }
    for (const member of commit.put) {
      this.#memberPut(truth, member);
    }
    if (commit.pruned > 0) {
      const { persistedSeqId } = truth.counters;
      check(
        commit.pruned <= persistedSeqId,
        "rows leave the log only when SQL has them",
        () => `${room.id} ${commit.pruned} > ${persistedSeqId}`,
      );
    }
    this.#sim.kernel.mix(truth.head);
  }

  #stored(truth: Truth, message: StoredMessage): void {
    const { seqId, messageId, senderId, clientMsgId } = message;
    const key = `${senderId} ${clientMsgId}`;
    const where = (): string => `${truth.id} seq ${seqId} ${messageId} ${key}, head ${truth.head}`;
    check(seqId === truth.head + 1, "sequences rise by one", where);
    check(!this.#messageIds.has(messageId), "a message id is given once", where);
    check(!truth.byKey.has(key), "nothing is stored twice", where);
    const submission = this.submissions.get(clientMsgId);
    check(submission?.row.data.content === message.content, "what is stored is what was sent", where);
    const member = truth.members.get(senderId);
    check(
      truth.id === WORLD_ROOM_ID || (member !== undefined && member.leftAt === undefined),
      "only members send",
      where,
    );
    const mutedUntil = truth.memberRows.get(senderId)?.mutedUntil ?? 0;
    check(mutedUntil <= message.createdAt, "who is muted says nothing", () => `${where()}, muted until ${mutedUntil}`);
    if (submission !== undefined && submission.outcome !== "failed") {
      // A late copy of a refused frame may come when its sender is a member again: it has no place in their order.
      const lane = `${submission.device} ${truth.id}`;
      check((this.#lastOrder.get(lane) ?? 0) < submission.order, "a sender's messages keep their order", where);
      this.#lastOrder.set(lane, submission.order);
    }
    this.#messageIds.add(messageId);
    truth.rows.push(message);
    truth.byKey.set(key, message);
    truth.read.set(senderId, Math.max(truth.read.get(senderId) ?? 0, seqId));
  }

  #counted(truth: Truth, counters: Counters): void {
    const before = truth.counters;
    const where = (): string =>
      `${truth.id} ${JSON.stringify(before)} → ${JSON.stringify(counters)}, head ${truth.head}`;
    check(
      counters.persistedSeqId >= before.persistedSeqId &&
        counters.deliveredSeqId >= before.deliveredSeqId &&
        counters.firstSeqId >= before.firstSeqId &&
        counters.logId >= before.logId,
      "watermarks only grow",
      where,
    );
    check(
      counters.persistedSeqId <= truth.head && counters.deliveredSeqId <= truth.head,
      "watermarks never pass the head",
      where,
    );
    const { sql } = this.#sim;
    for (let seqId = before.persistedSeqId + 1; seqId <= counters.persistedSeqId; seqId++) {
      check(
        sql.has(truth.id, seqId),
        "the persisted watermark tells the truth",
        () => `${where()}, SQL lacks ${seqId}`,
      );
    }
    truth.counters = counters;
  }

  #memberPut(truth: Truth, member: MemberState): void {
    const { userId, readSeqId } = member;
    const where = (): string => `${truth.id} ${userId} reads ${readSeqId}, head ${truth.head}`;
    check(readSeqId <= truth.head, "read pointers never pass the head", where);
    const known = truth.members.get(userId);
    if (known === undefined || known.leftAt !== undefined) {
      // Whoever was there before anything went wrong has had no change.
      const changes = known === undefined && !this.#sim.begun ? 0 : (known?.changes ?? 0) + 1;
      truth.members.set(userId, { joinedAt: truth.head, leftAt: undefined, changes });
      truth.read.set(userId, readSeqId);
    } else {
      const before = truth.memberRows.get(userId)?.readSeqId ?? 0;
      check(readSeqId >= before, "read pointers only grow", () => `${where()}, was ${before}`);
    }
    truth.memberRows.set(userId, member);
    if (member.mutedUntil !== undefined) {
      truth.muted.add(userId);
    }
  }

  /** `mark-read` was answered: from now on the pointer stands there at least. */
  read(id: string, userId: string, readSeqId: number): void {
    const truth = this.truth(id);
    if (truth.members.get(userId)?.leftAt === undefined) {
      truth.read.set(userId, Math.max(truth.read.get(userId) ?? 0, readSeqId));
    }
  }

  /** Sends reach a room; those that it may have already are counted as resends. */
  offered(id: string, sends: readonly SendCommand[]): void {
    const truth = this.truth(id);
    for (const { actor, clientMsgId } of sends) {
      if (truth.byKey.has(`${actor.userId} ${clientMsgId}`)) {
        this.#sim.hits.resend += 1;
      }
    }
  }

  /** An append's answer leaves the room: a promise. */
  promised(id: string, sends: readonly SendCommand[], outcomes: Result<StoredMessage>[] | "failed"): void {
    if (outcomes === "failed") {
      return;
    }
    const truth = this.truth(id);
    sends.forEach(({ actor, clientMsgId }, index) => {
      const outcome = outcomes[index];
      if (outcome?.ok === true) {
        const { messageId, seqId } = outcome.value;
        const where = (): string => `${id} ${actor.userId} ${clientMsgId} → ${messageId} seq ${seqId}`;
        check(truth.rows[seqId - 1]?.messageId === messageId, "what is acknowledged is durable", where);
        this.#acked(`${id} ${actor.userId} ${clientMsgId}`, messageId, seqId, where);
      }
    });
  }

  #acked(key: string, messageId: string, seqId: number, where: () => string): void {
    const before = this.#acks.get(key);
    if (before === undefined) {
      this.#acks.set(key, { messageId, seqId });
    } else {
      check(before.messageId === messageId && before.seqId === seqId, "an answer never changes", where);
    }
  }

  // ---- devices

  frame(device: DeviceNode, frame: ServerFrame): void {
    if (frame.type === "message-ack" && frame.data.messageId !== undefined && frame.data.seqId !== undefined) {
      const { conversationId, clientMsgId, messageId, seqId } = frame.data;
      const where = (): string => `${device.name} ${clientMsgId} → ${messageId} seq ${seqId}`;
      const row = this.truth(conversationId).rows[seqId - 1];
      check(row?.messageId === messageId, "what is acknowledged is durable", where);
      this.#acked(`${conversationId} ${device.user.name} ${clientMsgId}`, messageId, seqId, where);
      this.#sim.kernel.mix(seqId);
    } else if (frame.type === "message-confirmed") {
      const { conversationId, seqId } = frame.data;
      const inSql = this.#sim.sql.has(conversationId, seqId);
      check(inSql, "what is confirmed is in SQL", () => `${device.name} ${conversationId} seq ${seqId}`);
    } else {
      this.changes.frame(device.user.name, device.name, frame);
    }
  }

  event(device: DeviceNode, event: ClientEvent): void {
    switch (event.type) {
      case "message":
        if (event.live && (this.truth(event.conversationId).reactions.get(event.message.seqId)?.size ?? 0) > 0) {
          device.bare.add(`${event.conversationId} ${event.message.seqId}`);
        }
        return this.readers.emitted(device, event.conversationId, event.message);
      case "accepted": {
        const submission = this.submissions.get(event.clientMsgId);
        const where = (): string => `${device.name} ${event.clientMsgId}`;
        // A failed one turns out to have arrived when an earlier copy of it comes to its place.
        check(submission !== undefined && submission.outcome !== "accepted", "a send is answered once", where);
        const row = this.truth(event.conversationId).rows[event.seqId - 1];
        check(
          row?.messageId === event.messageId && row.clientMsgId === event.clientMsgId,
          "what is acknowledged is durable",
          where,
        );
        if (submission !== undefined) {
          this.failures -= submission.outcome === "failed" ? 1 : 0;
          submission.outcome = "accepted";
        }
        this.acks += 1;
        return;
      }
      case "failed": {
        const submission = this.submissions.get(event.clientMsgId);
        check(submission?.outcome === "open", "a send is answered once", () => `${device.name} ${event.clientMsgId}`);
        if (submission !== undefined) {
          submission.outcome = "failed";
        }
        this.failures += 1;
        return;
      }
      case "gap":
        check(
          false,
          "no gap is left",
          () => `${device.name} ${event.conversationId} ${event.fromSeqId}–${event.toSeqId}`,
        );
        return;
      case "frame":
        if (event.frame.type === "message-read-receipt") {
          const { conversationId, userId, readSeqId } = event.frame.data;
          const key = `${device.name} ${conversationId} ${userId}`;
          const before = this.#receipts.get(key) ?? 0;
          check(
            readSeqId > before,
            "a receipt comes once and never goes back",
            () => `${key} ${before} → ${readSeqId}`,
          );
          this.#receipts.set(key, readSeqId);
        }
        return;
      case "state":
      case "item":
      case "removed":
      case "synced":
    }
  }
}

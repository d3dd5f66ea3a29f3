/** What was promised about messages after they were sent: edits, recalls, reactions; and about who hears of reading. */
import type { RoomChange } from "../../src/domain/commands.ts";
import { seqIdOf } from "../../src/domain/messageId.ts";
import type { LogRow, OutboxRow } from "../../src/domain/ports.ts";
import type { StoredMessage } from "../../src/domain/records.ts";
import type { Result } from "../../src/protocol/errors.ts";
import type { ServerFrame } from "../../src/protocol/frames.ts";
import type { Message } from "../../src/protocol/things.ts";
import { check, fail } from "./check.ts";
import type { MessageDeed } from "./gateway.ts";
import type { ChangeNote } from "./memoryChanges.ts";
import type { Sim } from "./sim.ts";
import type { Truth } from "./truth.ts";

export class ChangeLedger {
  readonly #sim: Sim;
  /** Contents that people wanted, by message. */
  readonly #wished = new Map<string, Set<string>>();
  edits = 0;
  recalls = 0;
  reactions = 0;

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  /** Somebody is about to do this. */
  wished(deed: MessageDeed): void {
    if (deed.kind === "edit") {
      const wishes = this.#wished.get(deed.messageId) ?? new Set<string>();
      wishes.add(deed.content);
      this.#wished.set(deed.messageId, wishes);
    }
  }

  /** The answer to a change is a promise. */
  answered(id: string, deed: MessageDeed, result: Result<RoomChange<unknown>>): void {
    if (!result.ok) {
      return;
    }
    const truth = this.#sim.ledger.truth(id);
    const seqId = seqIdOf(deed.messageId);
    const row = truth.rows[seqId - 1];
    const where = (): string => `${id} seq ${seqId} ${JSON.stringify(deed)}, is ${JSON.stringify(row)}`;
    if (deed.kind === "edit") {
      const durable = row?.content === deed.content || truth.forms.get(seqId)?.contents.has(deed.content) === true;
      check(durable, "an acknowledged change is durable", where);
    } else if (deed.kind === "recall") {
      check(row?.recalledAt !== undefined, "an acknowledged change is durable", where);
    }
  }

  /** A changed message is durable now. */
  replaced(truth: Truth, { message, logId }: LogRow): void {
    const { seqId } = message;
    const before = truth.rows[seqId - 1];
    const where = (): string => `${truth.id} ${JSON.stringify(before)} → ${JSON.stringify(message)}`;
    if (before === undefined || before.messageId !== message.messageId || before.senderId !== message.senderId) {
      fail("a changed message keeps its place", where());
    }
    const known = truth.logIds.get(seqId) ?? 0;
    check(logId > known, "each change has its own number", () => `${where()}, ${known} → ${logId}`);
    check(
      before.recalledAt === undefined || message.recalledAt === before.recalledAt,
      "recalled once is recalled for good",
      where,
    );
    truth.logIds.set(seqId, logId);
    const forms = truth.forms.get(seqId) ?? { contents: new Map<unknown, number>(), recalled: false };
    truth.forms.set(seqId, forms);
    forms.contents.set(before.content, forms.contents.get(before.content) ?? 0);
    if (message.recalledAt !== undefined) {
      check(message.content === undefined && message.mentions === undefined, "a tombstone says nothing", where);
      this.recalls += forms.recalled ? 0 : 1;
      forms.recalled = true;
    } else if (message.content !== before.content) {
      this.#edited(truth, before, message, where);
      forms.contents.set(message.content, this.#sim.kernel.now);
      this.edits += 1;
    } else {
      check(message.replyTo?.preview === "", "a message changes only when somebody changes it", where);
    }
    truth.rows[seqId - 1] = message;
    truth.byKey.set(`${message.senderId} ${message.clientMsgId}`, message);
    this.#sim.kernel.mix(seqId);
  }

  #edited(truth: Truth, before: StoredMessage, message: StoredMessage, where: () => string): void {
    const { content, editedAt = 0, senderId, messageId } = message;
    const wished = typeof content === "string" && this.#wished.get(messageId)?.has(content) === true;
    check(wished, "an edit says what was asked for", where);
    check(editedAt > (before.editedAt ?? before.createdAt), "the later edit has the later time", where);
    const mutedUntil = truth.memberRows.get(senderId)?.mutedUntil ?? 0;
    check(mutedUntil <= editedAt, "who is muted says nothing", () => `${where()} until ${mutedUntil}`);
  }

  /** Edits and reactions beside the messages. */
  noted(truth: Truth, note: ChangeNote): void {
    switch (note.kind) {
      case "edit":
        truth.edits.set(note.seqId, [...(truth.edits.get(note.seqId) ?? []), note.edit]);
        return;
      case "reaction": {
        const list = truth.reactions.get(note.seqId) ?? new Set<string>();
        truth.reactions.set(note.seqId, list);
        const key = `${note.emoji} ${note.userId}`;
        this.reactions += 1;
        if (note.wanted) {
          list.add(key);
        } else {
          list.delete(key);
        }
        return;
      }
      case "forgotten":
        truth.edits.delete(note.seqId);
        truth.reactions.delete(note.seqId);
    }
  }

  /** Whether this message has had this form, durably. */
  hadForm(truth: Truth, message: Message): boolean {
    const forms = truth.forms.get(message.seqId);
    return (
      forms !== undefined &&
      (message.recalledAt === undefined
        ? forms.contents.has(message.content)
        : forms.recalled && !("content" in message))
    );
  }

  /** News of a message reach a device. */
  frame(userId: string, where: string, frame: ServerFrame): void {
    if (frame.type === "message-recalled") {
      const { conversationId, seqId } = frame.data;
      const row = this.#sim.ledger.truth(conversationId).rows[seqId - 1];
      check(row?.recalledAt !== undefined, "what is told has happened", () => `${where}: ${conversationId} ${seqId}`);
    } else if (frame.type === "message-updated") {
      const { message } = frame.data;
      const truth = this.#sim.ledger.truth(message.conversationId);
      const writtenAt = truth.forms.get(message.seqId)?.contents.get(message.content);
      check(writtenAt !== undefined, "what is told has happened", () => `${where}: ${JSON.stringify(message)}`);
      const leftAtUs = truth.members.get(userId)?.leftAtUs;
      check(
        leftAtUs === undefined || (writtenAt ?? 0) <= leftAtUs,
        "nobody gets what was written after they left",
        () => `${where}: edit of ${message.conversationId} ${message.seqId} at ${writtenAt}, left at ${leftAtUs}`,
      );
    }
  }
}

type ReadEvent = { event_type: string; user_id?: string; payload: { from_seq?: number; to_seq?: number } };

/** Receipts: owed by each durable move of a read pointer to those who wrote what was read. */
export class ReceiptLedger {
  readonly #sim: Sim;
  /** Sequence up to which each writer is to be told of each reader, by conversation, writer and reader. */
  readonly #owed = new Map<string, number>();
  readonly #told = new Map<string, number>();

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  /** Outbox rows that are durable now. */
  outbox(truth: Truth, rows: readonly OutboxRow[]): void {
    for (const { topic, body } of rows) {
      const event = topic === "gochat.message-events" ? (JSON.parse(body) as ReadEvent) : undefined;
      if (event?.event_type === "message.read") {
        const { from_seq: from = 0, to_seq: to = 0 } = event.payload;
        const reader = event.user_id ?? "";
        check(from < to && to <= truth.head, "a receipt tells the truth", () => `${truth.id} ${body}`);
        for (const { senderId } of truth.rows.slice(from, to)) {
          if (senderId !== reader) {
            this.#owed.set(`${truth.id} ${senderId} ${reader}`, to);
          }
        }
      }
    }
  }

  /** A writer's object hears that `reader` has read up to `to`. */
  reached(writer: string, id: string, reader: string, to: number): void {
    const truth = this.#sim.ledger.truth(id);
    const read = truth.memberRows.get(reader)?.readSeqId ?? to;
    check(to <= read, "a receipt tells the truth", () => `${writer}: ${id} ${reader} ${to}, has read ${read}`);
    const key = `${id} ${writer} ${reader}`;
    this.#told.set(key, Math.max(to, this.#told.get(key) ?? 0));
  }

  /** At the end: nobody waits for a receipt any more, but for those who came or went. */
  check(): void {
    for (const [key, to] of this.#owed) {
      const [id = "", writer = "", reader = ""] = key.split(" ");
      const { members } = this.#sim.ledger.truth(id);
      const stayed = [writer, reader].every((userId) => members.get(userId)?.changes === 0);
      const told = this.#told.get(key) ?? 0;
      check(told >= to || !stayed, "receipts come", () => `${key} up to ${to}, told up to ${told}`);
    }
  }
}

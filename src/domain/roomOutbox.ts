/**
 * The way of a room's changes to SQL and to the bus: one persist batch at a time, and rows that stay
 * until somebody confirmed them. Messages need no row: the `persisted` watermark is behind the head.
 */
import type { ServerFrame } from "../protocol/frames.ts";
import { staleSeqIds } from "./changeNotices.ts";
import { utf8Bytes } from "./jsonSize.ts";
import type { LogRow, OutboxRow } from "./ports.ts";
import type { FanoutTask, PersistBatch, RoomRecord, StoredMessage } from "./records.ts";
import { BATCH_BYTES, type RoomContext } from "./roomContext.ts";
import type { OutboxDraft } from "./roomEffects.ts";

/** What is not confirmed after this time is sent again; doubles up to the maximum. */
export const OUTBOX_RETRY_MS = 5_000;
export const OUTBOX_RETRY_MAX_MS = 60_000;
/** The next persist batch leaves after this multiple of the last one's way there and back, at most
 * after the maximum: alone a message is in SQL at once, under load batches grow. */
const PERSIST_PAUSE_FACTOR = 3;
const PERSIST_PAUSE_MAX_MS = 250;
const OUTBOX_PAGE = 200;
/** Of a batch, for changes that are not messages; the largest message (50 KB) fits beside them. */
const CHANGES_BYTES = BATCH_BYTES / 2;
const PERSIST_TOPIC = "gochat.messages.persist";
const FANOUT_TOPIC = "gochat.tasks.fanout";

export class RoomOutbox {
  readonly #room: RoomContext;
  #flight: { to: number; startedAt: number } | undefined;
  #notBefore = 0;
  #unsent: OutboxRow[] = [];
  #settled: number[] = [];
  /** When each outbox row was last sent (or begun to be written through). */
  readonly #sentAt = new Map<number, number>();

  constructor(room: RoomContext) {
    this.#room = room;
    if (room.hasOutbox) {
      this.#noteUntold(room.store.findOutbox('"notice":'));
    }
  }

  get retryMs(): number {
    return Math.min(OUTBOX_RETRY_MAX_MS, OUTBOX_RETRY_MS * 2 ** Math.min(this.#room.attempts, 10));
  }

  /** Rows that were committed just now. Held ones are written through by their caller. */
  added(rows: readonly OutboxRow[], held: boolean): void {
    for (const row of rows) {
      this.#sentAt.set(row.id, this.#room.now);
    }
    this.#room.hasOutbox ||= rows.length > 0;
    this.#noteUntold(rows);
    this.#publish(rows);
    if (!held) {
      this.#unsent.push(...rows.filter((row) => row.topic === PERSIST_TOPIC));
    }
  }

  /**
   * Rows that SQL does not have yet, oldest first, as many as fit. Whoever writes a later change through takes them along: its
   * version in SQL says that everything before it is there, a removal for example.
   */
  behind(): OutboxRow[] {
    if (!this.#room.hasOutbox) {
      return [];
    }
    let bytes = 0;
    return this.#room.store.outbox(OUTBOX_PAGE).filter((row) => {
      bytes += row.topic === PERSIST_TOPIC ? utf8Bytes(row.body) : 0;
      return row.topic === PERSIST_TOPIC && bytes <= CHANGES_BYTES;
    });
  }

  /**
   * Rows that somebody has confirmed. They leave the disk with the room's next change or persisted batch, at the latest with the
   * alarm: a transaction for each confirmation is a write that somebody else's acknowledgement waits behind. A room that dies
   * before sends them again, which changes nothing, as if the confirmation had been lost.
   */
  settled(outboxIds: readonly number[]): void {
    this.#settled.push(...outboxIds);
    this.deleted(outboxIds);
  }

  /** Before anybody asks which rows are not confirmed, or writes some. */
  deleteSettled(): void {
    const ids = this.#settled.splice(0);
    if (ids.length > 0) {
      this.#room.store.transaction(() => this.#room.store.deleteOutbox(ids));
    }
  }

  /** Inside the store's transaction. */
  delete(outboxIds: readonly number[]): void {
    if (outboxIds.length > 0) {
      this.#room.store.deleteOutbox(outboxIds);
    }
  }

  /** After it. */
  deleted(outboxIds: readonly number[]): void {
    if (outboxIds.length > 0) {
      const gone = new Set(outboxIds);
      this.#unsent = this.#unsent.filter((row) => !gone.has(row.id));
      for (const id of gone) {
        this.#sentAt.delete(id);
        this.#room.untold.delete(id);
      }
    }
  }

  /** SQL has messages up to `toSeqId`: the next batch may leave, after a pause under load. */
  persisted(toSeqId: number): void {
    const flight = this.#flight;
    if (flight !== undefined && toSeqId >= flight.to) {
      const { now } = this.#room;
      const pauseMs = (now - flight.startedAt) * PERSIST_PAUSE_FACTOR;
      this.#notBefore = now + Math.min(PERSIST_PAUSE_MAX_MS, pauseMs);
      this.#flight = undefined;
      this.#room.attempts = 0;
    }
  }

  /** Refused by the bus, or given up by the consumer: the alarm tries again. */
  failed(): void {
    this.#flight = undefined;
    this.#room.attempts += 1;
  }

  onAlarm(): void {
    const room = this.#room;
    this.deleteSettled();
    if (this.#flight !== undefined && room.now - this.#flight.startedAt >= this.retryMs) {
      this.failed();
    }
    const kept = room.store.outbox(OUTBOX_PAGE);
    room.hasOutbox = kept.length > 0;
    const due = kept.filter((row) => room.now - (this.#sentAt.get(row.id) ?? 0) >= OUTBOX_RETRY_MS);
    const isFree = this.#flight === undefined;
    for (const row of due) {
      // Behind a batch that is under way no record leaves: one that counted as sent would come after later ones, and SQL would have
      // the version that an older record tells.
      if (isFree || row.topic !== PERSIST_TOPIC) {
        this.#sentAt.set(row.id, room.now);
      }
    }
    this.#publish(due);
    if (isFree) {
      this.#notBefore = 0;
      this.#unsent = due.filter((row) => row.topic === PERSIST_TOPIC);
    }
  }

  tryPersist(): void {
    if (this.#flight !== undefined) {
      return;
    }
    const room = this.#room;
    const from = room.counters.persistedSeqId;
    if (from >= room.headSeqId && this.#unsent.length === 0) {
      return;
    }
    if (room.now < this.#notBefore) {
      room.timer("persist", this.#notBefore - room.now);
      return;
    }
    const { extra, bytes } = this.#takeUnsent();
    const rows = room.fitting(from, room.headSeqId, bytes);
    const to = rows.at(-1)?.message.seqId ?? from;
    const { conversationId } = room;
    const batch: PersistBatch = {
      conversationId,
      fromSeqId: rows.length === 0 ? 0 : from + 1,
      toSeqId: rows.length === 0 ? 0 : to,
      records: [
        ...rows.map(({ logId, message }): RoomRecord => ({ kind: "message", conversationId, logId, message })),
        ...extra.map((row) => JSON.parse(row.body) as RoomRecord),
      ],
      outboxIds: extra.map((row) => row.id),
    };
    this.#flight = { to: batch.toSeqId, startedAt: room.now };
    room.effects.push({ kind: "persist", batch });
  }

  /** Changes for the next batch, oldest first: as many as fit into their part of it, at least one. */
  #takeUnsent(): { extra: OutboxRow[]; bytes: number } {
    const page = this.#unsent.slice(0, OUTBOX_PAGE);
    let bytes = 0;
    let count = 0;
    for (const row of page) {
      const size = utf8Bytes(row.body) + 1;
      if (count > 0 && bytes + size > CHANGES_BYTES) {
        break;
      }
      bytes += size;
      count += 1;
    }
    return { extra: this.#unsent.splice(0, count), bytes };
  }

  /** One push a sender, with a frame for each of their messages that reached SQL. */
  confirm(rows: readonly LogRow[]): void {
    const frames = new Map<string, ServerFrame[]>();
    for (const { message } of rows) {
      const { clientMsgId, conversationId, messageId, seqId } = message;
      const list = frames.get(message.senderId) ?? [];
      list.push({ type: "message-confirmed", data: { clientMsgId, conversationId, messageId, seqId } });
      frames.set(message.senderId, list);
    }
    for (const [userId, list] of frames) {
      this.#room.effects.push({ kind: "push", userId, frames: list });
    }
  }

  #noteUntold(rows: readonly OutboxRow[]): void {
    for (const row of rows) {
      const { notice } = row.topic === FANOUT_TOPIC ? (JSON.parse(row.body) as FanoutTask) : {};
      if (notice !== undefined) {
        this.#room.untold.set(row.id, staleSeqIds(notice));
      }
    }
  }

  #publish(rows: readonly OutboxRow[]): void {
    const events = rows.filter((row) => row.topic !== PERSIST_TOPIC);
    if (events.length > 0) {
      this.#room.effects.push({ kind: "publish", rows: events.map(({ topic, body }) => ({ topic, body })) });
    }
  }
}

/** The row of a change with number `logId`; for a change of SQL also its record. */
export function outboxRow(
  conversationId: string,
  draft: OutboxDraft,
  logId: number,
  held: boolean,
  now: number,
): { row: OutboxRow; record?: RoomRecord } {
  if (draft.kind === "record") {
    const record = draft.record(logId);
    return { record, row: { id: logId, topic: PERSIST_TOPIC, body: JSON.stringify(record), held } };
  }
  if (draft.kind === "task") {
    return { row: { id: logId, topic: FANOUT_TOPIC, body: JSON.stringify(draft.task(logId)), held: false } };
  }
  // The same id each time it is published: consumers are idempotent by it.
  const event = draft.event(`${conversationId}:${logId}`, Math.floor(now / 1000));
  return { row: { id: logId, topic: draft.topic, body: JSON.stringify(event), held: false } };
}

/** Tells the sender that a message is accepted, but its copy in SQL is late. */
export function persistFailed(message: StoredMessage): OutboxDraft {
  return {
    kind: "event",
    topic: "gochat.message-events",
    event: (eventId, timestamp) => ({
      event_id: eventId,
      event_type: "message.persist.failed",
      timestamp,
      conversation_id: message.conversationId,
      payload: {
        sender_id: message.senderId,
        client_msg_id: message.clientMsgId,
        message_id: message.messageId,
        seq_id: message.seqId,
      },
    }),
  };
}

/** Answers carry a piece of what they answer. When that is recalled, the piece goes as well, in the log and in SQL. */
import { seqIdOf } from "./messageId.ts";
import { withoutPreview } from "./messageRules.ts";
import type { ChangeStore, LogRow, OutboxRow } from "./ports.ts";
import type { RoomRecord } from "./records.ts";
import type { OutboxDraft, RoomCore } from "./room.ts";

/** Answers changed in one transaction: some milliseconds of writes. More are left to the alarm. */
export const PREVIEWS_PAGE = 500;

/** What has to be written for one page of answers to a recalled message. */
export type Previews = {
  seqIds: number[];
  rows: (logId: number) => LogRow[];
  mark: (changes: ChangeStore) => void;
  records: OutboxDraft[];
  /** Outbox rows whose place a record of this page takes. */
  supersedes: number[];
  /** Where the next page begins; undefined when this was the last. */
  next: number | undefined;
};

/**
 * @param after answers up to this sequence are done
 * @param version of the conversation, with which `sync` tells of the changed answers
 */
export function previewsOf(core: RoomCore, seqId: number, after: number, version: number): Previews {
  const { conversationId, store, counters } = core.room;
  const seqIds = store.changes.repliesTo(seqId, after, PREVIEWS_PAGE);
  const logged = seqIds.flatMap((answer) => {
    const row = store.message(answer);
    return row === undefined ? [] : [{ ...row, message: withoutPreview(row.message) }];
  });
  // A copy with the preview may be on its way to SQL: a newer one must follow it, not only the emptied preview.
  const waiting = new Map<number, number[]>();
  const messageId = logged[0]?.message.replyTo?.messageId;
  for (const { row, record } of messageId === undefined ? [] : recordsWith(core, messageId)) {
    if (record.kind === "message" && record.message.replyTo?.messageId === messageId) {
      const { seqId: answer } = record.message;
      waiting.set(answer, [...(waiting.get(answer) ?? []), row.id]);
    }
  }
  const again = logged.filter(({ message }) => message.seqId > counters.persistedSeqId || waiting.has(message.seqId));
  const isFull = seqIds.length === PREVIEWS_PAGE;
  return {
    seqIds,
    rows: (logId) => logged.map((row) => ({ ...row, logId })),
    mark: (changes) => {
      for (const answer of seqIds) {
        changes.setMark(answer, { isRecalled: false, ...changes.mark(answer), version });
      }
    },
    records: [
      ...(seqIds.length === 0 ? [] : [previewRecord(conversationId, seqIds, version)]),
      ...again.map(({ message }): OutboxDraft => ({
        kind: "record",
        record: (logId) => ({ kind: "message", conversationId, logId, version, message }),
      })),
    ],
    supersedes: again.flatMap(({ message }) => waiting.get(message.seqId) ?? []),
    next: isFull ? seqIds.at(-1) : undefined,
  };
}

function previewRecord(conversationId: string, seqIds: number[], version: number): OutboxDraft {
  return { kind: "record", record: (logId) => ({ kind: "previews", conversationId, logId, version, seqIds }) };
}

/** Rows of the outbox that hold what this message said, and that its recall makes pointless. */
export function superseded(core: RoomCore, messageId: string): number[] {
  const records = recordsWith(core, messageId).filter(({ record }) => isAbout(record, messageId));
  const edits = core.room.store.findOutbox(messageId).filter((row) => row.topic === "gochat.message-events");
  const events = edits.filter(({ body }) => {
    const event = JSON.parse(body) as { event_type: string; payload: { message_id?: string } };
    return event.event_type === "message.edited" && event.payload.message_id === messageId;
  });
  return [...records.map(({ row }) => row.id), ...events.map((row) => row.id)];
}

function recordsWith(core: RoomCore, messageId: string): { row: OutboxRow; record: RoomRecord }[] {
  return core.room.store
    .findOutbox(messageId)
    .filter((row) => row.topic === "gochat.messages.persist")
    .map((row) => ({ row, record: JSON.parse(row.body) as RoomRecord }));
}

function isAbout(record: RoomRecord, messageId: string): boolean {
  switch (record.kind) {
    case "message":
      return record.message.messageId === messageId && seqIdOf(messageId) === record.message.seqId;
    case "edit":
    case "reaction":
      return record.messageId === messageId;
    default:
      return false;
  }
}

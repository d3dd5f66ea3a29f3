/**
 * What is to be done and told when a message has changed: which copies are stale, and the frame for its readers. Decided here for
 * the consumer and for the room; both only carry it out.
 */
import type { ServerFrame } from "../protocol/frames.ts";
import { seqIdOf } from "./messageId.ts";
import { messageFor, type FanoutTask, type MessageNotice, type RoomRecord, type StoredMessage } from "./records.ts";

/** News of a message for readers who may have it. */
export type Telling = {
  key: string;
  seqId: number;
  /** Of the conversation after the change: of two with the same key the higher one counts. */
  version: number;
  frame: ServerFrame;
  /** The new form, for whoever keeps messages; when it was recalled then that time, absent when the message itself is as it was. */
  message?: StoredMessage | number;
};

/** Sequences whose cached form is not to be shown any more after this change. */
export function staleSeqIds(notice: MessageNotice): number[] {
  return [notice.seqId, ...(notice.kind === "recalled" ? (notice.answers ?? []) : []), ...(notice.earlier ?? [])];
}

/** Version that the cache may be told with it: whoever finds one there finds every message in its form of then, or not at all. */
export function versionToTell(notice: MessageNotice): number | undefined {
  return notice.earlier === undefined ? undefined : notice.version;
}

/** Sequences named in a notice for that reason; more, and the version is left to a later one. A row of the outbox is to stay small. */
const EARLIER_LIMIT = 200;

/** The notice with what nobody was told of before it; their notices may come after it. */
export function afterUntold(notice: MessageNotice, untold: Iterable<readonly number[]>): MessageNotice {
  const earlier = [...new Set([...untold].flat())];
  return earlier.length > EARLIER_LIMIT ? notice : { ...notice, earlier };
}

/** The same, by the records of the change. */
export function changedSeqIds(records: readonly RoomRecord[]): number[] {
  return [...new Set(records.flatMap(seqIdsOf))];
}

function seqIdsOf(record: RoomRecord): number[] {
  switch (record.kind) {
    case "message":
      return [record.message.seqId];
    case "reaction":
      return [seqIdOf(record.messageId)];
    case "previews":
      return record.seqIds;
    default:
      return [];
  }
}

/** Whether `tellingOf` needs the message as the log has it now. */
export function needsMessage(notice: MessageNotice): boolean {
  return notice.kind === "edited";
}

/**
 * What readers are told of a change.
 * @param message as the log has it now, where `needsMessage` says so
 * @returns undefined when a later change says more
 */
export function tellingOf(
  conversationId: string,
  notice: MessageNotice,
  message: StoredMessage | undefined,
): Telling | undefined {
  const { messageId, seqId, version } = notice;
  switch (notice.kind) {
    case "edited": {
      if (message?.messageId !== messageId || message.recalledAt !== undefined) {
        return undefined;
      }
      // Without reactions, which differ by reader: who gets it keeps those they know.
      const data = { message: messageFor(message, ""), version };
      return { key: `message ${seqId}`, seqId, version, frame: { type: "message-updated", data }, message };
    }
    case "recalled": {
      const { operatorId, recalledAt } = notice;
      const data = { conversationId, messageId, seqId, operatorId, recalledAt, version };
      return {
        key: `message ${seqId}`,
        seqId,
        version,
        frame: { type: "message-recalled", data },
        message: recalledAt,
      };
    }
    case "reaction": {
      const { emoji, userId, added, count } = notice;
      const data = { conversationId, messageId, seqId, emoji, userId, added, count, version };
      return { key: `reaction ${seqId} ${emoji}`, seqId, version, frame: { type: "message-reaction", data } };
    }
  }
}

/** A fan-out task that took longer may be older than changes of its messages. Our own; far above what a queue takes. */
const HELD_UP_MS = 500;

/** Whether the messages of a task may have changed since it was made. */
export function isHeldUp({ messages }: FanoutTask, attempts: number, now: number): boolean {
  return attempts > 1 || now - (messages[0]?.createdAt ?? now) > HELD_UP_MS;
}

/** The messages as the log has them; those that have left it as they were. */
export function inLastForm(messages: readonly StoredMessage[], log: readonly StoredMessage[]): StoredMessage[] {
  const now = new Map(log.map((message) => [message.seqId, message]));
  return messages.map((message) => now.get(message.seqId) ?? message);
}

/** One change of anything but messages: what it writes, in one transaction of the room. */
import type { LogRow, OutboxRow } from "./ports.ts";
import type { ConversationState, MemberState, RoomRecord } from "./records.ts";
import type { RoomContext } from "./roomContext.ts";
import type { OutboxDraft } from "./roomEffects.ts";
import { outboxRow } from "./roomOutbox.ts";

export type RoomCommit = {
  state?: ConversationState;
  put?: MemberState[];
  removed?: string[];
  outbox: OutboxDraft[];
  /** The caller writes the records through to SQL itself and then says `settled`. */
  held: boolean;
  /** Changed messages of the log. @param logId number of the change, that of the first row of `outbox` */
  rows?: (logId: number) => LogRow[];
  /** Outbox rows that this change makes pointless. */
  supersedes?: readonly number[];
  /** Other rows of the same transaction. */
  write?: (logId: number) => void;
};

/** Writes all of it or nothing; each outbox row takes the next number of the room's counter. */
export function writeCommit(
  room: RoomContext,
  change: RoomCommit,
  now: number,
): { records: RoomRecord[]; heldIds: number[]; rows: OutboxRow[]; replaced: LogRow[] } {
  const { store } = room;
  const records: RoomRecord[] = [];
  const heldIds: number[] = [];
  const rows: OutboxRow[] = [];
  let replaced: LogRow[] = [];
  room.counters = store.transaction(() => {
    const next = { ...room.counters };
    if (change.state !== undefined) {
      store.saveState(change.state);
    }
    for (const member of change.put ?? []) {
      store.putMember(member);
    }
    for (const userId of change.removed ?? []) {
      store.deleteMember(userId);
    }
    if (change.supersedes !== undefined && change.supersedes.length > 0) {
      store.deleteOutbox(change.supersedes);
    }
    replaced = change.rows?.(next.logId + 1) ?? [];
    for (const row of replaced) {
      store.replaceMessage(row);
    }
    change.write?.(next.logId + 1);
    for (const draft of change.outbox) {
      next.logId += 1;
      const { row, record } = outboxRow(room.conversationId, draft, next.logId, change.held, now);
      store.addOutbox(row);
      rows.push(row);
      if (record !== undefined) {
        records.push(record);
        heldIds.push(row.id);
      }
    }
    store.saveCounters(next);
    return next;
  });
  return { records, heldIds, rows, replaced };
}

/** One change of anything but messages: what it writes, in one transaction of the room. */
import type { OutboxRow } from "./ports.ts";
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
  /** Other rows of the same transaction. */
  write?: () => void;
};

/** Writes all of it or nothing; each outbox row takes the next number of the room's counter. */
export function writeCommit(
  room: RoomContext,
  change: RoomCommit,
  now: number,
): { records: RoomRecord[]; heldIds: number[]; rows: OutboxRow[] } {
  const { store } = room;
  const records: RoomRecord[] = [];
  const heldIds: number[] = [];
  const rows: OutboxRow[] = [];
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
    change.write?.();
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
  return { records, heldIds, rows };
}

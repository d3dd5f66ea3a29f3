/**
 * A room's durable memory as the platform gives it: what one event wrote becomes durable as one
 * commit, in order, a moment later; a crash forgets everything that was not committed. Reads see
 * what was written. Kept as live state plus a journal of how to undo what is not durable yet.
 */
import type { Counters, LogRow, OutboxRow, RoomImage, RoomStore } from "../../src/domain/ports.ts";
import type { ConversationState, MemberState } from "../../src/domain/records.ts";
import { MemoryGroupStore } from "./memoryGroupStore.ts";
import { MemoryChanges, type ChangeNote } from "./memoryChanges.ts";

/** Everything that one event wrote, until it is durable. */
export type Commit = {
  undo: (() => void)[];
  /** What the ledger of promises must know when this is durable. */
  rows: LogRow[];
  replaced: LogRow[];
  notes: ChangeNote[];
  outbox: OutboxRow[];
  counters: Counters | undefined;
  put: MemberState[];
  removed: string[];
  pruned: number;
};

function emptyCommit(): Commit {
  return {
    undo: [],
    rows: [],
    replaced: [],
    notes: [],
    outbox: [],
    counters: undefined,
    put: [],
    removed: [],
    pruned: 0,
  };
}

const NO_COUNTERS: Counters = { logId: 0, persistedSeqId: 0, deliveredSeqId: 0, firstSeqId: 1 };

export class MemoryRoomStore implements RoomStore {
  readonly groups: MemoryGroupStore = new MemoryGroupStore(
    () => this.#members.values(),
    (step) => this.#open.undo.push(step),
  );
  /** For planted bugs only: the index on (sender, key) would hide a missing dedupe from the oracles. */
  noUniqueIndex = false;
  #open: Commit = emptyCommit();
  #state: ConversationState | undefined;
  #counters: Counters = NO_COUNTERS;
  #alarmAt = 0;
  /** Rows by sequence; rows before `#first` were pruned. */
  readonly #log = new Map<number, LogRow>();
  #first = 1;
  #head = 0;
  readonly #sends = new Map<string, LogRow>();
  readonly #members = new Map<string, MemberState>();
  #sorted: MemberState[] | undefined;
  #outbox = new Map<number, OutboxRow>();
  readonly changes = new MemoryChanges(
    (step) => this.#open.undo.push(step),
    (note) => this.#open.notes.push(note),
  );

  /** What was written since the last call; undefined when nothing was. */
  takeCommit(): Commit | undefined {
    if (this.#open.undo.length === 0) {
      return undefined;
    }
    const commit = this.#open;
    this.#open = emptyCommit();
    return commit;
  }

  /** Takes back commits that never became durable, newest first. */
  revert(commits: readonly Commit[]): void {
    for (const commit of [...commits, this.#open].toReversed()) {
      for (const step of commit.undo.toReversed()) {
        step();
      }
    }
    this.#open = emptyCommit();
    this.#sorted = undefined;
    this.#outbox = new Map([...this.#outbox].sort(([a], [b]) => a - b));
  }

  /** 0: none is set. Part of the commit, like a write. */
  get alarmAt(): number {
    return this.#alarmAt;
  }

  setAlarm(at: number): void {
    const before = this.#alarmAt;
    this.#alarmAt = at;
    this.#open.undo.push(() => (this.#alarmAt = before));
  }

  transaction<T>(work: () => T): T {
    const outer = this.#open;
    this.#open = emptyCommit();
    try {
      const result = work();
      const inner = this.#open;
      outer.undo.push(...inner.undo);
      outer.rows.push(...inner.rows);
      outer.replaced.push(...inner.replaced);
      outer.notes.push(...inner.notes);
      outer.outbox.push(...inner.outbox);
      outer.put.push(...inner.put);
      outer.removed.push(...inner.removed);
      outer.counters = inner.counters ?? outer.counters;
      outer.pruned = Math.max(outer.pruned, inner.pruned);
      return result;
    } catch (error) {
      for (const step of this.#open.undo.toReversed()) {
        step();
      }
      throw error;
    } finally {
      this.#open = outer;
    }
  }

  load(): RoomImage {
    const head = this.#log.get(this.#head);
    return {
      state: this.#state,
      counters: { ...this.#counters, logId: Math.max(this.#counters.logId, head?.logId ?? 0) },
      headSeqId: head?.message.seqId ?? 0,
      headCreatedAt: head?.message.createdAt ?? 0,
      hasOutbox: this.#outbox.size > 0,
    };
  }

  saveState(state: ConversationState): void {
    const before = this.#state;
    this.#state = state;
    this.#open.undo.push(() => (this.#state = before));
  }

  saveCounters(counters: Counters): void {
    const before = this.#counters;
    this.#counters = counters;
    this.#open.counters = counters;
    this.#open.undo.push(() => (this.#counters = before));
  }

  member(userId: string): MemberState | undefined {
    return this.#members.get(userId);
  }

  putMember(member: MemberState): void {
    const before = this.#members.get(member.userId);
    this.#members.set(member.userId, member);
    this.#sorted = undefined;
    this.#open.put.push(member);
    this.#open.undo.push(() => this.#restoreMember(member.userId, before));
  }

  deleteMember(userId: string): void {
    const before = this.#members.get(userId);
    this.#members.delete(userId);
    this.#sorted = undefined;
    this.#open.removed.push(userId);
    this.#open.undo.push(() => this.#restoreMember(userId, before));
  }

  members(cursor: string, limit: number): MemberState[] {
    this.#sorted ??= [...this.#members.values()].sort((a, b) => (a.userId < b.userId ? -1 : 1));
    const from = cursor === "" ? 0 : this.#sorted.findIndex((member) => member.userId > cursor);
    return from < 0 ? [] : this.#sorted.slice(from, from + limit);
  }

  message(seqId: number): LogRow | undefined {
    return this.#log.get(seqId);
  }

  messagesAfter(after: number, limit: number): LogRow[] {
    return this.#range(
      Math.max(after + 1, this.#first),
      Math.min(this.#head, Math.max(after, this.#first - 1) + limit),
    );
  }

  messagesBefore(before: number, limit: number): LogRow[] {
    const last = Math.min(this.#head, before - 1);
    return this.#range(Math.max(this.#first, last - limit + 1), last);
  }

  findSend(senderId: string, clientMsgId: string): LogRow | undefined {
    return this.#sends.get(`${senderId} ${clientMsgId}`);
  }

  insertMessage(row: LogRow): void {
    const { seqId, senderId, clientMsgId } = row.message;
    const key = `${senderId} ${clientMsgId}`;
    if (this.#log.has(seqId) || (this.#sends.has(key) && !this.noUniqueIndex)) {
      // SQLite's primary key and unique index; the whole event fails.
      throw new Error(`constraint: ${key} at ${seqId}`);
    }
    const head = this.#head;
    this.#log.set(seqId, row);
    this.#sends.set(key, row);
    this.#head = Math.max(head, seqId);
    this.changes.sent(row.message);
    this.#open.rows.push(row);
    this.#open.undo.push(() => {
      this.#log.delete(seqId);
      this.#sends.delete(key);
      this.#head = head;
    });
  }

  replaceMessage(row: LogRow): void {
    const { seqId, senderId, clientMsgId } = row.message;
    const before = this.#log.get(seqId);
    if (before === undefined) {
      return;
    }
    const put = (to: LogRow): void => {
      this.#log.set(seqId, to);
      this.#sends.set(`${senderId} ${clientMsgId}`, to);
    };
    put(row);
    this.#open.replaced.push(row);
    this.#open.undo.push(() => put(before));
  }

  senders(from: number, to: number, limit: number): string[] {
    const rows = this.#range(Math.max(from + 1, this.#first), Math.min(to, this.#head));
    return [...new Set(rows.toReversed().map(({ message }) => message.senderId))].slice(0, limit);
  }

  countReaders(seqId: number, joinedBy: number): { members: number; readers: number } {
    const there = [...this.#members.values()].filter((member) => member.joinedAt <= joinedBy);
    return { members: there.length, readers: there.filter((member) => member.readSeqId >= seqId).length };
  }

  pruneMessages(seqId: number): void {
    this.changes.pruned(seqId);
    const before = this.#first;
    const gone: LogRow[] = [];
    for (let at = before; at <= seqId; at++) {
      const row = this.#log.get(at);
      if (row !== undefined) {
        gone.push(row);
        this.#log.delete(at);
        this.#sends.delete(`${row.message.senderId} ${row.message.clientMsgId}`);
      }
    }
    this.#first = Math.max(before, seqId + 1);
    this.#open.pruned = seqId;
    this.#open.undo.push(() => {
      this.#first = before;
      for (const row of gone) {
        this.#log.set(row.message.seqId, row);
        this.#sends.set(`${row.message.senderId} ${row.message.clientMsgId}`, row);
      }
    });
  }

  addOutbox(row: OutboxRow): void {
    this.#outbox.set(row.id, row);
    this.#open.outbox.push(row);
    this.#open.undo.push(() => this.#outbox.delete(row.id));
  }

  outbox(limit: number): OutboxRow[] {
    const rows: OutboxRow[] = [];
    for (const row of this.#outbox.values()) {
      if (rows.length >= limit) {
        break;
      }
      rows.push(row);
    }
    return rows;
  }

  findOutbox(text: string): OutboxRow[] {
    return [...this.#outbox.values()].filter((row) => row.body.includes(text));
  }

  deleteOutbox(ids: readonly number[]): void {
    for (const id of ids) {
      const row = this.#outbox.get(id);
      if (row !== undefined) {
        this.#outbox.delete(id);
        this.#open.undo.push(() => this.#outbox.set(id, row));
      }
    }
  }

  get outboxSize(): number {
    return this.#outbox.size;
  }

  #restoreMember(userId: string, before: MemberState | undefined): void {
    if (before === undefined) {
      this.#members.delete(userId);
    } else {
      this.#members.set(userId, before);
    }
    this.#sorted = undefined;
  }

  #range(first: number, last: number): LogRow[] {
    const rows: LogRow[] = [];
    for (let seqId = first; seqId <= last; seqId++) {
      const row = this.#log.get(seqId);
      if (row !== undefined) {
        rows.push(row);
      }
    }
    return rows;
  }
}

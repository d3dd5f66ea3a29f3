/** What became of messages, in memory that can be taken back: the counterpart of src/objects/RoomSqlChanges.ts. */
import type { ChangeMark, ChangeStore } from "../../src/domain/ports.ts";
import type { StoredMessage } from "../../src/domain/records.ts";
import type { Edit, Reaction } from "../../src/protocol/things.ts";

/** What the ledger of promises must know when it is durable. */
export type ChangeNote =
  | { kind: "edit"; seqId: number; edit: Edit }
  | { kind: "reaction"; seqId: number; emoji: string; userId: string; wanted: boolean }
  | { kind: "forgotten"; seqId: number };

export class MemoryChanges implements ChangeStore {
  readonly #undo: (step: () => void) => void;
  readonly #note: (note: ChangeNote) => void;
  readonly #marks = new Map<number, ChangeMark>();
  readonly #replies = new Map<number, number[]>();
  readonly #edits = new Map<number, Edit[]>();
  /** By sequence and emoji: who reacted, in order. */
  readonly #reactions = new Map<number, Map<string, string[]>>();

  /** @param undo is told of every write how it is taken back. */
  constructor(undo: (step: () => void) => void, note: (note: ChangeNote) => void) {
    this.#undo = undo;
    this.#note = note;
  }

  sent({ seqId, replyTo }: StoredMessage): void {
    if (replyTo !== undefined) {
      this.#set(this.#replies, replyTo.seqId, [...(this.#replies.get(replyTo.seqId) ?? []), seqId]);
    }
  }

  pruned(seqId: number): void {
    for (const edited of this.#edits.keys()) {
      if (edited <= seqId) {
        this.#set(this.#edits, edited, undefined);
      }
    }
  }

  mark(seqId: number): ChangeMark | undefined {
    return this.#marks.get(seqId);
  }

  setMark(seqId: number, mark: ChangeMark): void {
    this.#set(this.#marks, seqId, mark);
  }

  changedSince(version: number, upTo: number, limit: number): number[] {
    return [...this.#marks]
      .filter(([seqId, mark]) => mark.version > version && seqId <= upTo)
      .sort(([, a], [, b]) => b.version - a.version)
      .slice(0, limit)
      .map(([seqId]) => seqId);
  }

  unblanked(): number | undefined {
    return [...this.#marks].find(([, mark]) => mark.blankAfter !== undefined)?.[0];
  }

  repliesTo(seqId: number, after: number, limit: number): number[] {
    return (this.#replies.get(seqId) ?? []).filter((answer) => answer > after).slice(0, limit);
  }

  edits(seqId: number): Edit[] {
    return this.#edits.get(seqId) ?? [];
  }

  addEdit(seqId: number, _logId: number, edit: Edit): void {
    this.#set(this.#edits, seqId, [...this.edits(seqId), edit]);
    this.#note({ kind: "edit", seqId, edit });
  }

  reactions(seqIds: readonly number[], userId: string): Map<number, Reaction[]> {
    const found = new Map<number, Reaction[]>();
    for (const seqId of seqIds) {
      const emojis = this.#reactions.get(seqId) ?? new Map<string, string[]>();
      const list = [...emojis].map(([emoji, users]) => ({ emoji, count: users.length, mine: users.includes(userId) }));
      if (list.length > 0) {
        found.set(seqId, list);
      }
    }
    return found;
  }

  setReaction(seqId: number, emoji: string, userId: string, at: number | undefined): boolean {
    const before = this.#reactions.get(seqId) ?? new Map<string, string[]>();
    const users = before.get(emoji) ?? [];
    if (users.includes(userId) === (at !== undefined)) {
      return false;
    }
    const after = new Map(before);
    const left = at === undefined ? users.filter((user) => user !== userId) : [...users, userId];
    if (left.length === 0) {
      after.delete(emoji);
    } else {
      after.set(emoji, left);
    }
    this.#set(this.#reactions, seqId, after);
    this.#note({ kind: "reaction", seqId, emoji, userId, wanted: at !== undefined });
    return true;
  }

  forget(seqId: number): void {
    this.#note({ kind: "forgotten", seqId });
    this.#set(this.#edits, seqId, undefined);
    this.#set(this.#reactions, seqId, undefined);
  }

  #set<Value>(map: Map<number, Value>, key: number, value: Value | undefined): void {
    const before = map.get(key);
    const put = (to: Value | undefined): void => {
      if (to === undefined) {
        map.delete(key);
      } else {
        map.set(key, to);
      }
    };
    put(value);
    this.#undo(() => put(before));
  }
}

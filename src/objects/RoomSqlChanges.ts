/** What became of a room's messages after they were sent, in the object's SQLite: marks, edits, answers, reactions. */
import type { ChangeMark, ChangeStore } from "../domain/ports.ts";
import type { StoredMessage } from "../domain/records.ts";
import type { Edit, Reaction } from "../protocol/things.ts";
import type { Query } from "./GroupSqlStore.ts";

/**
 * A migration of the room's tables: never edited once released. `replies` and `reaction_totals` are indexes that could be made
 * again: a recall must find the answers without reading the log, and a page of history must not count every reaction.
 * Rooms of the release before have answers in their log already.
 */
export const CHANGES_MIGRATION = `CREATE TABLE changes (
     seq_id INTEGER PRIMARY KEY,
     version INTEGER NOT NULL,
     recalled INTEGER NOT NULL,
     blank_after INTEGER
   );
   CREATE INDEX changes_by_version ON changes (version);
   CREATE INDEX changes_unblanked ON changes (seq_id) WHERE blank_after IS NOT NULL;
   CREATE TABLE edits (
     seq_id INTEGER NOT NULL,
     log_id INTEGER NOT NULL,
     content TEXT NOT NULL,
     edited_at INTEGER NOT NULL,
     PRIMARY KEY (seq_id, log_id)
   ) WITHOUT ROWID;
   CREATE TABLE replies (
     target_seq_id INTEGER NOT NULL,
     seq_id INTEGER NOT NULL,
     PRIMARY KEY (target_seq_id, seq_id)
   ) WITHOUT ROWID;
   INSERT INTO replies (target_seq_id, seq_id)
     SELECT json_extract(body, '$.replyTo.seqId'), seq_id FROM messages
       WHERE json_extract(body, '$.replyTo.seqId') IS NOT NULL;
   CREATE TABLE reactions (
     seq_id INTEGER NOT NULL,
     emoji TEXT NOT NULL,
     user_id TEXT NOT NULL,
     created_at INTEGER NOT NULL,
     PRIMARY KEY (seq_id, emoji, user_id)
   ) WITHOUT ROWID;
   CREATE TABLE reaction_totals (
     seq_id INTEGER NOT NULL,
     emoji TEXT NOT NULL,
     count INTEGER NOT NULL,
     first_at INTEGER NOT NULL,
     PRIMARY KEY (seq_id, emoji)
   ) WITHOUT ROWID;`;

type MarkColumns = { version: number; recalled: number; blank_after: number | null };
type ReactionColumns = { seq_id: number; emoji: string; count: number; mine: number };

export class RoomSqlChanges implements ChangeStore {
  readonly #sql: SqlStorage;
  readonly #rows: Query;

  constructor(sql: SqlStorage, rows: Query) {
    this.#sql = sql;
    this.#rows = rows;
  }

  /** A message was put into the log. */
  sent({ seqId, replyTo }: StoredMessage): void {
    if (replyTo !== undefined) {
      this.#sql.exec("INSERT OR IGNORE INTO replies (target_seq_id, seq_id) VALUES (?, ?)", replyTo.seqId, seqId);
    }
  }

  /** Messages up to `seqId` have left the log; their history has been in SQL for long. */
  pruned(seqId: number): void {
    this.#sql.exec("DELETE FROM edits WHERE seq_id <= ?", seqId);
  }

  mark(seqId: number): ChangeMark | undefined {
    const [row] = this.#rows<MarkColumns>("SELECT version, recalled, blank_after FROM changes WHERE seq_id = ?", seqId);
    if (row === undefined) {
      return undefined;
    }
    const { version, recalled, blank_after: blankAfter } = row;
    return { version, isRecalled: recalled !== 0, ...(blankAfter === null ? {} : { blankAfter }) };
  }

  setMark(seqId: number, mark: ChangeMark): void {
    this.#sql.exec(
      `INSERT INTO changes (seq_id, version, recalled, blank_after) VALUES (?, ?, ?, ?)
       ON CONFLICT (seq_id) DO UPDATE SET version = excluded.version, recalled = excluded.recalled,
         blank_after = excluded.blank_after`,
      seqId,
      mark.version,
      mark.isRecalled ? 1 : 0,
      mark.blankAfter ?? null,
    );
  }

  changedSince(version: number, upTo: number, limit: number): number[] {
    return this.#rows<{ seq_id: number }>(
      "SELECT seq_id FROM changes WHERE version > ? AND seq_id <= ? ORDER BY version DESC LIMIT ?",
      version,
      upTo,
      limit,
    ).map((row) => row.seq_id);
  }

  unblanked(): number | undefined {
    return this.#rows<{ seq_id: number }>("SELECT seq_id FROM changes WHERE blank_after IS NOT NULL LIMIT 1")[0]
      ?.seq_id;
  }

  repliesTo(seqId: number, after: number, limit: number): number[] {
    return this.#rows<{ seq_id: number }>(
      "SELECT seq_id FROM replies WHERE target_seq_id = ? AND seq_id > ? ORDER BY seq_id LIMIT ?",
      seqId,
      after,
      limit,
    ).map((row) => row.seq_id);
  }

  edits(seqId: number): Edit[] {
    return this.#rows<{ content: string; edited_at: number }>(
      "SELECT content, edited_at FROM edits WHERE seq_id = ? ORDER BY log_id",
      seqId,
    ).map((row) => ({ content: JSON.parse(row.content) as Edit["content"], editedAt: row.edited_at }));
  }

  addEdit(seqId: number, logId: number, edit: Edit): void {
    this.#sql.exec(
      "INSERT INTO edits (seq_id, log_id, content, edited_at) VALUES (?, ?, ?, ?)",
      seqId,
      logId,
      JSON.stringify(edit.content),
      edit.editedAt,
    );
  }

  reactions(seqIds: readonly number[], userId: string): Map<number, Reaction[]> {
    const rows = this.#rows<ReactionColumns>(
      `SELECT t.seq_id, t.emoji, t.count, EXISTS (SELECT 1 FROM reactions r
           WHERE r.seq_id = t.seq_id AND r.emoji = t.emoji AND r.user_id = ?) AS mine
         FROM reaction_totals t WHERE t.seq_id IN (SELECT value FROM json_each(?))
         ORDER BY t.seq_id, t.first_at, t.emoji`,
      userId,
      JSON.stringify(seqIds),
    );
    const found = new Map<number, Reaction[]>();
    for (const { seq_id: seqId, emoji, count, mine } of rows) {
      const list = found.get(seqId) ?? [];
      list.push({ emoji, count, mine: mine !== 0 });
      found.set(seqId, list);
    }
    return found;
  }

  setReaction(seqId: number, emoji: string, userId: string, at: number | undefined): boolean {
    return at === undefined ? this.#takeBack(seqId, emoji, userId) : this.#put(seqId, emoji, userId, at);
  }

  forget(seqId: number): void {
    for (const table of ["edits", "reactions", "reaction_totals"]) {
      this.#sql.exec(`DELETE FROM ${table} WHERE seq_id = ?`, seqId);
    }
  }

  #put(seqId: number, emoji: string, userId: string, at: number): boolean {
    const made = this.#sql.exec(
      "INSERT OR IGNORE INTO reactions (seq_id, emoji, user_id, created_at) VALUES (?, ?, ?, ?) RETURNING 1",
      seqId,
      emoji,
      userId,
      at,
    );
    if (made.toArray().length === 0) {
      return false;
    }
    this.#sql.exec(
      `INSERT INTO reaction_totals (seq_id, emoji, count, first_at) VALUES (?, ?, 1, ?)
       ON CONFLICT (seq_id, emoji) DO UPDATE SET count = count + 1`,
      seqId,
      emoji,
      at,
    );
    return true;
  }

  #takeBack(seqId: number, emoji: string, userId: string): boolean {
    const gone = this.#sql.exec(
      "DELETE FROM reactions WHERE seq_id = ? AND emoji = ? AND user_id = ? RETURNING 1",
      seqId,
      emoji,
      userId,
    );
    if (gone.toArray().length === 0) {
      return false;
    }
    this.#sql.exec("UPDATE reaction_totals SET count = count - 1 WHERE seq_id = ? AND emoji = ?", seqId, emoji);
    this.#sql.exec("DELETE FROM reaction_totals WHERE seq_id = ? AND emoji = ? AND count <= 0", seqId, emoji);
    return true;
  }
}

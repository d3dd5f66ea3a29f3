/** A room's durable memory in the object's SQLite: the log, members, outbox and watermarks. */
import type { Counters, LogRow, OutboxRow, RoomImage, RoomStore } from "../domain/ports.ts";
import type { ConversationState, MemberState, StoredMessage } from "../domain/records.ts";
import { ObjectSchema } from "../platform/objectSchema.ts";
import type { TopicName } from "../protocol/events.ts";
import { GROUP_TABLES, GroupSqlStore, KEPT_MUTES, type Query } from "./GroupSqlStore.ts";
import { toMember, type MemberColumns } from "./memberRows.ts";
import { CHANGES_MIGRATION, RoomSqlChanges } from "./RoomSqlChanges.ts";

/** Released migrations are never edited; docs/storage-schema.md describes the tables. */
const MIGRATIONS = [
  `CREATE TABLE messages (
     seq_id INTEGER PRIMARY KEY,
     sender_id TEXT NOT NULL,
     client_msg_id TEXT NOT NULL,
     log_id INTEGER NOT NULL,
     payload_hash TEXT NOT NULL,
     body TEXT NOT NULL
   );
   CREATE UNIQUE INDEX messages_by_client ON messages (sender_id, client_msg_id);
   CREATE TABLE members (
     user_id TEXT PRIMARY KEY,
     role INTEGER NOT NULL,
     joined_at INTEGER NOT NULL,
     muted_until INTEGER,
     read_seq_id INTEGER NOT NULL
   ) WITHOUT ROWID;
   CREATE TABLE outbox (
     id INTEGER PRIMARY KEY,
     topic TEXT NOT NULL,
     body TEXT NOT NULL,
     held INTEGER NOT NULL
   );
   CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;`,
  GROUP_TABLES,
  CHANGES_MIGRATION,
  KEPT_MUTES,
];

/** Members kept in memory; a large group's senders are read again when they are not among them. */
const MEMBER_CACHE = 1_000;

type MessageColumns = { log_id: number; payload_hash: string; body: string };
type OutboxColumns = { id: number; topic: string; body: string; held: number };

function toOutboxRow(row: OutboxColumns): OutboxRow {
  return { ...row, topic: row.topic as TopicName, held: row.held !== 0 };
}

function toLogRow(row: MessageColumns): LogRow {
  return {
    message: JSON.parse(row.body) as StoredMessage,
    logId: row.log_id,
    payloadHash: row.payload_hash,
  };
}

export class RoomSqlStore implements RoomStore {
  readonly groups: GroupSqlStore;
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;
  readonly #schema: ObjectSchema;
  /** Read-through copy of rows of `members`; may be emptied at any time. */
  readonly #members = new Map<string, MemberState | undefined>();
  readonly changes: RoomSqlChanges;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
    this.#schema = new ObjectSchema(storage, MIGRATIONS);
    const rows: Query = (query, ...values) => this.#rows(query, ...values);
    this.groups = new GroupSqlStore(storage.sql, rows);
    this.changes = new RoomSqlChanges(storage.sql, rows);
  }

  transaction<T>(work: () => T): T {
    this.#schema.ensure();
    try {
      return this.#storage.transactionSync(work);
    } catch (error) {
      // Whatever the failed transaction put into the copy did not happen.
      this.#members.clear();
      throw error;
    }
  }

  load(): RoomImage {
    const state = this.#fact("state") as ConversationState | undefined;
    const counters = (this.#fact("counters") as Counters | undefined) ?? {
      logId: 0,
      persistedSeqId: 0,
      deliveredSeqId: 0,
      firstSeqId: 1,
    };
    const head = this.#rows<MessageColumns>(
      "SELECT log_id, payload_hash, body FROM messages ORDER BY seq_id DESC LIMIT 1",
    )[0];
    const message = head === undefined ? undefined : toLogRow(head).message;
    const outbox = this.#rows("SELECT 1 FROM outbox LIMIT 1");
    return {
      state,
      counters: { ...counters, logId: Math.max(counters.logId, head?.log_id ?? 0) },
      headSeqId: message?.seqId ?? 0,
      headCreatedAt: message?.createdAt ?? 0,
      hasOutbox: outbox.length > 0,
    };
  }

  saveState(state: ConversationState): void {
    this.#saveFact("state", state);
  }

  saveCounters(counters: Counters): void {
    this.#saveFact("counters", counters);
  }

  member(userId: string): MemberState | undefined {
    if (this.#members.has(userId)) {
      return this.#members.get(userId);
    }
    const row = this.#rows<MemberColumns>("SELECT * FROM members WHERE user_id = ?", userId)[0];
    const member = row === undefined ? undefined : toMember(row);
    this.#keep(userId, member);
    return member;
  }

  putMember(member: MemberState): void {
    this.#sql.exec(
      `INSERT INTO members (user_id, role, joined_at, muted_until, read_seq_id)
       VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (user_id) DO UPDATE SET role = excluded.role, joined_at = excluded.joined_at,
         muted_until = excluded.muted_until, read_seq_id = excluded.read_seq_id`,
      member.userId,
      member.role,
      member.joinedAt,
      member.mutedUntil ?? null,
      member.readSeqId,
    );
    this.#keep(member.userId, member);
  }

  deleteMember(userId: string): void {
    this.#sql.exec("DELETE FROM members WHERE user_id = ?", userId);
    this.#keep(userId, undefined);
  }

  members(cursor: string, limit: number): MemberState[] {
    return this.#rows<MemberColumns>(
      "SELECT * FROM members WHERE user_id > ? ORDER BY user_id LIMIT ?",
      cursor,
      limit,
    ).map(toMember);
  }

  message(seqId: number): LogRow | undefined {
    const row = this.#rows<MessageColumns>(
      "SELECT log_id, payload_hash, body FROM messages WHERE seq_id = ?",
      seqId,
    )[0];
    return row === undefined ? undefined : toLogRow(row);
  }

  messagesAfter(after: number, limit: number): LogRow[] {
    return this.#rows<MessageColumns>(
      `SELECT log_id, payload_hash, body FROM messages
         WHERE seq_id > ? ORDER BY seq_id LIMIT ?`,
      after,
      limit,
    ).map(toLogRow);
  }

  messagesBefore(before: number, limit: number): LogRow[] {
    return this.#rows<MessageColumns>(
      `SELECT log_id, payload_hash, body FROM messages
         WHERE seq_id < ? ORDER BY seq_id DESC LIMIT ?`,
      before,
      limit,
    )
      .toReversed()
      .map(toLogRow);
  }

  findSend(senderId: string, clientMsgId: string): LogRow | undefined {
    const row = this.#rows<MessageColumns>(
      `SELECT log_id, payload_hash, body FROM messages
         WHERE sender_id = ? AND client_msg_id = ?`,
      senderId,
      clientMsgId,
    )[0];
    return row === undefined ? undefined : toLogRow(row);
  }

  insertMessage(row: LogRow): void {
    const { message } = row;
    this.#sql.exec(
      `INSERT INTO messages (seq_id, sender_id, client_msg_id, log_id, payload_hash, body)
       VALUES (?, ?, ?, ?, ?, ?)`,
      message.seqId,
      message.senderId,
      message.clientMsgId,
      row.logId,
      row.payloadHash,
      JSON.stringify(message),
    );
    this.changes.sent(message);
  }

  replaceMessage(row: LogRow): void {
    this.#sql.exec(
      "UPDATE messages SET log_id = ?, body = ? WHERE seq_id = ?",
      row.logId,
      JSON.stringify(row.message),
      row.message.seqId,
    );
  }

  senders(from: number, to: number, limit: number): string[] {
    return this.#rows<{ sender_id: string }>(
      `SELECT sender_id FROM messages WHERE seq_id > ? AND seq_id <= ?
         GROUP BY sender_id ORDER BY max(seq_id) DESC LIMIT ?`,
      from,
      to,
      limit,
    ).map((row) => row.sender_id);
  }

  countReaders(seqId: number, joinedBy: number): { members: number; readers: number } {
    const [row] = this.#rows<{ members: number; readers: number }>(
      "SELECT count(*) AS members, coalesce(sum(read_seq_id >= ?), 0) AS readers FROM members WHERE joined_at <= ?",
      seqId,
      joinedBy,
    );
    return row ?? { members: 0, readers: 0 };
  }

  pruneMessages(seqId: number): void {
    this.#sql.exec("DELETE FROM messages WHERE seq_id <= ?", seqId);
    this.changes.pruned(seqId);
  }

  addOutbox(row: OutboxRow): void {
    this.#sql.exec(
      "INSERT INTO outbox (id, topic, body, held) VALUES (?, ?, ?, ?)",
      row.id,
      row.topic,
      row.body,
      row.held ? 1 : 0,
    );
  }

  outbox(limit: number): OutboxRow[] {
    return this.#rows<OutboxColumns>("SELECT id, topic, body, held FROM outbox ORDER BY id LIMIT ?", limit).map(
      toOutboxRow,
    );
  }

  findOutbox(text: string): OutboxRow[] {
    return this.#rows<OutboxColumns>(
      "SELECT id, topic, body, held FROM outbox WHERE instr(body, ?) > 0 ORDER BY id",
      text,
    ).map(toOutboxRow);
  }

  deleteOutbox(ids: readonly number[]): void {
    this.#sql.exec("DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(?))", JSON.stringify(ids));
  }

  #keep(userId: string, member: MemberState | undefined): void {
    if (this.#members.size >= MEMBER_CACHE) {
      this.#members.clear();
    }
    this.#members.set(userId, member);
  }

  #fact(name: string): unknown {
    const row = this.#rows<{ value: string }>("SELECT value FROM facts WHERE name = ?", name)[0];
    return row === undefined ? undefined : JSON.parse(row.value);
  }

  #saveFact(name: string, value: unknown): void {
    this.#sql.exec(
      `INSERT INTO facts (name, value) VALUES (?, ?)
       ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
      name,
      JSON.stringify(value),
    );
  }

  /** Rows of a query; none while the object has stored nothing. */
  #rows<Row extends Record<string, SqlStorageValue>>(query: string, ...values: SqlStorageValue[]): Row[] {
    return this.#schema.ready ? this.#sql.exec<Row>(query, ...values).toArray() : [];
  }
}

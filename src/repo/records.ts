/**
 * The queryable copy of the rooms. A batch of records of any number of conversations becomes at most one statement for
 * each table, its rows as one JSON parameter: D1 takes only 100 bound values, and thousands of messages a second
 * must not be thousands of statements. Every statement is guarded by `log_id` (or is a maximum), so that a record
 * that comes twice, or after a newer one, changes nothing.
 */
import { sql, type SQL } from "drizzle-orm";
import { conversationMembers, conversations, messages, userReadPointers } from "../../schema/sqlite.ts";
import { WORLD_ROOM_ID, type RoomRecord } from "../domain/records.ts";
import type { Clock } from "../platform/clock.ts";
import { addChange, changeStatements, noChangeRows, noteChange, type ChangeRows } from "./changeRecords.ts";
import { runBatch, type Db, type Statement } from "./d1.ts";
import { inviteRow, joinRequestRow, upsertInvites, upsertJoinRequests } from "./doorRecords.ts";
import type { PersistenceRepo } from "./types.ts";

/**
 * Characters of JSON in one parameter. D1's limit is 2 MB a value; a character takes at most three bytes in UTF-8, and
 * escaped quotes are counted because the text is measured after escaping.
 */
const MAX_JSON_CHARS = 500_000;

type Cell = string | number | null;
type Row = readonly Cell[];

/** Rows of one batch by table, already reduced to the newest of each key. */
interface Rows {
  readonly messages: Map<string, Row>;
  readonly conversations: Map<string, Row>;
  readonly members: Map<string, Row>;
  readonly pointers: Map<string, Row>;
  readonly invites: Map<string, Row>;
  readonly joinRequests: Map<string, Row>;
  /** Conversations whose head must be looked at again. */
  readonly moved: Set<string>;
  readonly changes: ChangeRows;
}

/**
 * Records over D1.
 * @param clock for read pointers, whose records carry no time
 */
export function d1Records(db: Db, clock: Clock): PersistenceRepo {
  return {
    async applyRoomRecords(records, limitMs) {
      const rows = collect(records, clock.now());
      const statements = [
        ...chunks(rows.messages.values()).map((json) => upsertMessages(db, json)),
        ...chunks(rows.conversations.values()).map((json) => upsertConversations(db, json)),
        ...chunks(rows.members.values()).map((json) => upsertMembers(db, json)),
        ...chunks(rows.pointers.values()).map((json) => upsertPointers(db, json)),
        ...chunks(rows.invites.values()).map((json) => upsertInvites(db, json)),
        ...chunks(rows.joinRequests.values()).map((json) => upsertJoinRequests(db, json)),
        ...changeStatements(db, rows.changes, chunks),
        // Last, because it reads the messages and conversations written above, whichever of them came first.
        ...chunks([...rows.moved].map((id) => [id])).map((json) => advanceHeads(db, json)),
      ];
      await runBatch(db, statements, limitMs);
    },
  };
}

function collect(records: readonly RoomRecord[], now: number): Rows {
  const rows: Rows = {
    messages: new Map(),
    conversations: new Map(),
    members: new Map(),
    pointers: new Map(),
    invites: new Map(),
    joinRequests: new Map(),
    moved: new Set(),
    changes: noChangeRows(),
  };
  const versions = new Map<string, number>();
  for (const record of records) {
    addRecord(rows, versions, record, now);
  }
  return rows;
}

/** Keeps the row unless a newer one of the same table and key is there. */
function keepNewest(
  table: Map<string, Row>,
  versions: Map<string, number>,
  kind: string,
  key: string,
  version: number,
  row: Row,
): void {
  const versionKey = `${kind} ${key}`;
  if (version > (versions.get(versionKey) ?? -1)) {
    versions.set(versionKey, version);
    table.set(key, row);
  }
}

function addRecord(rows: Rows, versions: Map<string, number>, record: RoomRecord, now: number): void {
  const { conversationId, logId } = record;
  noteChange(rows.changes, record);
  const addPointer = (userId: string, readSeqId: number): void => {
    // A reader's pointer in the world room lives in their UserSession: a row for each would be a write a reader.
    if (conversationId !== WORLD_ROOM_ID && readSeqId > 0) {
      const key = `${conversationId} ${userId}`;
      const before = rows.pointers.get(key);
      if (before === undefined || isBehind(before, readSeqId, logId)) {
        rows.pointers.set(key, [conversationId, userId, readSeqId, now, logId]);
      }
    }
  };
  switch (record.kind) {
    case "message": {
      const m = record.message;
      const recalled = m.recalledAt !== undefined;
      const row = [
        conversationId,
        m.seqId,
        m.messageId,
        m.senderId,
        m.clientMsgId,
        m.messageType,
        recalled ? null : jsonOf(m.content),
        jsonOf(m.replyTo),
        recalled ? null : jsonOf(m.mentions),
        m.createdAt,
        m.editedAt ?? null,
        m.recalledAt ?? null,
        logId,
      ];
      keepNewest(rows.messages, versions, "message", `${conversationId} ${m.seqId}`, logId, row);
      rows.moved.add(conversationId);
      addPointer(m.senderId, m.seqId);
      return;
    }
    case "conversation": {
      const c = record.conversation;
      const row = [
        conversationId,
        c.type,
        c.name ?? null,
        c.avatarUrl ?? null,
        c.announcement ?? null,
        c.ownerId ?? null,
        c.memberCount,
        c.maxMembers,
        flag(c.joinApproval),
        flag(c.muteAll),
        record.headSeqId,
        c.version,
        c.createdAt,
        c.updatedAt,
        c.dismissedAt ?? null,
        logId,
      ];
      keepNewest(rows.conversations, versions, "conversation", conversationId, logId, row);
      rows.moved.add(conversationId);
      return;
    }
    case "member": {
      const m = record.member;
      const row = [conversationId, m.userId, m.role, m.joinedAt, m.mutedUntil ?? null, null, logId];
      keepNewest(rows.members, versions, "member", `${conversationId} ${m.userId}`, logId, row);
      addPointer(m.userId, m.readSeqId);
      return;
    }
    case "memberRemoved": {
      const row = [conversationId, record.userId, 1, record.removedAt, null, record.removedAt, logId];
      keepNewest(rows.members, versions, "member", `${conversationId} ${record.userId}`, logId, row);
      return;
    }
    case "readPointer":
      addPointer(record.userId, record.readSeqId);
      return;
    case "invite": {
      const { invite } = record;
      return keepNewest(rows.invites, versions, "invite", invite.code, logId, inviteRow(invite, logId));
    }
    case "joinRequest": {
      const { request } = record;
      const row = joinRequestRow(request, logId);
      return keepNewest(rows.joinRequests, versions, "joinRequest", request.requestId, logId, row);
    }
    case "edit":
    case "reaction":
    case "previews":
      addChange(rows.changes, record);
      return;
    default:
      return unknownKind(record);
  }
}

/** Whether a pointer row (see `addRecord`) is behind this one; the `logId` only decides between equal pointers. */
function isBehind(row: Row, readSeqId: number, logId: number): boolean {
  const [, , rowSeqId, , rowLogId] = row;
  return Number(rowSeqId) < readSeqId || (rowSeqId === readSeqId && Number(rowLogId) < logId);
}

/**
 * A kind of the next release, met during a deploy. Throwing sends the batch back to the queue, where it waits for a
 * consumer that knows the kind; skipping would lose it.
 */
function unknownKind(record: never): never {
  throw new Error(`unknown room record ${JSON.stringify((record as RoomRecord).kind)}`);
}

/** The n-th cell of each row of a JSON parameter, all columns of a table in the order of the schema. */
function rowsFrom(json: string, cells: SQL) {
  return sql`SELECT ${cells} FROM json_each(${json}) WHERE true`;
}

function upsertMessages(db: Db, json: string): Statement {
  return db
    .insert(messages)
    .select(
      rowsFrom(
        json,
        sql`value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
          value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12`,
      ),
    )
    .onConflictDoUpdate({
      target: [messages.conversationId, messages.seqId],
      set: {
        content: sql`excluded.content`,
        replyTo: sql`excluded.reply_to`,
        mentions: sql`excluded.mentions`,
        editedAt: sql`excluded.edited_at`,
        recalledAt: sql`excluded.recalled_at`,
        logId: sql`excluded.log_id`,
      },
      setWhere: sql`excluded.log_id > ${messages.logId}`,
    });
}

/** `last_activity_at` begins at the creation; only messages move it. The world's member count is kept by the accounts. */
function upsertConversations(db: Db, json: string): Statement {
  return db
    .insert(conversations)
    .select(
      rowsFrom(
        json,
        sql`value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
          value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 12, value ->> 13,
          value ->> 14, value ->> 15`,
      ),
    )
    .onConflictDoUpdate({
      target: conversations.conversationId,
      set: {
        name: sql`excluded.name`,
        avatarUrl: sql`excluded.avatar_url`,
        announcement: sql`excluded.announcement`,
        ownerId: sql`excluded.owner_id`,
        memberCount: sql`CASE WHEN conversations.type = 3 THEN conversations.member_count ELSE excluded.member_count END`,
        maxMembers: sql`excluded.max_members`,
        joinApproval: sql`excluded.join_approval`,
        muteAll: sql`excluded.mute_all`,
        headSeqId: sql`max(conversations.head_seq_id, excluded.head_seq_id)`,
        version: sql`max(conversations.version, excluded.version)`,
        updatedAt: sql`excluded.updated_at`,
        dismissedAt: sql`excluded.dismissed_at`,
        logId: sql`excluded.log_id`,
      },
      setWhere: sql`excluded.log_id > ${conversations.logId}`,
    });
}

/** A removal takes role and entry time with it (which of them came last depends on the order), and the own settings. */
function upsertMembers(db: Db, json: string): Statement {
  const unlessRemoved = (column: string): SQL =>
    sql.raw(`CASE WHEN excluded.removed_at IS NULL THEN conversation_members.${column} ELSE 0 END`);
  return db
    .insert(conversationMembers)
    .select(
      rowsFrom(
        json,
        sql`value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, 0, 0, value ->> 6`,
      ),
    )
    .onConflictDoUpdate({
      target: [conversationMembers.conversationId, conversationMembers.userId],
      set: {
        role: sql`excluded.role`,
        joinedAt: sql`excluded.joined_at`,
        muted: unlessRemoved("muted"),
        pinned: unlessRemoved("pinned"),
        mutedUntil: sql`excluded.muted_until`,
        removedAt: sql`excluded.removed_at`,
        logId: sql`excluded.log_id`,
      },
      setWhere: sql`excluded.log_id > ${conversationMembers.logId}`,
    });
}

function upsertPointers(db: Db, json: string): Statement {
  return db
    .insert(userReadPointers)
    .select(rowsFrom(json, sql`value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4`))
    .onConflictDoUpdate({
      target: [userReadPointers.conversationId, userReadPointers.userId],
      set: {
        readSeqId: sql`excluded.read_seq_id`,
        updatedAt: sql`excluded.updated_at`,
        logId: sql`excluded.log_id`,
      },
      setWhere: sql`(excluded.read_seq_id, excluded.log_id) > (${userReadPointers.readSeqId}, ${userReadPointers.logId})`,
    });
}

/** Looks the newest message up by primary key; so it is right also when messages came before their conversation. */
function advanceHeads(db: Db, json: string): Statement {
  return db
    .update(conversations)
    .set({
      headSeqId: sql`max(head_seq_id, coalesce((SELECT max(m.seq_id) FROM messages m
        WHERE m.conversation_id = conversations.conversation_id), 0))`,
      lastActivityAt: sql`max(last_activity_at, coalesce((SELECT m.created_at FROM messages m
        WHERE m.conversation_id = conversations.conversation_id ORDER BY m.seq_id DESC LIMIT 1), 0))`,
    })
    .where(sql`conversation_id IN (SELECT value ->> 0 FROM json_each(${json}))`);
}

/** JSON arrays of rows, none longer than one parameter may be (a single row is far below it: frames end at 64 KiB). */
function chunks(rows: Iterable<Row>): string[] {
  const out: string[] = [];
  let parts: string[] = [];
  let chars = 0;
  for (const row of rows) {
    const text = JSON.stringify(row);
    if (parts.length > 0 && chars + text.length > MAX_JSON_CHARS) {
      out.push(`[${parts.join(",")}]`);
      parts = [];
      chars = 0;
    }
    parts.push(text);
    chars += text.length + 1;
  }
  if (parts.length > 0) {
    out.push(`[${parts.join(",")}]`);
  }
  return out;
}

/** Doubly encoded on purpose: a NUL inside a content stays an escape and cannot end an SQL string. */
function jsonOf(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

function flag(value: boolean): number {
  return value ? 1 : 0;
}

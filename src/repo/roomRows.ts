/**
 * From records of rooms to rows of the queryable copy: the newest of each key, whatever order the records come in. A batch of any
 * number of conversations becomes at most a few statements for each table, since thousands of messages a second must not be thousands of
 * statements. Every statement is guarded by `log_id` (or is a maximum), so that a record that comes twice, or after a newer one,
 * changes nothing. How rows become statements is the dialect's: d1Rows.ts, mysqlRows.ts.
 */
import { seqIdOf } from "../domain/messageId.ts";
import { WORLD_ROOM_ID, type InviteState, type JoinRequestState, type RoomRecord } from "../domain/records.ts";

export type Cell = string | number | null;
/** The cells of a row, all columns of its table in the order of the schema. */
export type Row = readonly Cell[];

/** A row of something about a message; nothing of a recalled message is stored again. */
export interface AboutMessage {
  readonly row: Row;
  readonly seqId: number;
}

/** Conversation and sequence, or conversation and message id. */
export type Place<T extends string | number> = readonly [conversationId: string, at: T];

/** Rows of one batch by table and key, already reduced to the newest of each. */
export interface RoomRows {
  readonly messages: ReadonlyMap<string, Row>;
  readonly conversations: ReadonlyMap<string, Row>;
  readonly members: ReadonlyMap<string, Row>;
  readonly pointers: ReadonlyMap<string, Row>;
  readonly invites: ReadonlyMap<string, Row>;
  readonly joinRequests: ReadonlyMap<string, Row>;
  readonly edits: ReadonlyMap<string, AboutMessage>;
  readonly reactions: ReadonlyMap<string, AboutMessage>;
  /** Answers whose previews go. */
  readonly previews: ReadonlyMap<string, Place<number>>;
  /** Recalled messages, by id. */
  readonly recalled: ReadonlyMap<string, Place<string>>;
  /** Newest version of each conversation. */
  readonly versions: ReadonlyMap<string, number>;
  /** The newest message of each conversation among these rows. */
  readonly heads: ReadonlyMap<string, Head>;
}

/** A message at the end of its conversation. */
export interface Head {
  readonly seqId: number;
  readonly createdAt: number;
}

type Draft = {
  [K in keyof RoomRows]: RoomRows[K] extends ReadonlyMap<infer Key, infer Value> ? Map<Key, Value> : never;
};

/**
 * @param now for read pointers, whose records carry no time; epoch milliseconds
 * @throws Error for a record of an unknown kind, before anything is written
 */
export function roomRows(records: readonly RoomRecord[], now: number): RoomRows {
  const rows: Draft = {
    messages: new Map(),
    conversations: new Map(),
    members: new Map(),
    pointers: new Map(),
    invites: new Map(),
    joinRequests: new Map(),
    edits: new Map(),
    reactions: new Map(),
    previews: new Map(),
    recalled: new Map(),
    versions: new Map(),
    heads: new Map(),
  };
  for (const record of records) {
    addRecord(rows, record, now);
  }
  return rows;
}

/** Keeps the row unless one with a higher `log_id`, which is always the last cell, is there. */
function keepNewest(table: Map<string, Row>, key: string, row: Row): void {
  if (Number(row.at(-1)) > Number(table.get(key)?.at(-1) ?? -1)) {
    table.set(key, row);
  }
}

function addRecord(rows: Draft, record: RoomRecord, now: number): void {
  const { conversationId, logId, version } = record;
  if (version !== undefined) {
    rows.versions.set(conversationId, Math.max(version, rows.versions.get(conversationId) ?? 0));
  }
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
      keepNewest(rows.messages, `${conversationId} ${m.seqId}`, row);
      if (m.seqId > (rows.heads.get(conversationId)?.seqId ?? 0)) {
        rows.heads.set(conversationId, { seqId: m.seqId, createdAt: m.createdAt });
      }
      if (recalled) {
        rows.recalled.set(`${conversationId} ${m.messageId}`, [conversationId, m.messageId]);
      }
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
        c.createdAt, // The last activity, until there is a message.
        c.createdAt,
        c.updatedAt,
        c.dismissedAt ?? null,
        logId,
      ];
      keepNewest(rows.conversations, conversationId, row);
      return;
    }
    case "member": {
      const m = record.member;
      const row = [conversationId, m.userId, m.role, m.joinedAt, m.mutedUntil ?? null, null, 0, 0, logId];
      keepNewest(rows.members, `${conversationId} ${m.userId}`, row);
      addPointer(m.userId, m.readSeqId);
      return;
    }
    case "memberRemoved": {
      const row = [conversationId, record.userId, 1, record.removedAt, null, record.removedAt, 0, 0, logId];
      keepNewest(rows.members, `${conversationId} ${record.userId}`, row);
      return;
    }
    case "readPointer":
      addPointer(record.userId, record.readSeqId);
      return;
    case "invite":
      return keepNewest(rows.invites, record.invite.code, inviteRow(record.invite, logId));
    case "joinRequest":
      return keepNewest(rows.joinRequests, record.request.requestId, joinRequestRow(record.request, logId));
    case "edit": {
      const { messageId, content, editedAt } = record;
      const row = [conversationId, messageId, logId, JSON.stringify(content), editedAt];
      rows.edits.set(`${conversationId} ${messageId} ${logId}`, { row, seqId: seqIdOf(messageId) });
      return;
    }
    case "reaction": {
      const { messageId, userId, emoji, createdAt, removedAt } = record;
      const key = `${conversationId} ${messageId} ${emoji} ${userId}`;
      if (logId > Number(rows.reactions.get(key)?.row.at(-1) ?? -1)) {
        const row = [conversationId, messageId, userId, emoji, createdAt, removedAt ?? null, logId];
        rows.reactions.set(key, { row, seqId: seqIdOf(messageId) });
      }
      return;
    }
    case "previews":
      for (const seqId of record.seqIds) {
        rows.previews.set(`${conversationId} ${seqId}`, [conversationId, seqId]);
      }
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

function inviteRow(invite: InviteState, logId: number): Row {
  return [
    invite.code,
    invite.conversationId,
    invite.createdBy,
    invite.createdAt,
    invite.expiresAt,
    invite.maxUses ?? null,
    invite.uses,
    invite.revokedAt ?? null,
    logId,
  ];
}

function joinRequestRow(request: JoinRequestState, logId: number): Row {
  return [
    request.requestId,
    request.conversationId,
    request.userId,
    request.status,
    request.decidedBy ?? null,
    request.createdAt,
    request.updatedAt,
    logId,
  ];
}

/** Doubly encoded on purpose: a NUL inside a content stays an escape and cannot end an SQL string. */
function jsonOf(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

function flag(value: boolean): number {
  return value ? 1 : 0;
}

/** The queryable copy of conversations: a user's list, memberships, stored messages. */
import { and, asc, desc, eq, gt, inArray, isNull, lt, sql, type SQL } from "drizzle-orm";
import {
  ADMIN,
  DIRECT,
  GROUP,
  MEMBER,
  OWNER,
  WORLD,
  WORLD_ROOM_ID,
  type ConversationState,
  type ConversationType,
  type Role,
  type StoredMessage,
} from "../domain/records.ts";
import { ok } from "../protocol/errors.ts";
import { decodeCursor, encodeCursor } from "./cursor.ts";
import type { Database, Tables } from "./database.ts";
import type { ConversationItem, ConversationRepo } from "./types.ts";

type StoredConversation = Tables["conversations"]["$inferSelect"];
type StoredMember = Tables["conversationMembers"]["$inferSelect"];
type StoredRow = Tables["messages"]["$inferSelect"];

/** Conversations of this database. */
export function conversationRepo(database: Database): ConversationRepo {
  const { tables, dialect } = database;
  const { conversationMembers, conversations, messages, userReadPointers } = tables;
  const items = async (userId: string, conversationIds: readonly string[]): Promise<ConversationItem[]> => {
    if (conversationIds.length === 0) {
      return [];
    }
    const ids = dialect.list(conversationIds);
    const [conversationRows, memberRows, pointerRows, messageRows] = await database.queries((db) => [
      db.select().from(conversations).where(inArray(conversations.conversationId, ids)),
      db
        .select()
        .from(conversationMembers)
        .where(and(eq(conversationMembers.userId, userId), inArray(conversationMembers.conversationId, ids))),
      db
        .select()
        .from(userReadPointers)
        .where(and(eq(userReadPointers.userId, userId), inArray(userReadPointers.conversationId, ids))),
      // Not by `head_seq_id`, which may be ahead while the message itself is still in the queue.
      dialect.newest(db, conversationIds),
    ]);
    const members = new Map(memberRows.map((row) => [row.conversationId, row]));
    const pointers = new Map(pointerRows.map((row) => [row.conversationId, row.readSeqId]));
    const newest = new Map(messageRows.map((row) => [row.conversationId, row]));
    return conversationRows.flatMap((row) => {
      const member = members.get(row.conversationId);
      const isIn = row.type === WORLD || (member !== undefined && member.removedAt === null);
      if (!isIn || row.dismissedAt !== null) {
        return [];
      }
      return [toItem(row, member, pointers.get(row.conversationId) ?? 0, newest.get(row.conversationId))];
    });
  };

  const isMember = async (conversationId: string, userId: string): Promise<boolean> => {
    if (conversationId === WORLD_ROOM_ID) {
      return true;
    }
    const rows = await database.query((db) =>
      db
        .select({ role: conversationMembers.role })
        .from(conversationMembers)
        .where(
          and(
            eq(conversationMembers.conversationId, conversationId),
            eq(conversationMembers.userId, userId),
            isNull(conversationMembers.removedAt),
          ),
        ),
    );
    return rows.length > 0;
  };

  return {
    items,

    async listWithoutMessages(userId, page) {
      const cursor = decodeCursor(page.cursor, LIST_KEY);
      if (!cursor.ok) {
        return cursor;
      }
      const columns = sql.raw("conversation_id, pinned, role, muted");
      const inWorld = sql`
        SELECT ${WORLD_ROOM_ID}, coalesce(max(pinned), 0), coalesce(max(role), ${MEMBER}), coalesce(max(muted), 0)
        FROM conversation_members WHERE conversation_id = ${WORLD_ROOM_ID} AND user_id = ${userId}`;
      const number = (column: string) => sql.raw(`k.${column}`).mapWith(Number);
      const { conversationId, dismissedAt, lastActivityAt } = conversations;
      const rows = await database.query((db) =>
        db
          .select({
            row: conversations,
            role: number("role"),
            muted: number("muted"),
            pinned: number("pinned"),
            readSeqId: userReadPointers.readSeqId,
          })
          .from(memberships(userId, columns, inWorld))
          .innerJoin(conversations, sql`${conversationId} = k.conversation_id`)
          .leftJoin(
            userReadPointers,
            and(eq(userReadPointers.conversationId, conversationId), eq(userReadPointers.userId, userId)),
          )
          .where(and(isNull(dismissedAt), behind(cursor.value, sql`(k.pinned, ${lastActivityAt}, ${conversationId})`)))
          .orderBy(sql`k.pinned desc`, desc(lastActivityAt), desc(conversationId))
          .limit(page.limit + 1),
      );
      const shown = rows.slice(0, page.limit);
      const last = shown.at(-1);
      return ok({
        items: shown.map(({ row, readSeqId, ...member }) => toItem(row, member, readSeqId ?? 0, undefined)),
        nextCursor:
          rows.length > page.limit && last !== undefined
            ? encodeCursor([last.pinned, last.row.lastActivityAt, last.row.conversationId])
            : null,
      });
    },

    async list(userId, page) {
      const cursor = decodeCursor(page.cursor, LIST_KEY);
      if (!cursor.ok) {
        return cursor;
      }
      const keys = await listKeys(database, userId, page.limit + 1, cursor.value);
      const shown = keys.slice(0, page.limit);
      const rows = await items(
        userId,
        shown.map((key) => key.id),
      );
      const byId = new Map(rows.map((item) => [item.conversation.conversationId, item]));
      const last = shown.at(-1);
      return ok({
        items: shown.flatMap((key) => byId.get(key.id) ?? []),
        nextCursor:
          keys.length > page.limit && last !== undefined ? encodeCursor([last.pinned, last.activity, last.id]) : null,
      });
    },

    async idsAmong(userId, conversationIds) {
      if (conversationIds.length === 0) {
        return [];
      }
      const rows = await database.query((db) =>
        db
          .select({ id: conversations.conversationId })
          .from(conversations)
          .innerJoin(conversationMembers, eq(conversationMembers.conversationId, conversations.conversationId))
          .where(
            and(
              inArray(conversations.conversationId, dialect.list(conversationIds)),
              isNull(conversations.dismissedAt),
              eq(conversationMembers.userId, userId),
              isNull(conversationMembers.removedAt),
            ),
          ),
      );
      const ids = new Set(rows.map((row) => row.id));
      return conversationIds.filter((id) => id === WORLD_ROOM_ID || ids.has(id));
    },

    async idsOf(userId, page) {
      const after = page.cursor ?? "";
      const rows = await database.query((db) =>
        db
          .select({ id: conversationMembers.conversationId })
          .from(conversationMembers)
          .where(
            and(
              eq(conversationMembers.userId, userId),
              isNull(conversationMembers.removedAt),
              gt(conversationMembers.conversationId, after),
            ),
          ),
      );
      // Sorted here: the index that finds the rows is ordered by `pinned` first.
      const ids = new Set(rows.map((row) => row.id));
      if (after < WORLD_ROOM_ID) {
        ids.add(WORLD_ROOM_ID);
      }
      const all = [...ids].toSorted();
      const shown = all.slice(0, page.limit);
      return { items: shown, nextCursor: all.length > page.limit ? (shown.at(-1) ?? null) : null };
    },

    isMember,

    async setSettings(conversationId, userId, settings) {
      const muted = settings.muted === undefined ? null : Number(settings.muted);
      const pinned = settings.pinned === undefined ? null : Number(settings.pinned);
      const changed = {
        muted: sql`coalesce(${muted}, ${conversationMembers.muted})`,
        pinned: sql`coalesce(${pinned}, ${conversationMembers.pinned})`,
      };
      if (conversationId === WORLD_ROOM_ID) {
        // A member of the world has no row until there is something to keep; log_id 0 loses to every record of the room.
        const own = { muted: muted ?? 0, pinned: pinned ?? 0 };
        const row = { conversationId, userId, role: MEMBER, joinedAt: 0, ...own, logId: 0 };
        await database.change((db) =>
          dialect.upsert(conversationMembers, db.insert(conversationMembers).values(row), {
            key: [conversationMembers.conversationId, conversationMembers.userId],
            set: changed,
          }),
        );
        return true;
      }
      const met = await database.change((db) =>
        db
          .update(conversationMembers)
          .set(changed)
          .where(
            and(
              eq(conversationMembers.conversationId, conversationId),
              eq(conversationMembers.userId, userId),
              isNull(conversationMembers.removedAt),
            ),
          ),
      );
      // Not met may mean: not changed.
      return met > 0 || (await isMember(conversationId, userId));
    },

    async messages(conversationId, page) {
      const { before, after } = page;
      // From `after` upwards, else the newest below `before`: the range is read from its near end.
      const ascending = after !== undefined;
      const rows = await database.query((db) =>
        db
          .select()
          .from(messages)
          .where(
            and(
              eq(messages.conversationId, conversationId),
              before === undefined ? undefined : lt(messages.seqId, before),
              after === undefined ? undefined : gt(messages.seqId, after),
            ),
          )
          .orderBy(ascending ? asc(messages.seqId) : desc(messages.seqId))
          .limit(page.limit),
      );
      return (ascending ? rows : rows.toReversed()).map(toStoredMessage);
    },
  };
}

interface ListKey {
  readonly id: string;
  readonly pinned: number;
  readonly activity: number;
}

/** Where a page of the list ends: pinned, activity, id. */
const LIST_KEY = [0, 0, ""] as const;
type ListCursor = readonly (string | number)[] | null;

/**
 * A user's memberships as `k`: these columns of their rows, and the world room, which is in everybody's list without a row.
 * @param inWorld the same columns of the world; who has a row there (pinned, muted) is counted by it
 */
function memberships(userId: string, columns: SQL, inWorld: SQL): SQL {
  return sql`(
        SELECT ${columns} FROM conversation_members
        WHERE user_id = ${userId} AND removed_at IS NULL AND conversation_id <> ${WORLD_ROOM_ID}
        UNION ALL ${inWorld}
      ) k`;
}

/** Only what comes behind the cursor. */
function behind(after: ListCursor, key: SQL): SQL {
  const [pinned, activity, id] = after ?? [];
  return after === null ? sql`true` : sql`${key} < (${pinned}, ${activity}, ${id})`;
}

/** Sort keys of one page: memberships from the covering index, activity by primary key. */
function listKeys(database: Database, userId: string, limit: number, after: ListCursor): Promise<ListKey[]> {
  const inWorld = sql`
        SELECT ${WORLD_ROOM_ID}, coalesce((SELECT pinned FROM conversation_members
          WHERE conversation_id = ${WORLD_ROOM_ID} AND user_id = ${userId}), 0)`;
  return database.rows<ListKey>(sql`
      SELECT c.conversation_id AS id, k.pinned AS pinned, c.last_activity_at AS activity
      FROM ${memberships(userId, sql.raw("conversation_id, pinned"), inWorld)}
      JOIN conversations c ON c.conversation_id = k.conversation_id
      WHERE c.dismissed_at IS NULL AND ${behind(after, sql.raw("(k.pinned, c.last_activity_at, c.conversation_id)"))}
      ORDER BY k.pinned DESC, c.last_activity_at DESC, c.conversation_id DESC
      LIMIT ${limit}`);
}

function toItem(
  row: StoredConversation,
  member: Pick<StoredMember, "role" | "muted" | "pinned"> | undefined,
  readSeqId: number,
  newest: StoredRow | undefined,
): ConversationItem {
  return {
    conversation: toState(row),
    headSeqId: row.headSeqId,
    lastMessage: newest === undefined ? null : toStoredMessage(newest),
    readSeqId,
    role: toRole(member?.role ?? MEMBER),
    muted: member?.muted === 1,
    pinned: member?.pinned === 1,
  };
}

function toState(row: StoredConversation): ConversationState {
  return {
    conversationId: row.conversationId,
    type: toType(row.type),
    ...optional("name", row.name),
    ...optional("avatarUrl", row.avatarUrl),
    ...optional("announcement", row.announcement),
    ...optional("ownerId", row.ownerId),
    memberCount: row.memberCount,
    maxMembers: row.maxMembers,
    joinApproval: row.joinApproval === 1,
    muteAll: row.muteAll === 1,
    version: row.version,
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
    ...optional("dismissedAt", row.dismissedAt),
  };
}

/** A row of `messages` as its room wrote it. */
export function toStoredMessage(row: StoredRow): StoredMessage {
  return {
    messageId: row.messageId,
    conversationId: row.conversationId,
    seqId: row.seqId,
    senderId: row.senderId,
    messageType: row.messageType as StoredMessage["messageType"],
    ...parsed<StoredMessage, "content">("content", row.content),
    createdAt: row.createdAt,
    clientMsgId: row.clientMsgId ?? "",
    ...parsed<StoredMessage, "replyTo">("replyTo", row.replyTo),
    ...parsed<StoredMessage, "mentions">("mentions", row.mentions),
    ...optional("editedAt", row.editedAt),
    ...optional("recalledAt", row.recalledAt),
  };
}

function toType(type: number): ConversationType {
  return type === DIRECT || type === WORLD ? type : GROUP;
}

function toRole(role: number): Role {
  return role === ADMIN || role === OWNER ? role : MEMBER;
}

/** The wire leaves absent fields out where SQL has NULL. */
function optional<K extends string, V>(key: K, value: V | null): { [k in K]?: V } {
  return value === null ? {} : ({ [key]: value } as { [k in K]?: V });
}

/** A JSON column that only `applyRoomRecords` writes, from a typed record. */
function parsed<T, K extends keyof T & string>(key: K, text: string | null): { [k in K]?: T[K] } {
  return text === null ? {} : ({ [key]: JSON.parse(text) as T[K] } as { [k in K]?: T[K] });
}

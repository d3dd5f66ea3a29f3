/** What becomes of a stored copy of a room when a record meets it, said once for all dialects. The higher `log_id` wins. */
import { sql, type SQL } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import type { Dialect, Tables, Upsert } from "./database.ts";

/** One rule for each table that has copies of rooms, without those that a record only adds to. */
export function roomUpserts(
  t: Tables,
  d: Dialect,
): Readonly<
  Record<
    | "messages"
    | "conversations"
    | "conversationMembers"
    | "userReadPointers"
    | "invites"
    | "joinRequests"
    | "messageReactions",
    Upsert
  >
> {
  const newer = (table: { logId: SQLiteColumn }): SQL => sql`${d.incoming(table.logId)} > ${table.logId}`;
  /** These properties, as the record has them. */
  const taken = <K extends string>(table: Readonly<Record<K, SQLiteColumn>>, ...names: K[]): Record<string, SQL> =>
    Object.fromEntries(names.map((name) => [name, d.incoming(table[name])]));
  const { conversations: c, conversationMembers: m, userReadPointers: p } = t;
  // A removal takes role and entry time with it (which of them came last depends on the order), and the own settings.
  const unlessRemoved = (column: SQLiteColumn): SQL =>
    sql`CASE WHEN ${d.incoming(m.removedAt)} IS NULL THEN ${column} ELSE 0 END`;
  return {
    messages: {
      key: [t.messages.conversationId, t.messages.seqId],
      set: taken(t.messages, "content", "replyTo", "mentions", "editedAt", "recalledAt", "logId"),
      where: newer(t.messages),
    },
    // `last_activity_at` begins at the creation; only messages move it. The world's member count is kept by the accounts.
    conversations: {
      key: [c.conversationId],
      set: {
        ...taken(c, "name", "avatarUrl", "announcement", "ownerId"),
        memberCount: sql`CASE WHEN ${c.type} = 3 THEN ${c.memberCount} ELSE ${d.incoming(c.memberCount)} END`,
        ...taken(c, "maxMembers", "joinApproval", "muteAll"),
        headSeqId: d.greatest(c.headSeqId, d.incoming(c.headSeqId)),
        version: d.greatest(c.version, d.incoming(c.version)),
        ...taken(c, "updatedAt", "dismissedAt", "logId"),
      },
      where: newer(c),
    },
    conversationMembers: {
      key: [m.conversationId, m.userId],
      set: {
        ...taken(m, "role", "joinedAt"),
        muted: unlessRemoved(m.muted),
        pinned: unlessRemoved(m.pinned),
        ...taken(m, "mutedUntil", "removedAt", "logId"),
      },
      where: newer(m),
    },
    userReadPointers: {
      key: [p.conversationId, p.userId],
      // With the new log_id only a higher sequence still passes the condition, and an equal one is there already.
      set: taken(p, "updatedAt", "logId", "readSeqId"),
      where: sql`(${d.incoming(p.readSeqId)}, ${d.incoming(p.logId)}) > (${p.readSeqId}, ${p.logId})`,
    },
    invites: {
      key: [t.invites.code],
      set: taken(t.invites, "uses", "revokedAt", "logId"),
      where: newer(t.invites),
    },
    joinRequests: {
      key: [t.joinRequests.requestId],
      set: taken(t.joinRequests, "status", "decidedBy", "updatedAt", "logId"),
      where: newer(t.joinRequests),
    },
    messageReactions: {
      key: [
        t.messageReactions.conversationId,
        t.messageReactions.messageId,
        t.messageReactions.emoji,
        t.messageReactions.userId,
      ],
      set: taken(t.messageReactions, "createdAt", "removedAt", "logId"),
      where: newer(t.messageReactions),
    },
  };
}

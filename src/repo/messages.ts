/** What SQL knows of single messages: those that have left the log of their room. */
import { and, asc, eq, inArray, sql } from "drizzle-orm";
import type { Edit } from "../protocol/things.ts";
import { toStoredMessage } from "./conversations.ts";
import type { Database } from "./database.ts";
import type { MessageRepo } from "./types.ts";

export function messageRepo(database: Database): MessageRepo {
  const { messageEdits, messages } = database.tables;
  return {
    async at(conversationId, seqIds) {
      if (seqIds.length === 0) {
        return [];
      }
      const places = database.dialect.list(seqIds);
      const rows = await database.query((db) =>
        db
          .select()
          .from(messages)
          .where(and(eq(messages.conversationId, conversationId), inArray(messages.seqId, places)))
          .orderBy(asc(messages.seqId)),
      );
      return rows.map(toStoredMessage);
    },

    async edits(conversationId, messageId) {
      const rows = await database.query((db) =>
        db
          .select({ content: messageEdits.content, editedAt: messageEdits.editedAt })
          .from(messageEdits)
          .where(and(eq(messageEdits.conversationId, conversationId), eq(messageEdits.messageId, messageId)))
          .orderBy(asc(messageEdits.logId)),
      );
      // Only `applyRoomRecords` writes there, from typed records.
      return rows.map((row) => ({ content: JSON.parse(row.content) as Edit["content"], editedAt: row.editedAt }));
    },

    async senders(conversationId, from, to, limit) {
      const rows = await database.rows<{ id: string }>(
        sql`
          SELECT m.sender_id AS id FROM messages m JOIN conversation_members c
            ON c.conversation_id = m.conversation_id AND c.user_id = m.sender_id AND c.removed_at IS NULL
          WHERE m.conversation_id = ${conversationId} AND m.seq_id > ${from} AND m.seq_id <= ${to}
          GROUP BY m.sender_id ORDER BY max(m.seq_id) DESC LIMIT ${limit}`,
        // Who has left a moment ago hears of one reader more.
        "recent",
      );
      return rows.map((row) => row.id);
    },
  };
}

/** What SQL knows of single messages: those that have left the log of their room. */
import { and, asc, eq, sql } from "drizzle-orm";
import { messageEdits, messages } from "../../schema/sqlite.ts";
import type { Edit } from "../protocol/things.ts";
import { toStoredMessage } from "./conversations.ts";
import { guarded, type Db } from "./d1.ts";
import type { MessageRepo } from "./types.ts";

export function d1Messages(db: Db): MessageRepo {
  return {
    async at(conversationId, seqIds) {
      if (seqIds.length === 0) {
        return [];
      }
      const rows = await guarded(() =>
        db
          .select()
          .from(messages)
          .where(
            and(
              eq(messages.conversationId, conversationId),
              sql`${messages.seqId} IN (SELECT value FROM json_each(${JSON.stringify(seqIds)}))`,
            ),
          )
          .orderBy(asc(messages.seqId)),
      );
      return rows.map(toStoredMessage);
    },

    async edits(conversationId, messageId) {
      const rows = await guarded(() =>
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
      const rows = await guarded(() =>
        db.all<{ id: string }>(sql`
          SELECT m.sender_id AS id FROM messages m JOIN conversation_members c
            ON c.conversation_id = m.conversation_id AND c.user_id = m.sender_id AND c.removed_at IS NULL
          WHERE m.conversation_id = ${conversationId} AND m.seq_id > ${from} AND m.seq_id <= ${to}
          GROUP BY m.sender_id ORDER BY max(m.seq_id) DESC LIMIT ${limit}`),
      );
      return rows.map((row) => row.id);
    },
  };
}

/**
 * Records of what became of messages: earlier contents, reactions, emptied previews, and the version of their conversation.
 * A recall wins over everything, whatever order the records come in: nothing of a recalled message is stored again.
 */
import { sql, type SQL } from "drizzle-orm";
import { conversations, messageEdits, messageReactions, messages } from "../../schema/sqlite.ts";
import { seqIdOf } from "../domain/messageId.ts";
import type { RoomRecord } from "../domain/records.ts";
import type { Db, Statement } from "./d1.ts";

type Row = readonly (string | number | null)[];
type ChangeRecord = Extract<RoomRecord, { kind: "edit" | "reaction" | "previews" }>;

/** Rows of one batch by table. */
export interface ChangeRows {
  readonly edits: Map<string, Row>;
  readonly reactions: Map<string, Row>;
  /** Conversation and sequence of answers whose previews go. */
  readonly previews: Map<string, Row>;
  /** Conversation and id of recalled messages. */
  readonly recalled: Map<string, Row>;
  /** Newest version of each conversation. */
  readonly versions: Map<string, number>;
}

export function noChangeRows(): ChangeRows {
  return { edits: new Map(), reactions: new Map(), previews: new Map(), recalled: new Map(), versions: new Map() };
}

/** What a record of any kind says about its conversation and message, beside its own row. */
export function noteChange(rows: ChangeRows, record: RoomRecord): void {
  const { conversationId, version } = record;
  if (version !== undefined) {
    rows.versions.set(conversationId, Math.max(version, rows.versions.get(conversationId) ?? 0));
  }
  if (record.kind === "message" && record.message.recalledAt !== undefined) {
    const { messageId } = record.message;
    rows.recalled.set(`${conversationId} ${messageId}`, [conversationId, messageId]);
  }
}

export function addChange(rows: ChangeRows, record: ChangeRecord): void {
  const { conversationId, logId } = record;
  switch (record.kind) {
    case "edit": {
      const { messageId, content, editedAt } = record;
      const row = [conversationId, messageId, logId, JSON.stringify(content), editedAt, seqIdOf(messageId)];
      rows.edits.set(`${conversationId} ${messageId} ${logId}`, row);
      return;
    }
    case "reaction": {
      const { messageId, userId, emoji, createdAt, removedAt } = record;
      const key = `${conversationId} ${messageId} ${emoji} ${userId}`;
      if (logId > Number(rows.reactions.get(key)?.[6] ?? -1)) {
        const cells = [conversationId, messageId, userId, emoji, createdAt, removedAt ?? null, logId];
        rows.reactions.set(key, [...cells, seqIdOf(messageId)]);
      }
      return;
    }
    case "previews":
      for (const seqId of record.seqIds) {
        rows.previews.set(`${conversationId} ${seqId}`, [conversationId, seqId]);
      }
  }
}

/**
 * To be run after the messages of the same batch were written, since a recall among them forbids rows here.
 * @param chunks makes JSON parameters of rows
 */
export function changeStatements(db: Db, rows: ChangeRows, chunks: (rows: Iterable<Row>) => string[]): Statement[] {
  return [
    ...chunks(rows.edits.values()).map((json) => insertEdits(db, json)),
    ...chunks(rows.reactions.values()).map((json) => upsertReactions(db, json)),
    ...chunks(rows.recalled.values()).flatMap((json) => forget(db, json)),
    ...chunks(rows.previews.values()).map((json) => emptyPreviews(db, json)),
    ...chunks(rows.versions).map((json) => raiseVersions(db, json)),
  ];
}

/** The n-th cells of each row of a JSON parameter, but for rows whose message (sequence in cell `seq`) was recalled. */
function unlessRecalled(json: string, cells: SQL, seq: number): SQL {
  return sql`SELECT ${cells} FROM json_each(${json}) j WHERE NOT EXISTS (SELECT 1 FROM messages m
    WHERE m.conversation_id = j.value ->> 0 AND m.seq_id = j.value ->> ${sql.raw(String(seq))}
      AND m.recalled_at IS NOT NULL)`;
}

function insertEdits(db: Db, json: string): Statement {
  const cells = sql`j.value ->> 0, j.value ->> 1, j.value ->> 2, j.value ->> 3, j.value ->> 4`;
  return db
    .insert(messageEdits)
    .select(unlessRecalled(json, cells, 5))
    .onConflictDoNothing();
}

function upsertReactions(db: Db, json: string): Statement {
  const cells = sql`j.value ->> 0, j.value ->> 1, j.value ->> 2, j.value ->> 3, j.value ->> 4, j.value ->> 5, j.value ->> 6`;
  return db
    .insert(messageReactions)
    .select(unlessRecalled(json, cells, 7))
    .onConflictDoUpdate({
      target: [
        messageReactions.conversationId,
        messageReactions.messageId,
        messageReactions.emoji,
        messageReactions.userId,
      ],
      set: {
        createdAt: sql`excluded.created_at`,
        removedAt: sql`excluded.removed_at`,
        logId: sql`excluded.log_id`,
      },
      setWhere: sql`excluded.log_id > ${messageReactions.logId}`,
    });
}

function forget(db: Db, json: string): Statement[] {
  const recalled = sql`(conversation_id, message_id) IN (SELECT value ->> 0, value ->> 1 FROM json_each(${json}))`;
  return [db.delete(messageEdits).where(recalled), db.delete(messageReactions).where(recalled)];
}

/** Without a new `log_id`: a record of the answer that could bring its preview back is either this one or older. */
function emptyPreviews(db: Db, json: string): Statement {
  return db
    .update(messages)
    .set({ replyTo: sql`json_set(reply_to, '$.preview', '')` })
    .where(
      sql`(conversation_id, seq_id) IN (SELECT value ->> 0, value ->> 1 FROM json_each(${json}))
        AND reply_to IS NOT NULL`,
    );
}

function raiseVersions(db: Db, json: string): Statement {
  return db
    .update(conversations)
    .set({
      version: sql`max(version, (SELECT j.value ->> 1 FROM json_each(${json}) j
        WHERE j.value ->> 0 = conversations.conversation_id))`,
    })
    .where(sql`conversation_id IN (SELECT value ->> 0 FROM json_each(${json}))`);
}

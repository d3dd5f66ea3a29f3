/**
 * Rows of rooms as statements of D1: one for each table and chunk, its rows as one JSON parameter, since D1 takes only 100 bound
 * values. All of them are one transaction.
 */
import { getTableColumns, sql, type SQL } from "drizzle-orm";
import type { DrizzleD1Database } from "drizzle-orm/d1";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import * as t from "../../schema/sqlite.ts";
import { d1Dialect } from "./d1Dialect.ts";
import type { Statement, Upsert } from "./database.ts";
import type { AboutMessage, Cell, RoomRows, Row } from "./roomRows.ts";
import { roomUpserts } from "./roomUpserts.ts";

/**
 * Characters of JSON in one parameter. D1's limit is 2 MB a value; a character takes at most three bytes in UTF-8, and
 * escaped quotes are counted because the text is measured after escaping.
 */
const MAX_JSON_CHARS = 500_000;

const upserts = roomUpserts(t, d1Dialect);

/** In the order in which they must run. */
export function d1Statements(db: DrizzleD1Database, rows: RoomRows): Statement[] {
  const upsert = (table: SQLiteTable, from: Iterable<Row>, rule: Upsert): Statement[] =>
    chunks(from).map((json) => d1Dialect.upsert(table, db.insert(table).select(rowsFrom(json, table)), rule));
  return [
    ...upsert(t.messages, rows.messages.values(), upserts.messages),
    ...upsert(t.conversations, rows.conversations.values(), upserts.conversations),
    ...upsert(t.conversationMembers, rows.members.values(), upserts.conversationMembers),
    ...upsert(t.userReadPointers, rows.pointers.values(), upserts.userReadPointers),
    ...upsert(t.invites, rows.invites.values(), upserts.invites),
    ...upsert(t.joinRequests, rows.joinRequests.values(), upserts.joinRequests),
    // After the messages, since a recall among them forbids rows here.
    ...chunks(withSequence(rows.edits)).map((json) => insertEdits(db, json)),
    ...chunks(withSequence(rows.reactions)).map((json) => upsertReactions(db, json)),
    ...chunks(rows.recalled.values()).flatMap((json) => forget(db, json)),
    ...chunks(rows.previews.values()).map((json) => emptyPreviews(db, json)),
    ...chunks(rows.versions).map((json) => raiseVersions(db, json)),
    // Last, because it reads the messages and conversations written above, whichever of them came first.
    ...chunks(moved(rows).map((id) => [id])).map((json) => advanceHeads(db, json)),
  ];
}

/** Conversations whose head must be looked at again. */
function moved({ heads, conversations }: RoomRows): string[] {
  return [...new Set([...heads.keys(), ...conversations.keys()])];
}

/** The cells of each row of a JSON parameter as the columns of the table. */
function rowsFrom(json: string, table: SQLiteTable): SQL {
  return sql`SELECT ${cells("value", table)} FROM json_each(${json}) WHERE true`;
}

function cells(of: string, table: SQLiteTable): SQL {
  const count = Object.keys(getTableColumns(table)).length;
  return sql.raw(Array.from({ length: count }, (_, i) => `${of} ->> ${i}`).join(", "));
}

/** Behind the cells of a row stands the sequence of the message that it is about. */
function withSequence(rows: ReadonlyMap<string, AboutMessage>): Row[] {
  return [...rows.values()].map(({ row, seqId }) => [...row, seqId]);
}

/** As `rowsFrom`, but for rows whose message was recalled. */
function unlessRecalled(json: string, table: SQLiteTable): SQL {
  const sequence = sql.raw(String(Object.keys(getTableColumns(table)).length));
  return sql`SELECT ${cells("j.value", table)} FROM json_each(${json}) j WHERE NOT EXISTS (SELECT 1 FROM messages m
    WHERE m.conversation_id = j.value ->> 0 AND m.seq_id = j.value ->> ${sequence} AND m.recalled_at IS NOT NULL)`;
}

function insertEdits(db: DrizzleD1Database, json: string): Statement {
  return db.insert(t.messageEdits).select(unlessRecalled(json, t.messageEdits)).onConflictDoNothing();
}

function upsertReactions(db: DrizzleD1Database, json: string): Statement {
  const insert = db.insert(t.messageReactions).select(unlessRecalled(json, t.messageReactions));
  return d1Dialect.upsert(t.messageReactions, insert, upserts.messageReactions);
}

function forget(db: DrizzleD1Database, json: string): Statement[] {
  const recalled = sql`(conversation_id, message_id) IN (SELECT value ->> 0, value ->> 1 FROM json_each(${json}))`;
  return [db.delete(t.messageEdits).where(recalled), db.delete(t.messageReactions).where(recalled)];
}

/** Without a new `log_id`: a record of the answer that could bring its preview back is either this one or older. */
function emptyPreviews(db: DrizzleD1Database, json: string): Statement {
  return db
    .update(t.messages)
    .set({ replyTo: sql`json_set(reply_to, '$.preview', '')` })
    .where(
      sql`(conversation_id, seq_id) IN (SELECT value ->> 0, value ->> 1 FROM json_each(${json}))
        AND reply_to IS NOT NULL`,
    );
}

function raiseVersions(db: DrizzleD1Database, json: string): Statement {
  return db
    .update(t.conversations)
    .set({
      version: sql`max(version, (SELECT j.value ->> 1 FROM json_each(${json}) j
        WHERE j.value ->> 0 = conversations.conversation_id))`,
    })
    .where(sql`conversation_id IN (SELECT value ->> 0 FROM json_each(${json}))`);
}

/** Looks the newest message up by primary key; so it is right also when messages came before their conversation. */
function advanceHeads(db: DrizzleD1Database, json: string): Statement {
  return db
    .update(t.conversations)
    .set({
      headSeqId: sql`max(head_seq_id, coalesce((SELECT max(m.seq_id) FROM messages m
        WHERE m.conversation_id = conversations.conversation_id), 0))`,
      lastActivityAt: sql`max(last_activity_at, coalesce((SELECT m.created_at FROM messages m
        WHERE m.conversation_id = conversations.conversation_id ORDER BY m.seq_id DESC LIMIT 1), 0))`,
    })
    .where(sql`conversation_id IN (SELECT value ->> 0 FROM json_each(${json}))`);
}

/** JSON arrays of rows, none longer than one parameter may be (a single row is far below it: frames end at 64 KiB). */
function chunks(rows: Iterable<readonly Cell[]>): string[] {
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

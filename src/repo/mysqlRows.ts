/**
 * Rows of rooms as statements of MySQL: one for each table and chunk, of many rows each. Not one transaction: every row is guarded by its
 * `log_id`, so a batch that stops in the middle is finished by its repetition, while a transaction would hold locks over several round
 * trips, and over several shards. Every statement names the conversations that it is about, and by them its shards.
 *
 * Rows are in the order of their keys, so that consumers at work on the same conversations meet in one order, and seldom in a deadlock.
 */
import { getTableColumns, Param, type SQL, sql } from "drizzle-orm";
import type { SQLiteTable, AnySQLiteInsert } from "drizzle-orm/sqlite-core";
import type { Dialect, Statement, Tables, Upsert } from "./database.ts";
import type { AboutMessage, Head, Place, RoomRows, Row } from "./roomRows.ts";
import { roomUpserts } from "./roomUpserts.ts";

/** UTF-16 units of one statement's rows: far below the 16 MiB that MariaDB takes (`max_allowed_packet`), and Vitess over gRPC. */
const MAX_STATEMENT_CHARS = 1_000_000;

/** How the rows get there. */
export interface RowRunner {
  readonly tables: Tables;
  readonly dialect: Dialect;
  /** Runs one statement by itself. Answers what the driver does. */
  run(statement: SQL | Statement): Promise<unknown>;
}

/** Writes all of it, statement by statement. */
export async function applyMysqlRows(runner: RowRunner, rows: RoomRows): Promise<void> {
  const { tables: t, dialect } = runner;
  const upserts = roomUpserts(t, dialect);
  const upsert = async (table: SQLiteTable, from: Iterable<Row>, rule: Upsert): Promise<void> => {
    for (const chunk of chunks(from)) {
      await runner.run(dialect.upsert(table, insertOf(table, chunk), rule));
    }
  };
  const addEdits = async (): Promise<void> => {
    for (const chunk of chunks(rowsOf(rows.edits))) {
      const { conversationId, messageId, logId } = t.messageEdits;
      // MySQL says "leave it alone" by an assignment to the first of these, and Vitess lets nobody assign to what places a row.
      await runner.run(dialect.keepFirst(insertOf(t.messageEdits, chunk), [logId, conversationId, messageId]));
    }
  };
  // Tables that know nothing of each other, in the time of one.
  await Promise.all([
    upsert(t.messages, rows.messages.values(), upserts.messages),
    upsert(t.conversations, rows.conversations.values(), upserts.conversations),
    upsert(t.conversationMembers, rows.members.values(), upserts.conversationMembers),
    upsert(t.userReadPointers, rows.pointers.values(), upserts.userReadPointers),
    upsert(t.invites, rows.invites.values(), upserts.invites),
    upsert(t.joinRequests, rows.joinRequests.values(), upserts.joinRequests),
    addEdits(),
    upsert(t.messageReactions, rowsOf(rows.reactions), upserts.messageReactions),
  ]);
  // What looks at the rows above.
  await forgetRecalled(runner, rows);
  if (rows.previews.size > 0) {
    await runner.run(emptyPreviews([...rows.previews.values()]));
  }
  if (rows.versions.size > 0) {
    await runner.run(raise([...rows.versions.keys()], { version: (id) => rows.versions.get(id) ?? 0 }));
  }
  await advanceHeads(runner, rows);
}

function rowsOf(about: ReadonlyMap<string, AboutMessage>): Row[] {
  return [...about.values()].map(({ row }) => row);
}

/** `insert into …` with a list of values for each row; the client writes an array as a comma list. */
function insertOf(table: SQLiteTable, rows: readonly Row[]): AnySQLiteInsert {
  const columns = Object.values(getTableColumns(table)).map((column) => sql.identifier(column.name));
  const values = rows.map((row) => sql`(${new Param(row)})`);
  // What `Dialect` of MySQL does with an insert, it does with its SQL.
  const insert = sql`insert into ${table} (${sql.join(columns, sql`, `)}) values ${sql.join(values, sql`, `)}`;
  return insert as unknown as AnySQLiteInsert;
}

/**
 * Nothing of a recalled message stays, in whatever order the records come. First the rows were written, and now it is looked which of
 * their messages have been recalled: whoever recalls one at the same moment has either done it before this look, or deletes
 * after it.
 */
async function forgetRecalled(runner: RowRunner, rows: RoomRows): Promise<void> {
  const recalled = [...rows.recalled.values()];
  const about = [...rows.edits.values(), ...rows.reactions.values()];
  if (about.length > 0) {
    const places = about.map(({ row, seqId }): Place<number> => [String(row[0]), seqId]);
    const result = await runner.run(
      sql`select conversation_id, message_id from messages
        where ${at("seq_id", places)} and recalled_at is not null`,
    );
    for (const row of rowsIn(result)) {
      recalled.push([String(row["conversation_id"]), String(row["message_id"])]);
    }
  }
  if (recalled.length > 0) {
    await runner.run(sql`delete from message_edits where ${at("message_id", recalled)}`);
    await runner.run(sql`delete from message_reactions where ${at("message_id", recalled)}`);
  }
}

function rowsIn(result: unknown): Record<string, unknown>[] {
  const rows = typeof result === "object" && result !== null && "rows" in result ? result.rows : [];
  return Array.isArray(rows) ? rows : [];
}

/** Without a new `log_id`: a record of the answer that could bring its preview back is either this one or older. */
function emptyPreviews(places: readonly Place<number>[]): SQL {
  return sql`update messages set reply_to = json_set(reply_to, '$.preview', '')
    where ${at("seq_id", places)} and reply_to is not null`;
}

/** These places, found by primary key; the conversations once more by themselves, since they name the shards. */
function at(column: "seq_id" | "message_id", places: readonly Place<string | number>[]): SQL {
  const pairs = places.map((place) => sql`(${new Param(place)})`);
  const ids = [...new Set(places.map(([conversationId]) => conversationId))];
  return sql`conversation_id in (${new Param(ids)})
    and (conversation_id, ${sql.identifier(column)}) in (${sql.join(pairs, sql`, `)})`;
}

/**
 * Where only messages are new, what they say is enough. The head of a conversation that was written with this batch is looked up, since
 * its messages may have come before it.
 */
async function advanceHeads(runner: RowRunner, { heads, conversations }: RoomRows): Promise<void> {
  const newest = new Map(heads);
  if (conversations.size > 0) {
    const ids = sql`conversation_id in (${new Param([...conversations.keys()])})`;
    const result = await runner.run(sql`
      select m.conversation_id, m.seq_id, m.created_at from messages m join (
        select conversation_id, max(seq_id) as newest from messages where ${ids} group by conversation_id
      ) ends on ends.conversation_id = m.conversation_id and ends.newest = m.seq_id
      where m.${ids}`);
    for (const row of rowsIn(result)) {
      newest.set(String(row["conversation_id"]), {
        seqId: Number(row["seq_id"]),
        createdAt: Number(row["created_at"]),
      });
    }
  }
  if (newest.size > 0) {
    const of = (id: string): Head => newest.get(id) ?? { seqId: 0, createdAt: 0 };
    const to = { head_seq_id: (id: string) => of(id).seqId, last_activity_at: (id: string) => of(id).createdAt };
    await runner.run(raise([...newest.keys()], to));
  }
}

/** Raises columns of conversations, each to a number of its own. */
function raise(ids: readonly string[], to: Readonly<Record<string, (id: string) => number>>): SQL {
  const set = Object.entries(to).map(([name, of]) => {
    const cases = ids.map((id) => sql`when ${id} then ${of(id)}`);
    const column = sql.identifier(name);
    return sql`${column} = greatest(${column}, case conversation_id ${sql.join(cases, sql` `)} end)`;
  });
  return sql`update conversations set ${sql.join(set, sql`, `)} where conversation_id in (${new Param(ids.toSorted())})`;
}

/** In the order of their keys, which the first columns are; none longer than a statement may be. */
function chunks(rows: Iterable<Row>): Row[][] {
  const out: Row[][] = [];
  let chars = Infinity;
  for (const row of [...rows].toSorted(byKey)) {
    const length = row.reduce<number>((sum, cell) => sum + (typeof cell === "string" ? cell.length : 16), 0);
    if (chars + length > MAX_STATEMENT_CHARS) {
      out.push([]);
      chars = 0;
    }
    out.at(-1)?.push(row);
    chars += length;
  }
  return out;
}

function byKey(a: Row, b: Row): number {
  for (const [i, cell] of a.entries()) {
    const other = b[i] ?? null;
    if (cell !== other && cell !== null && other !== null) {
      return cell < other ? -1 : 1;
    }
  }
  return 0;
}

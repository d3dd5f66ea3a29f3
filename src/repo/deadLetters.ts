/** Dead letters. */
import { count, desc, eq, isNull, lt, sql } from "drizzle-orm";
import { ok } from "../protocol/errors.ts";
import { DEAD_LETTER_QUEUE } from "../protocol/events.ts";
import { decodeCursor, pageOf } from "./cursor.ts";
import type { Database, Tables } from "./database.ts";
import type { DeadLetterRepo, DeadLetterRow } from "./types.ts";

/** Of a column that MySQL indexes. Ids are far shorter, but a poisoned message may say anything. */
const MAX_MESSAGE_ID_CHARS = 512;

/** Dead letters of this database. */
export function deadLetterRepo(database: Database): DeadLetterRepo {
  const { tables, dialect } = database;
  const { deadLetters } = tables;
  return {
    async add(letter) {
      const row = {
        letterId: letter.deadLetterId,
        queue: letter.queue,
        messageId: letter.messageId.slice(0, MAX_MESSAGE_ID_CHARS),
        body: letter.body,
        attempts: letter.attempts,
        error: letter.error ?? null,
        createdAt: letter.createdAt,
      };
      const queue = dialect.incoming(deadLetters.queue);
      await database.change((db) =>
        dialect.upsert(deadLetters, db.insert(deadLetters).values(row), {
          key: [deadLetters.messageId],
          set: {
            // The queue of dead letters stands where nothing told the real one.
            queue: sql`CASE WHEN ${queue} = ${DEAD_LETTER_QUEUE} THEN ${deadLetters.queue} ELSE ${queue} END`,
            body: dialect.incoming(deadLetters.body),
            attempts: dialect.greatest(deadLetters.attempts, dialect.incoming(deadLetters.attempts)),
            error: sql`coalesce(${dialect.incoming(deadLetters.error)}, ${deadLetters.error})`,
            replayedAt: sql`NULL`,
          },
        }),
      );
    },

    async list(page) {
      const cursor = decodeCursor(page.cursor, [""]);
      if (!cursor.ok) {
        return cursor;
      }
      const before = cursor.value?.[0];
      const rows = await database.query((db) =>
        db
          .select()
          .from(deadLetters)
          .where(before === undefined ? undefined : lt(deadLetters.letterId, before))
          .orderBy(desc(deadLetters.letterId))
          .limit(page.limit + 1),
      );
      return ok(pageOf(rows, page.limit, (row) => [row.letterId], toRow));
    },

    async byId(letterId) {
      const [row] = await database.query((db) =>
        db.select().from(deadLetters).where(eq(deadLetters.letterId, letterId)),
      );
      return row === undefined ? null : toRow(row);
    },

    async markReplayed(letterId, replayedAt) {
      await database.change((db) =>
        db.update(deadLetters).set({ replayedAt }).where(eq(deadLetters.letterId, letterId)),
      );
    },

    async openCount() {
      const [row] = await database.query((db) =>
        db.select({ open: count() }).from(deadLetters).where(isNull(deadLetters.replayedAt)),
      );
      return row?.open ?? 0;
    },
  };
}

function toRow(row: Tables["deadLetters"]["$inferSelect"]): DeadLetterRow {
  const { messageId: _inside, ...shown } = row;
  return shown;
}

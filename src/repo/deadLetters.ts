/** Dead letters in D1. */
import { count, desc, eq, isNull, lt, sql } from "drizzle-orm";
import { deadLetters } from "../../schema/sqlite.ts";
import { ok } from "../protocol/errors.ts";
import { DEAD_LETTER_QUEUE } from "../protocol/events.ts";
import { decodeCursor, pageOf } from "./cursor.ts";
import { guarded, type Db } from "./d1.ts";
import type { DeadLetterRepo, DeadLetterRow } from "./types.ts";

/** Dead letters over D1. */
export function d1DeadLetters(db: Db): DeadLetterRepo {
  return {
    async add(letter) {
      await guarded(() =>
        db
          .insert(deadLetters)
          .values({
            letterId: letter.deadLetterId,
            queue: letter.queue,
            messageId: letter.messageId,
            body: letter.body,
            attempts: letter.attempts,
            error: letter.error ?? null,
            createdAt: letter.createdAt,
          })
          .onConflictDoUpdate({
            target: deadLetters.messageId,
            set: {
              // The queue of dead letters stands where nothing told the real one.
              queue: sql`CASE WHEN excluded.queue = ${DEAD_LETTER_QUEUE} THEN ${deadLetters.queue} ELSE excluded.queue END`,
              body: sql`excluded.body`,
              attempts: sql`max(${deadLetters.attempts}, excluded.attempts)`,
              error: sql`coalesce(excluded.error, ${deadLetters.error})`,
              replayedAt: null,
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
      const rows = await guarded(() =>
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
      const [row] = await guarded(() => db.select().from(deadLetters).where(eq(deadLetters.letterId, letterId)));
      return row === undefined ? null : toRow(row);
    },

    async markReplayed(letterId, replayedAt) {
      await guarded(() => db.update(deadLetters).set({ replayedAt }).where(eq(deadLetters.letterId, letterId)).run());
    },

    async openCount() {
      const [row] = await guarded(() =>
        db.select({ open: count() }).from(deadLetters).where(isNull(deadLetters.replayedAt)),
      );
      return row?.open ?? 0;
    },
  };
}

function toRow(row: typeof deadLetters.$inferSelect): DeadLetterRow {
  const { messageId: _inside, ...shown } = row;
  return shown;
}

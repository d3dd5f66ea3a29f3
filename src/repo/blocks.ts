/** Who has blocked whom. A block ends the friendship and hides requests; nobody is told that it was one. */
import { and, asc, eq, gt, sql } from "drizzle-orm";
import { err, ok } from "../protocol/errors.ts";
import { decodeCursor, pageOf } from "./cursor.ts";
import type { Database } from "./database.ts";
import { endFriendship, pairKey } from "./friendRows.ts";
import type { BlockRepo } from "./types.ts";
import { toUserRow } from "./users.ts";

/** Blocks of this database. */
export function blockRepo(database: Database): BlockRepo {
  const { tables, dialect } = database;
  const { blocks, friendshipRequests, users } = tables;
  return {
    async block({ userId, targetUserId: target, eventId, now }) {
      if (userId === target) {
        return err({ name: "INVALID_INPUT", fields: [{ path: "userId", message: "is yourself" }] });
      }
      const pending = sql`pending_key = ${pairKey(userId, target)}`;
      const [found] = await database.atomically((db) => [
        db.select({ userId: users.userId }).from(users).where(eq(users.userId, target)),
        dialect.keepFirst(
          db.insert(blocks).select(sql`SELECT ${userId}, user_id, ${now} FROM users WHERE user_id = ${target}`),
          [blocks.userId, blocks.blockedUserId],
        ),
        ...endFriendship(db, tables, userId, target, eventId, now),
        // What they have asked stays pending for them alone; what oneself has asked is taken back, since an acceptance
        // would make friends in spite of the block.
        db
          .update(friendshipRequests)
          .set({ suppressed: 1 })
          .where(sql`${pending} AND requester_id = ${target}`),
        db.delete(friendshipRequests).where(sql`${pending} AND requester_id = ${userId}`),
      ]);
      return found.length > 0 ? ok(undefined) : err({ name: "USER_NOT_FOUND" });
    },

    async unblock(userId, targetUserId) {
      const deleted = await database.change((db) =>
        db.delete(blocks).where(and(eq(blocks.userId, userId), eq(blocks.blockedUserId, targetUserId))),
      );
      return deleted > 0;
    },

    async list(userId, page) {
      const cursor = decodeCursor(page.cursor, [""]);
      if (!cursor.ok) {
        return cursor;
      }
      const after = cursor.value?.[0];
      const rows = await database.query((db) =>
        db
          .select({ user: users, since: blocks.createdAt })
          .from(blocks)
          .innerJoin(users, eq(users.userId, blocks.blockedUserId))
          .where(and(eq(blocks.userId, userId), after === undefined ? undefined : gt(blocks.blockedUserId, after)))
          .orderBy(asc(blocks.blockedUserId))
          .limit(page.limit + 1),
      );
      return ok(
        pageOf(
          rows,
          page.limit,
          (row) => [row.user.userId],
          (row) => ({ user: toUserRow(row.user), since: row.since }),
        ),
      );
    },
  };
}

/** Who is whose friend, and between whom a block stands. */
import { and, asc, eq, gt, inArray, or, sql } from "drizzle-orm";
import { ok } from "../protocol/errors.ts";
import { decodeCursor, pageOf } from "./cursor.ts";
import type { Builders, Database } from "./database.ts";
import { isPair } from "./friendRows.ts";
import type { FriendRepo } from "./types.ts";
import { toUserRow } from "./users.ts";

type Reads =
  | "friends"
  | "areFriends"
  | "firstFriendIds"
  | "friendIds"
  | "friendsAmong"
  | "blockedAmong"
  | "accountsAmong";

/** The part of the repository that only reads. */
export function friendReads(database: Database): Pick<FriendRepo, Reads> {
  const { tables, dialect } = database;
  const { blocks, friendships, users } = tables;
  return {
    async friends(userId, page) {
      const cursor = decodeCursor(page.cursor, [""]);
      if (!cursor.ok) {
        return cursor;
      }
      const after = cursor.value?.[0];
      const rows = await database.query((db) =>
        db
          .select({ user: users, since: friendships.createdAt })
          .from(friendships)
          .innerJoin(users, eq(users.userId, friendships.friendId))
          .where(and(eq(friendships.userId, userId), after === undefined ? undefined : gt(friendships.friendId, after)))
          .orderBy(asc(friendships.friendId))
          .limit(page.limit + 1),
      );
      return ok(
        pageOf(
          rows,
          page.limit,
          (row) => [row.user.userId],
          (row) => ({ user: toUserRow(row.user), since: row.since, lastSeenAt: row.user.lastSeenAt }),
        ),
      );
    },

    async areFriends(userId, otherId) {
      const rows = await database.query((db) =>
        db
          .select({ friendId: friendships.friendId })
          .from(friendships)
          .where(isPair(tables, userId, otherId)),
      );
      return rows.length > 0;
    },

    async friendIds(userId, after, limit) {
      const rows = await database.query((db) =>
        db
          .select({ friendId: friendships.friendId })
          .from(friendships)
          .where(and(eq(friendships.userId, userId), gt(friendships.friendId, after)))
          .orderBy(asc(friendships.friendId))
          .limit(limit),
      );
      return rows.map((row) => row.friendId);
    },

    async firstFriendIds(userIds, limit) {
      const rows = await database.rows<{ user_id: string; friend_id: string }>(sql`
        SELECT user_id, friend_id FROM (
          SELECT user_id, friend_id, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY friend_id) AS place
          FROM friendships WHERE user_id IN ${dialect.list(userIds)}) ranked
        WHERE place <= ${limit} ORDER BY user_id, friend_id`);
      const byUser = Map.groupBy(rows, (row) => row.user_id);
      return new Map([...byUser].map(([userId, own]) => [userId, own.map((row) => row.friend_id)]));
    },

    async friendsAmong(userId, otherIds) {
      if (otherIds.length === 0) {
        return [];
      }
      const rows = await database.query((db) =>
        db
          .select({ friendId: friendships.friendId })
          .from(friendships)
          .where(and(eq(friendships.userId, userId), inArray(friendships.friendId, dialect.list(otherIds)))),
      );
      return rows.map((row) => row.friendId);
    },

    async blockedAmong(userId, otherIds) {
      if (otherIds.length === 0) {
        return [];
      }
      return blockedIn(await database.query((db) => betweenOf(db, userId, otherIds)), userId);
    },

    async accountsAmong(userId, otherIds) {
      if (otherIds.length === 0) {
        return { accounts: [], blocked: [] };
      }
      const [rows, between] = await database.queries((db) => [
        db
          .select()
          .from(users)
          .where(inArray(users.userId, dialect.list(otherIds))),
        betweenOf(db, userId, otherIds),
      ]);
      return { accounts: rows.map(toUserRow), blocked: blockedIn(between, userId) };
    },
  };

  /** Blocks between the user and any of the others, whoever made them. */
  function betweenOf(db: Builders, userId: string, otherIds: readonly string[]) {
    const others = dialect.list(otherIds);
    return db
      .select()
      .from(blocks)
      .where(
        or(
          and(eq(blocks.userId, userId), inArray(blocks.blockedUserId, others)),
          and(eq(blocks.blockedUserId, userId), inArray(blocks.userId, others)),
        ),
      );
  }
}

/** The others, each once. */
function blockedIn(between: readonly { userId: string; blockedUserId: string }[], userId: string): string[] {
  return [...new Set(between.map((row) => (row.userId === userId ? row.blockedUserId : row.userId)))];
}

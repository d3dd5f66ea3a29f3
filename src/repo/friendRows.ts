/** Rows of friendship that more than one repository changes. */
import { and, eq, or, sql, type SQL } from "drizzle-orm";
import type { Builders, Tables } from "./database.ts";
import { eventBody } from "./outbox.ts";

const FRIEND_EVENTS = "gochat.friend-events";

/** One key for a pair of users, whichever comes first. */
export function pairKey(a: string, b: string): string {
  return a < b ? `${a}:${b}` : `${b}:${a}`;
}

/** One of the two rows of a friendship. */
export function isPair({ friendships }: Tables, userId: string, friendId: string): SQL | undefined {
  return and(eq(friendships.userId, userId), eq(friendships.friendId, friendId));
}

/**
 * The end of a friendship, for a batch: its event, should there be one, and then both rows go.
 * @param userId who ends it
 */
export function endFriendship(
  db: Builders,
  tables: Tables,
  userId: string,
  friendId: string,
  eventId: string,
  now: number,
) {
  const body = eventBody("friend.removed", eventId, now, {
    user_id: userId,
    target_user_id: friendId,
    payload: { user_ids: [userId, friendId] },
  });
  return [
    db.insert(tables.outboxEvents).select(sql`
      SELECT ${eventId}, ${userId}, ${FRIEND_EVENTS}, ${pairKey(userId, friendId)}, ${body}, ${now}
      FROM friendships WHERE user_id = ${userId} AND friend_id = ${friendId}`),
    db.delete(tables.friendships).where(or(isPair(tables, userId, friendId), isPair(tables, friendId, userId))),
  ] as const;
}

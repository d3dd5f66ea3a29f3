/** Friend requests, friendships and blocks. Each change is one transaction that carries its event along. */
import { and, desc, eq, lt, sql, type SQL } from "drizzle-orm";
import { err, ok, type Result } from "../protocol/errors.ts";
import { topicOf } from "../protocol/events.ts";
import type { FriendRequest, User } from "../protocol/things.ts";
import { decodeCursor, pageOf } from "./cursor.ts";
import { affectedBy, type Builders, type Database, type Statement, type Tables } from "./database.ts";
import { friendReads } from "./friendReads.ts";
import { endFriendship, isPair, pairKey } from "./friendRows.ts";
import { eventBody } from "./outbox.ts";
import type { FriendRepo, NewFriendRequest, RequestOutcome } from "./types.ts";

/** A rejected request may be repeated after a day. Source: WIRE "Friends and conversations". */
const ASK_AGAIN_AFTER_MS = 24 * 60 * 60 * 1000;

type StoredRequest = Tables["friendshipRequests"]["$inferSelect"];

/** Friends of this database. */
export function friendRepo(database: Database): FriendRepo {
  const { tables } = database;
  const { blocks, friendshipRequests, friendships, users } = tables;
  return {
    async request(wish) {
      const { targetUserId: target } = wish;
      const me = wish.requester.userId;
      if (me === target) {
        return err({ name: "INVALID_INPUT", fields: [{ path: "targetUserId", message: "is yourself" }] });
      }
      const pair = pairKey(me, target);
      const results = await database.atomically((db) => [
        ...askStatements(db, database, wish, pair),
        db.select({ isGuest: users.isGuest }).from(users).where(eq(users.userId, target)),
        db
          .select()
          .from(friendships)
          .where(isPair(tables, me, target)),
        db
          .select()
          .from(blocks)
          .where(and(eq(blocks.userId, me), eq(blocks.blockedUserId, target))),
        db
          .select()
          .from(friendshipRequests)
          .where(eq(friendshipRequests.pairKey, pair))
          .orderBy(desc(friendshipRequests.updatedAt)),
      ]);
      const [targets, friends, ownBlocks, requests] = results.slice(-4) as [
        { isGuest: number }[],
        unknown[],
        unknown[],
        StoredRequest[],
      ];
      const found = { target: targets[0], friends: friends.length > 0, blocked: ownBlocks.length > 0, requests };
      return outcomeOf(wish, found);
    },

    async decide({ requestId, actor, action, eventId, now }) {
      const status = action === "accept" ? "accepted" : "rejected";
      const waiting = and(
        eq(friendshipRequests.requestId, requestId),
        eq(friendshipRequests.targetUserId, actor.userId),
        eq(friendshipRequests.status, "pending"),
        eq(friendshipRequests.suppressed, 0),
      );
      const mine = sql`request_id = ${requestId} AND op_id = ${eventId}`;
      const [, , , rows] = await database.atomically((db) => [
        db.update(friendshipRequests).set({ status, pendingKey: null, opId: eventId, updatedAt: now }).where(waiting),
        insertFriendships(db, database, sql`${mine} AND status = 'accepted'`, now),
        insertRequestEvent(db, database, mine, `friend.request.${status}`, actor, eventId, now),
        db
          .select()
          .from(friendshipRequests)
          .where(and(eq(friendshipRequests.requestId, requestId), eq(friendshipRequests.targetUserId, actor.userId))),
      ]);
      const row = rows[0];
      if (row === undefined || row.suppressed === 1) {
        return err({ name: "NOT_FOUND" });
      }
      return row.status === status ? ok(toRequest(row)) : err({ name: "CONFLICT", detail: `already ${row.status}` });
    },

    async isWaiting(requestId) {
      const rows = await database.query((db) =>
        db
          .select({ suppressed: friendshipRequests.suppressed })
          .from(friendshipRequests)
          .where(and(eq(friendshipRequests.requestId, requestId), eq(friendshipRequests.status, "pending"))),
      );
      return rows[0]?.suppressed === 0;
    },

    async requests(userId, filter) {
      const cursor = decodeCursor(filter.cursor, [""]);
      if (!cursor.ok) {
        return cursor;
      }
      const before = cursor.value?.[0];
      const incoming = filter.direction === "incoming";
      const rows = await database.query((db) =>
        db
          .select()
          .from(friendshipRequests)
          .where(
            and(
              eq(incoming ? friendshipRequests.targetUserId : friendshipRequests.requesterId, userId),
              incoming ? eq(friendshipRequests.suppressed, 0) : undefined,
              filter.status === undefined ? undefined : eq(friendshipRequests.status, filter.status),
              before === undefined ? undefined : lt(friendshipRequests.requestId, before),
            ),
          )
          .orderBy(desc(friendshipRequests.requestId))
          .limit(filter.limit + 1),
      );
      return ok(pageOf(rows, filter.limit, (row) => [row.requestId], toRequest));
    },

    ...friendReads(database),

    async remove(userId, friendId, eventId, now) {
      const [, deleted] = await database.atomically((db) => [
        ...endFriendship(db, tables, userId, friendId, eventId, now),
      ]);
      return affectedBy(deleted) > 0;
    },
  };
}

/**
 * Asking, as one transaction. First a waiting request of the other side becomes a friendship; then, unless that made
 * them friends, a new request is written. The unique `pending_key` makes the second of two simultaneous requests find the first.
 */
function askStatements(
  db: Builders,
  database: Database,
  wish: NewFriendRequest,
  pair: string,
): [Statement, ...Statement[]] {
  const { dialect } = database;
  const { friendshipRequests } = database.tables;
  const { requester, targetUserId: target, eventId, now } = wish;
  const me = requester.userId;
  const mine = sql`pair_key = ${pair} AND op_id = ${eventId}`;
  const blockedByMe = sql`EXISTS (SELECT 1 FROM blocks WHERE user_id = ${me} AND blocked_user_id = ${target})`;
  const blockedByTarget = sql`EXISTS (SELECT 1 FROM blocks WHERE user_id = ${target} AND blocked_user_id = ${me})`;
  const acceptCrossing = db
    .update(friendshipRequests)
    .set({ status: "accepted", pendingKey: null, suppressed: 0, opId: eventId, updatedAt: now })
    .where(sql`pending_key = ${pair} AND requester_id = ${target} AND NOT ${blockedByMe} AND NOT ${blockedByTarget}`);
  // A request that a block had hidden appears once the block is gone and the request is repeated.
  const unhide = db
    .update(friendshipRequests)
    .set({ suppressed: 0, opId: eventId, updatedAt: now })
    .where(sql`pending_key = ${pair} AND requester_id = ${me} AND suppressed = 1 AND NOT ${blockedByTarget}`);
  const ask = dialect.keepFirst(
    db.insert(friendshipRequests).select(
      sql`SELECT ${wish.requestId}, ${me}, u.user_id, ${wish.message ?? null}, 'pending', ${pair}, ${pair},
      ${blockedByTarget}, ${eventId}, ${now}, ${now}
    FROM users u
    WHERE u.user_id = ${target} AND u.is_guest = 0 AND NOT ${blockedByMe}
      AND NOT EXISTS (SELECT 1 FROM friendships WHERE user_id = ${me} AND friend_id = ${target})
      AND NOT EXISTS (SELECT 1 FROM friendship_requests r WHERE r.pair_key = ${pair} AND r.requester_id = ${me}
        AND r.status = 'rejected' AND r.updated_at > ${now - ASK_AGAIN_AFTER_MS})`,
    ),
    [friendshipRequests.pendingKey],
  );
  const news = sql`${mine} AND status = 'pending' AND suppressed = 0`;
  return [
    acceptCrossing,
    insertFriendships(db, database, sql`${mine} AND status = 'accepted'`, now),
    insertRequestEvent(
      db,
      database,
      sql`${mine} AND status = 'accepted'`,
      "friend.request.accepted",
      requester,
      eventId,
      now,
    ),
    unhide,
    ask,
    insertRequestEvent(db, database, news, "friend.request.sent", requester, eventId, now),
    // What a push service would tell a target who is away.
    insertRequestEvent(db, database, news, "friend.request.new", requester, `${eventId}.new`, now),
  ];
}

/** What the rows after the batch say about it. */
function outcomeOf(
  wish: NewFriendRequest,
  found: { target: { isGuest: number } | undefined; friends: boolean; blocked: boolean; requests: StoredRequest[] },
): Result<RequestOutcome> {
  if (found.target === undefined) {
    return err({ name: "USER_NOT_FOUND" });
  }
  if (found.target.isGuest === 1 || found.blocked) {
    return err({ name: "PERMISSION_DENIED" });
  }
  const changed = found.requests.find((row) => row.opId === wish.eventId);
  if (changed !== undefined) {
    const waiting = changed.requestId === wish.requestId ? "created" : "existing";
    return ok({ request: toRequest(changed), kind: changed.status === "accepted" ? "accepted" : waiting });
  }
  const pending = found.requests.find((row) => row.status === "pending" && row.requesterId === wish.requester.userId);
  if (pending !== undefined) {
    return ok({ request: toRequest(pending), kind: "existing" });
  }
  return err({ name: "CONFLICT", detail: found.friends ? "already friends" : "rejected less than a day ago" });
}

/** Both rows of the friendship of the request that `where` picks; nothing when it picks none. */
function insertFriendships(db: Builders, { tables, dialect }: Database, where: SQL, now: number): Statement {
  const { friendships } = tables;
  return dialect.keepFirst(
    db.insert(friendships).select(
      sql`SELECT requester_id, target_user_id, ${now} FROM friendship_requests WHERE ${where}
        UNION ALL SELECT target_user_id, requester_id, ${now} FROM friendship_requests WHERE ${where}`,
    ),
    [friendships.userId, friendships.friendId],
  );
}

/**
 * The event of the request that `where` picks, by `actor`. The request in its payload is filled in by SQL, because which
 * one it is becomes known only inside the transaction; a merge patch leaves out what is NULL, as the wire does.
 */
function insertRequestEvent(
  db: Builders,
  { tables, dialect }: Database,
  where: SQL,
  type: `friend.request.${"sent" | "accepted" | "rejected" | "new"}`,
  actor: User,
  eventId: string,
  now: number,
) {
  // A rejection is told without the one who rejects: the requester knows whom they asked.
  const withActor = type === "friend.request.sent" || type === "friend.request.accepted";
  const payload = withActor ? { user: actor } : {};
  const frame = eventBody(type, eventId, now, { user_id: actor.userId, payload });
  const patch = sql`json_object(
    'target_user_id', CASE WHEN requester_id = ${actor.userId} THEN target_user_id ELSE requester_id END,
    'payload', json_object('request', json_object('requestId', request_id, 'requesterId', requester_id,
      'targetUserId', target_user_id, 'message', message, 'status', status, 'createdAt', created_at,
      'updatedAt', updated_at)))`;
  return db.insert(tables.outboxEvents).select(sql`
    SELECT ${eventId}, ${actor.userId}, ${topicOf(type)}, pair_key, ${dialect.mergeJson(frame, patch)}, ${now}
    FROM friendship_requests WHERE ${where}`);
}

function toRequest(row: StoredRequest): FriendRequest {
  return {
    requestId: row.requestId,
    requesterId: row.requesterId,
    targetUserId: row.targetUserId,
    ...(row.message === null ? {} : { message: row.message }),
    status: row.status === "accepted" || row.status === "rejected" ? row.status : "pending",
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
  };
}

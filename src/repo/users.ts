/** Accounts in D1. */
import { and, asc, eq, gt, gte, inArray, isNull, lt, or, sql, type SQL } from "drizzle-orm";
import { conversations, outboxEvents, users } from "../../schema/sqlite.ts";
import { WORLD_ROOM_ID } from "../domain/records.ts";
import { err, ok, type Fault, type Result } from "../protocol/errors.ts";
import { decodeCursor, pageOf } from "./cursor.ts";
import { changesOf, guarded, idsIn, runBatch, violatedColumn, type Db } from "./d1.ts";
import { eventBody } from "./outbox.ts";
import type { UserRepo, UserRow } from "./types.ts";

/** The columns as Drizzle answers them. */
export type StoredUser = typeof users.$inferSelect;

/** Users over D1. */
export function d1Users(db: Db): UserRepo {
  const byId = async (userId: string): Promise<UserRow | null> => {
    const [row] = await guarded(() => db.select().from(users).where(eq(users.userId, userId)).limit(1));
    return row === undefined ? null : toUserRow(row);
  };
  return {
    byId,

    async create(user) {
      const insert = db.insert(users).values({
        userId: user.userId,
        ...loginColumns(user.username, user.email),
        passwordHash: user.passwordHash,
        ...displayNameColumns(user.displayName),
        isGuest: user.isGuest ? 1 : 0,
        createdAt: user.now,
        updatedAt: user.now,
      });
      // Everybody is in the world room by rule; its member count is the number of accounts.
      const count = db
        .update(conversations)
        .set({ memberCount: sql`${conversations.memberCount} + 1` })
        .where(eq(conversations.conversationId, WORLD_ROOM_ID));
      const { userId, eventId, now } = user;
      const welcome = db.insert(outboxEvents).values({
        eventId,
        ownerId: userId,
        topic: "gochat.notifications",
        eventKey: userId,
        body: eventBody("welcome", eventId, now, { user_id: userId, payload: {} }),
        createdAt: now,
      });
      const taken = await takenField(() => runBatch(db, [insert, count, welcome]));
      if (!taken.ok) {
        return taken;
      }
      return found(await byId(user.userId));
    },

    async findByLogin(login) {
      const name = login.toLowerCase();
      // A user name holds no "@", so a text is one or the other.
      const column = name.includes("@") ? users.emailLower : users.usernameLower;
      const [row] = await guarded(() => db.select().from(users).where(eq(column, name)).limit(1));
      return row === undefined ? null : toUserRow(row);
    },

    async byIds(userIds) {
      if (userIds.length === 0) {
        return [];
      }
      const rows = await guarded(() =>
        db
          .select()
          .from(users)
          .where(inArray(users.userId, idsIn(userIds))),
      );
      return rows.map(toUserRow);
    },

    async after(userId, limit) {
      const rows = await guarded(() =>
        db.select().from(users).where(gt(users.userId, userId)).orderBy(asc(users.userId)).limit(limit),
      );
      return rows.map(toUserRow);
    },

    async updateProfile(userId, change, eventId, now) {
      const update = db
        .update(users)
        .set({
          ...(change.displayName === undefined ? {} : displayNameColumns(change.displayName)),
          ...(change.avatarUrl === undefined ? {} : { avatarUrl: change.avatarUrl }),
          // An empty text is no text.
          ...(change.bio === undefined ? {} : { bio: change.bio === "" ? null : change.bio }),
          updatedAt: now,
        })
        .where(eq(users.userId, userId));
      const [, , rows] = await guarded(() =>
        db.batch([
          update,
          insertProfileEvent(db, userId, eventId, now),
          db.select().from(users).where(eq(users.userId, userId)),
        ]),
      );
      const [row] = rows;
      return found(row === undefined ? null : toUserRow(row));
    },

    async seen(userId, lastSeenAt) {
      await guarded(() =>
        db
          .update(users)
          .set({ lastSeenAt })
          .where(and(eq(users.userId, userId), or(isNull(users.lastSeenAt), lt(users.lastSeenAt, lastSeenAt)))),
      );
    },

    async upgradeGuest(userId, upgrade, now) {
      const update = db
        .update(users)
        .set({
          ...loginColumns(upgrade.username, upgrade.email),
          ...(upgrade.displayName === undefined ? {} : displayNameColumns(upgrade.displayName)),
          passwordHash: upgrade.passwordHash,
          isGuest: 0,
          updatedAt: now,
        })
        .where(and(eq(users.userId, userId), eq(users.isGuest, 1)));
      const done = await takenField(() => runBatch(db, [update]));
      if (!done.ok) {
        return done;
      }
      if (changesOf(done.value[0]) === 0) {
        return err({ name: "CONFLICT", detail: "not a guest" });
      }
      return found(await byId(userId));
    },

    async replaceHash(userId, oldHash, newHash, now) {
      await guarded(() =>
        db
          .update(users)
          .set({ passwordHash: newHash, updatedAt: now })
          .where(and(eq(users.userId, userId), eq(users.passwordHash, oldHash))),
      );
    },

    async search(prefix, page) {
      const cursor = decodeCursor(page.cursor, [""]);
      if (!cursor.ok) {
        return cursor;
      }
      const low = prefix.toLowerCase();
      const after = cursor.value?.[0];
      const rows = await guarded(() =>
        db
          .select()
          .from(users)
          .where(
            and(
              or(beginsWith(users.usernameLower, low), beginsWith(users.displayNameLower, low)),
              eq(users.isGuest, 0),
              isNull(users.bannedAt),
              after === undefined ? undefined : gt(users.usernameLower, after),
            ),
          )
          .orderBy(asc(users.usernameLower))
          .limit(page.limit + 1),
      );
      return ok(pageOf(rows, page.limit, (row) => [row.usernameLower], toUserRow));
    },
  };
}

/** The event with the profile as the update before it left it; a merge patch leaves out what is NULL, as the wire does. */
function insertProfileEvent(db: Db, userId: string, eventId: string, now: number) {
  const frame = eventBody("user.profile.updated", eventId, now, { user_id: userId });
  return db.insert(outboxEvents).select(sql`
    SELECT ${eventId}, user_id, 'gochat.user-events', user_id,
      json_patch(${frame}, json_object('payload', json_object('user', json_object('userId', user_id, 'username', username,
        'displayName', display_name, 'avatarUrl', avatar_url, 'bio', bio,
        'isGuest', json(CASE is_guest WHEN 1 THEN 'true' ELSE 'false' END), 'role', role, 'createdAt', created_at)))),
      ${now}
    FROM users WHERE user_id = ${userId}`);
}

/** The columns of a row as the rest of the Worker sees them. */
export function toUserRow(row: StoredUser): UserRow {
  return {
    userId: row.userId,
    username: row.username,
    email: row.email,
    passwordHash: row.passwordHash,
    displayName: row.displayName,
    avatarUrl: row.avatarUrl,
    bio: row.bio,
    isGuest: row.isGuest === 1,
    role: row.role === "admin" ? "admin" : "user",
    bannedAt: row.bannedAt,
    createdAt: row.createdAt,
  };
}

/** A range instead of LIKE: it uses the index, and `%` or `_` in a search are ordinary characters. */
export function beginsWith(
  column: typeof users.usernameLower | typeof users.displayNameLower | typeof users.emailLower,
  prefix: string,
): SQL | undefined {
  return and(gte(column, prefix), lt(column, `${prefix}\u{10FFFF}`));
}

function loginColumns(username: string, email: string | undefined) {
  return {
    username,
    usernameLower: username.toLowerCase(),
    ...(email === undefined ? {} : { email, emailLower: email.toLowerCase() }),
  };
}

function displayNameColumns(displayName: string) {
  return { displayName, displayNameLower: displayName.toLowerCase() };
}

function found(row: UserRow | null): Result<UserRow> {
  return row === null ? err({ name: "USER_NOT_FOUND" }) : ok(row);
}

/** The request field behind each unique column. */
const FIELD_OF_COLUMN: Readonly<Record<string, string>> = {
  "users.username_lower": "username",
  "users.email_lower": "email",
};

/** Runs a write and turns a violated unique index into CONFLICT with the field's name. */
async function takenField<T>(write: () => Promise<T>): Promise<Result<T>> {
  try {
    return ok(await write());
  } catch (error) {
    const path = FIELD_OF_COLUMN[violatedColumn(error) ?? ""];
    if (path === undefined) {
      throw error;
    }
    const fault: Fault = { name: "CONFLICT", fields: [{ path, message: "is taken" }] };
    return err(fault);
  }
}

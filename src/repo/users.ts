/** Accounts. */
import { and, asc, eq, gt, gte, inArray, isNull, lt, or, sql, type SQL } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import { WORLD_ROOM_ID } from "../domain/records.ts";
import { err, ok, type Fault, type Result } from "../protocol/errors.ts";
import { decodeCursor, pageOf } from "./cursor.ts";
import type { Builders, Database, Dialect, Tables } from "./database.ts";
import { violatedIndex } from "./failures.ts";
import { eventBody } from "./outbox.ts";
import type { UserRepo, UserRow } from "./types.ts";

/** The columns as Drizzle answers them. */
export type StoredUser = Tables["users"]["$inferSelect"];

/** Accounts of this database. */
export function userRepo(database: Database): UserRepo {
  const { conversations, outboxEvents, users } = database.tables;
  const byId = async (userId: string): Promise<UserRow | null> => {
    const [row] = await database.query((db) => db.select().from(users).where(eq(users.userId, userId)).limit(1));
    return row === undefined ? null : toUserRow(row);
  };
  return {
    byId,

    async create(user) {
      const { userId, eventId, now } = user;
      const row = {
        userId,
        ...loginColumns(user.username, user.email),
        passwordHash: user.passwordHash,
        ...displayNameColumns(user.displayName),
        isGuest: user.isGuest ? 1 : 0,
        createdAt: now,
        updatedAt: now,
      };
      const welcome = {
        eventId,
        ownerId: userId,
        topic: "gochat.notifications",
        eventKey: userId,
        body: eventBody("welcome", eventId, now, { user_id: userId, payload: { at: now } }),
        createdAt: now,
      };
      const taken = await takenField(() =>
        database.atomically((db) => [
          db.insert(users).values(row),
          db.insert(outboxEvents).values(welcome),
          // Everybody is in the world room by rule; its member count is the number of accounts. Last, since everybody who
          // registers wants this row.
          db
            .update(conversations)
            .set({ memberCount: sql`${conversations.memberCount} + 1` })
            .where(eq(conversations.conversationId, WORLD_ROOM_ID)),
        ]),
      );
      if (!taken.ok) {
        return taken;
      }
      return found(await byId(userId));
    },

    async findByLogin(login) {
      const name = login.toLowerCase();
      // A user name holds no "@", so a text is one or the other.
      const column = name.includes("@") ? users.emailLower : users.usernameLower;
      const [row] = await database.query((db) => db.select().from(users).where(eq(column, name)).limit(1));
      return row === undefined ? null : toUserRow(row);
    },

    async byIds(userIds) {
      if (userIds.length === 0) {
        return [];
      }
      const ids = database.dialect.list(userIds);
      const rows = await database.query((db) => db.select().from(users).where(inArray(users.userId, ids)));
      return rows.map(toUserRow);
    },

    async after(userId, limit) {
      const rows = await database.query((db) =>
        db.select().from(users).where(gt(users.userId, userId)).orderBy(asc(users.userId)).limit(limit),
      );
      return rows.map(toUserRow);
    },

    async updateProfile(userId, change, eventId, now) {
      const set = {
        ...(change.displayName === undefined ? {} : displayNameColumns(change.displayName)),
        ...(change.avatarUrl === undefined ? {} : { avatarUrl: change.avatarUrl }),
        // An empty text is no text.
        ...(change.bio === undefined ? {} : { bio: change.bio === "" ? null : change.bio }),
        updatedAt: now,
      };
      const [, , rows] = await database.atomically((db) => [
        db.update(users).set(set).where(eq(users.userId, userId)),
        insertProfileEvent(db, database, userId, eventId, now),
        db.select().from(users).where(eq(users.userId, userId)),
      ]);
      const [row] = rows;
      return found(row === undefined ? null : toUserRow(row));
    },

    async seen(userId, lastSeenAt) {
      await database.change((db) =>
        db
          .update(users)
          .set({ lastSeenAt })
          .where(and(eq(users.userId, userId), or(isNull(users.lastSeenAt), lt(users.lastSeenAt, lastSeenAt)))),
      );
    },

    async upgradeGuest(userId, upgrade, now) {
      const set = {
        ...loginColumns(upgrade.username, upgrade.email),
        ...(upgrade.displayName === undefined ? {} : displayNameColumns(upgrade.displayName)),
        passwordHash: upgrade.passwordHash,
        isGuest: 0,
        updatedAt: now,
      };
      const done = await takenField(() =>
        database.change((db) =>
          db
            .update(users)
            .set(set)
            .where(and(eq(users.userId, userId), eq(users.isGuest, 1))),
        ),
      );
      if (!done.ok) {
        return done;
      }
      if (done.value === 0) {
        return err({ name: "CONFLICT", detail: "not a guest" });
      }
      return found(await byId(userId));
    },

    async replaceHash(userId, oldHash, newHash, now) {
      await database.change((db) =>
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
      const find = (db: Builders) =>
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
          .limit(page.limit + 1);
      const rows = await database.query(find, "recent");
      return ok(pageOf(rows, page.limit, (row) => [row.usernameLower], toUserRow));
    },
  };
}

/** The event with the profile as the update before it left it; a merge patch leaves out what is NULL, as the wire does. */
function insertProfileEvent(
  db: Builders,
  { tables, dialect }: { tables: Tables; dialect: Dialect },
  userId: string,
  eventId: string,
  now: number,
) {
  const frame = eventBody("user.profile.updated", eventId, now, { user_id: userId });
  const patch = sql`json_object('payload', json_object('user', json_object('userId', user_id, 'username', username,
    'displayName', display_name, 'avatarUrl', avatar_url, 'bio', bio, 'isGuest', ${dialect.jsonBoolean(sql`is_guest = 1`)},
    'role', role, 'createdAt', created_at)))`;
  return db.insert(tables.outboxEvents).select(sql`
    SELECT ${eventId}, user_id, 'gochat.user-events', user_id, ${dialect.mergeJson(frame, patch)}, ${now}
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
export function beginsWith(column: SQLiteColumn, prefix: string): SQL | undefined {
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

/** The request field behind each unique index. */
const FIELD_OF_INDEX: Readonly<Record<string, string>> = {
  users_username_lower: "username",
  users_email_lower: "email",
};

/** Runs a write and turns a violated unique index into CONFLICT with the field's name. */
async function takenField<T>(write: () => Promise<T>): Promise<Result<T>> {
  try {
    return ok(await write());
  } catch (error) {
    const path = FIELD_OF_INDEX[violatedIndex(error) ?? ""];
    if (path === undefined) {
      throw error;
    }
    const fault: Fault = { name: "CONFLICT", fields: [{ path, message: "is taken" }] };
    return err(fault);
  }
}

/** What admins ask of SQL: accounts of any kind, bans, announcements, and the book of their own acts. */
import { and, asc, desc, eq, gt, lt, or, sql } from "drizzle-orm";
import { err, ok } from "../protocol/errors.ts";
import type { AdminRepo, AuditDraft, AuditRow } from "./adminTypes.ts";
import { decodeCursor, pageOf } from "./cursor.ts";
import type { Builders, Database, Tables } from "./database.ts";
import { eventBody } from "./outbox.ts";
import { beginsWith, toUserRow } from "./users.ts";

/** The admin's side of this database. */
export function adminRepo(database: Database): AdminRepo {
  const { tables } = database;
  const { auditLog, outboxEvents, users } = tables;
  return {
    async users(text, page) {
      const cursor = decodeCursor(page.cursor, [""]);
      if (!cursor.ok) {
        return cursor;
      }
      const low = text?.toLowerCase();
      const after = cursor.value?.[0];
      const rows = await database.query((db) =>
        db
          .select()
          .from(users)
          .where(
            and(
              text === undefined || low === undefined
                ? undefined
                : or(
                    beginsWith(users.usernameLower, low),
                    beginsWith(users.displayNameLower, low),
                    beginsWith(users.emailLower, low),
                    eq(users.userId, text),
                  ),
              after === undefined ? undefined : gt(users.usernameLower, after),
            ),
          )
          .orderBy(asc(users.usernameLower))
          .limit(page.limit + 1),
      );
      return ok(pageOf(rows, page.limit, (row) => [row.usernameLower], toUserRow));
    },

    async setBan({ userId, banned, eventId, audit }) {
      const now = audit.createdAt;
      const event = eventBody(banned ? "user.banned" : "user.unbanned", eventId, now, {
        user_id: userId,
        operator_id: audit.operatorId,
        payload: { at: now },
      });
      const [, , , rows] = await database.atomically((db) => [
        db
          .update(users)
          // A second ban does not move the time of the first.
          .set({ bannedAt: banned ? sql`coalesce(${users.bannedAt}, ${now})` : null, updatedAt: now })
          .where(eq(users.userId, userId)),
        // Both only when there is such a user.
        db.insert(outboxEvents).select(sql`
            SELECT ${eventId}, user_id, 'gochat.user-events', user_id, ${event}, ${now}
            FROM users WHERE user_id = ${userId}`),
        db.insert(auditLog).select(sql`
            SELECT ${audit.auditId}, ${audit.actor}, ${audit.action}, 'user', user_id, ${audit.reason ?? null}, ${now}
            FROM users WHERE user_id = ${userId}`),
        db.select().from(users).where(eq(users.userId, userId)),
      ]);
      const [row] = rows;
      return row === undefined ? err({ name: "USER_NOT_FOUND" }) : ok(toUserRow(row));
    },

    async announce({ eventId, conversationId, text, audit }) {
      const now = audit.createdAt;
      const body = eventBody("group.announcement", eventId, now, {
        conversation_id: conversationId,
        operator_id: audit.operatorId,
        payload: { text, at: now },
      });
      await database.atomically((db) => [
        db.insert(outboxEvents).values({
          eventId,
          ownerId: audit.operatorId,
          topic: "gochat.notifications",
          eventKey: conversationId,
          body,
          createdAt: now,
        }),
        insertAudit(db, tables, audit),
      ]);
    },

    async audit(draft) {
      await database.change((db) => insertAudit(db, tables, draft));
    },

    async withdrawAudit(auditId) {
      await database.change((db) => db.delete(auditLog).where(eq(auditLog.auditId, auditId)));
    },

    async auditLog(page) {
      const cursor = decodeCursor(page.cursor, [""]);
      if (!cursor.ok) {
        return cursor;
      }
      const before = cursor.value?.[0];
      const rows = await database.query((db) =>
        db
          .select()
          .from(auditLog)
          .where(before === undefined ? undefined : lt(auditLog.auditId, before))
          .orderBy(desc(auditLog.auditId))
          .limit(page.limit + 1),
      );
      return ok(pageOf(rows, page.limit, (row) => [row.auditId], toAuditRow));
    },
  };
}

/** The row of an act, for the batch that it belongs to. */
export function insertAudit(db: Builders, { auditLog }: Tables, draft: AuditDraft) {
  return db.insert(auditLog).values({
    auditId: draft.auditId,
    actorId: draft.actor,
    action: draft.action,
    targetKind: draft.targetKind,
    targetId: draft.targetId,
    detail: draft.reason ?? null,
    createdAt: draft.createdAt,
  });
}

function toAuditRow(row: Tables["auditLog"]["$inferSelect"]): AuditRow {
  return {
    auditId: row.auditId,
    actor: row.actorId,
    action: row.action,
    targetKind: row.targetKind,
    targetId: row.targetId,
    reason: row.detail,
    createdAt: row.createdAt,
  };
}

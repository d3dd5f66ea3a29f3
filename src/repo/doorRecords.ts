/** Rows of the SQL copies of invites and join requests, and their statements. Guarded by `log_id` as all copies of rooms are. */
import { sql } from "drizzle-orm";
import { invites, joinRequests } from "../../schema/sqlite.ts";
import type { InviteState, JoinRequestState } from "../domain/records.ts";
import type { Db, Statement } from "./d1.ts";

type Row = readonly (string | number | null)[];

export function inviteRow(invite: InviteState, logId: number): Row {
  return [
    invite.code,
    invite.conversationId,
    invite.createdBy,
    invite.createdAt,
    invite.expiresAt,
    invite.maxUses ?? null,
    invite.uses,
    invite.revokedAt ?? null,
    logId,
  ];
}

/** @param json an array of rows of `inviteRow` */
export function upsertInvites(db: Db, json: string): Statement {
  return db
    .insert(invites)
    .select(
      sql`SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
        value ->> 8 FROM json_each(${json}) WHERE true`,
    )
    .onConflictDoUpdate({
      target: invites.code,
      set: { uses: sql`excluded.uses`, revokedAt: sql`excluded.revoked_at`, logId: sql`excluded.log_id` },
      setWhere: sql`excluded.log_id > ${invites.logId}`,
    });
}

export function joinRequestRow(request: JoinRequestState, logId: number): Row {
  return [
    request.requestId,
    request.conversationId,
    request.userId,
    request.status,
    request.decidedBy ?? null,
    request.createdAt,
    request.updatedAt,
    logId,
  ];
}

/** @param json an array of rows of `joinRequestRow` */
export function upsertJoinRequests(db: Db, json: string): Statement {
  return db
    .insert(joinRequests)
    .select(
      sql`SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7
        FROM json_each(${json}) WHERE true`,
    )
    .onConflictDoUpdate({
      target: joinRequests.requestId,
      set: {
        status: sql`excluded.status`,
        decidedBy: sql`excluded.decided_by`,
        updatedAt: sql`excluded.updated_at`,
        logId: sql`excluded.log_id`,
      },
      setWhere: sql`excluded.log_id > ${joinRequests.logId}`,
    });
}

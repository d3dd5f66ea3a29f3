/** Invites and join requests of a room in the object's SQLite; see `RoomSqlStore` for the rest of its memory. */
import type { GroupStore } from "../domain/ports.ts";
import { ADMIN, type InviteState, type JoinRequestState, type MemberState } from "../domain/records.ts";
import { toMember, type MemberColumns } from "./memberRows.ts";

/** A migration of the room's tables. Released ones are never edited; docs/storage-schema.md describes the tables. */
export const GROUP_TABLES = `
  CREATE TABLE invites (
    code TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    body TEXT NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX invites_by_creation ON invites (created_at, code);
  CREATE TABLE join_requests (
    user_id TEXT PRIMARY KEY,
    request_id TEXT NOT NULL,
    status TEXT NOT NULL,
    body TEXT NOT NULL
  ) WITHOUT ROWID;
  CREATE UNIQUE INDEX join_requests_by_id ON join_requests (request_id);
  CREATE INDEX join_requests_pending ON join_requests (request_id) WHERE status = 'pending';
  CREATE INDEX members_above ON members (user_id) WHERE role > 1;`;

/** A later migration: mutes outlive their members. */
export const KEPT_MUTES =
  "CREATE TABLE kept_mutes (user_id TEXT PRIMARY KEY, muted_until INTEGER NOT NULL) WITHOUT ROWID;";

type Body = { body: string };
/** Rows of a query; none while the object has stored nothing. */
export type Query = <Row extends Record<string, SqlStorageValue>>(query: string, ...values: SqlStorageValue[]) => Row[];

export class GroupSqlStore implements GroupStore {
  readonly #sql: SqlStorage;
  readonly #rows: Query;

  constructor(sql: SqlStorage, rows: Query) {
    this.#sql = sql;
    this.#rows = rows;
  }

  invite(code: string): InviteState | undefined {
    return this.#invites("SELECT body FROM invites WHERE code = ?", code)[0];
  }

  putInvite(invite: InviteState): void {
    this.#sql.exec(
      `INSERT INTO invites (code, created_at, expires_at, body) VALUES (?, ?, ?, ?)
       ON CONFLICT (code) DO UPDATE SET expires_at = excluded.expires_at, body = excluded.body`,
      invite.code,
      invite.createdAt,
      invite.expiresAt,
      JSON.stringify(invite),
    );
  }

  deleteInvite(code: string): void {
    this.#sql.exec("DELETE FROM invites WHERE code = ?", code);
  }

  pruneInvites(now: number): void {
    this.#sql.exec("DELETE FROM invites WHERE expires_at <= ?", now);
  }

  inviteCount(now: number): number {
    return this.#rows<{ n: number }>("SELECT count(*) AS n FROM invites WHERE expires_at > ?", now)[0]?.n ?? 0;
  }

  invites(after: { createdAt: number; code: string } | undefined, limit: number): InviteState[] {
    return this.#invites(
      "SELECT body FROM invites WHERE (created_at, code) > (?, ?) ORDER BY created_at, code LIMIT ?",
      after?.createdAt ?? 0,
      after?.code ?? "",
      limit,
    );
  }

  joinRequest(requestId: string): JoinRequestState | undefined {
    return this.#requests("SELECT body FROM join_requests WHERE request_id = ?", requestId)[0];
  }

  joinRequestOf(userId: string): JoinRequestState | undefined {
    return this.#requests("SELECT body FROM join_requests WHERE user_id = ?", userId)[0];
  }

  putJoinRequest(request: JoinRequestState): void {
    this.#sql.exec(
      `INSERT INTO join_requests (user_id, request_id, status, body) VALUES (?, ?, ?, ?)
       ON CONFLICT (user_id) DO UPDATE SET request_id = excluded.request_id, status = excluded.status, body = excluded.body`,
      request.userId,
      request.requestId,
      request.status,
      JSON.stringify(request),
    );
  }

  pendingRequests(after: string, limit: number): JoinRequestState[] {
    return this.#requests(
      `SELECT body FROM join_requests WHERE status = 'pending' AND request_id > ? ORDER BY request_id LIMIT ?`,
      after,
      limit,
    );
  }

  keptMute(userId: string): number | undefined {
    return this.#rows<{ muted_until: number }>("SELECT muted_until FROM kept_mutes WHERE user_id = ?", userId)[0]
      ?.muted_until;
  }

  keepMute(userId: string, mutedUntil: number, now: number): void {
    this.#sql.exec("DELETE FROM kept_mutes WHERE muted_until <= ?", now);
    this.#sql.exec("INSERT OR REPLACE INTO kept_mutes (user_id, muted_until) VALUES (?, ?)", userId, mutedUntil);
  }

  dropMute(userId: string): void {
    this.#sql.exec("DELETE FROM kept_mutes WHERE user_id = ?", userId);
  }

  moderators(after: string, limit: number): MemberState[] {
    return this.#rows<MemberColumns>(
      "SELECT * FROM members WHERE role > 1 AND user_id > ? ORDER BY user_id LIMIT ?",
      after,
      limit,
    )
      .map(toMember)
      .filter((member) => member.role >= ADMIN);
  }

  #invites(query: string, ...values: SqlStorageValue[]): InviteState[] {
    return this.#rows<Body>(query, ...values).map((row) => JSON.parse(row.body) as InviteState);
  }

  #requests(query: string, ...values: SqlStorageValue[]): JoinRequestState[] {
    return this.#rows<Body>(query, ...values).map((row) => JSON.parse(row.body) as JoinRequestState);
  }
}

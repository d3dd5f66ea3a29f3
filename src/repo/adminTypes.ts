/** What admins ask of SQL. As in types.ts: expected failures are values, `SqlUnavailable` is thrown, times are epoch milliseconds. */
import type { Result } from "../protocol/errors.ts";
import type { Page, PageRequest, UserRow } from "./types.ts";

/** Every kind of act that the audit knows. Stored as it stands here. */
export type AuditAction =
  | "user.ban"
  | "user.unban"
  | "user.kick"
  | "conversation.inspect"
  | "conversation.dismiss"
  | "conversation.update"
  | "member.role"
  | "member.mute"
  | "message.remove"
  | "message.send"
  | "announcement"
  | "dead-letter.replay";

/** One act for the book. */
export interface AuditDraft {
  readonly auditId: string;
  /** User id, or `key`. */
  readonly actor: string;
  /** The same one as events name it. */
  readonly operatorId: string;
  readonly action: AuditAction;
  readonly targetKind: "user" | "conversation" | "message" | "dead-letter";
  readonly targetId: string;
  readonly reason?: string | undefined;
  readonly createdAt: number;
}

export interface AuditRow {
  readonly auditId: string;
  readonly actor: string;
  readonly action: string;
  readonly targetKind: string;
  readonly targetId: string;
  readonly reason: string | null;
  readonly createdAt: number;
}

export interface AdminRepo {
  /** Accounts, guests and banned ones too, whose user name, display name or mail address begins so, or with this id; by user name. */
  users(text: string | undefined, page: PageRequest): Promise<Result<Page<UserRow>>>;
  /** Sets or lifts a ban with its event `user.banned` or `user.unbanned` and its audit row, in one transaction. USER_NOT_FOUND. */
  setBan(act: { userId: string; banned: boolean; eventId: string; audit: AuditDraft }): Promise<Result<UserRow>>;
  /** Event `group.announcement` and its audit row, in one transaction. The outbox row belongs to the operator. */
  announce(act: { eventId: string; conversationId: string; text: string; audit: AuditDraft }): Promise<void>;
  /** For an act that is not SQL: written before it. */
  audit(draft: AuditDraft): Promise<void>;
  /** The act was refused: nothing has happened. */
  withdrawAudit(auditId: string): Promise<void>;
  /** Newest first. */
  auditLog(page: PageRequest): Promise<Result<Page<AuditRow>>>;
}

/** The book of admin acts: who did what to whom, and why. A row comes with the act, in one transaction where the act is SQL. */
import { newId } from "../../platform/ids.ts";
import type { Actor } from "../../platform/rpc.ts";
import type { ErrorName, Result } from "../../protocol/errors.ts";
import type { AuditEntry } from "../../protocol/rest.ts";
import type { AuditDraft, AuditRow } from "../../repo/adminTypes.ts";
import { auditedAct } from "../../repo/audited.ts";
import type { Ctx } from "../context.ts";
import { nameOfActor } from "./access.ts";

type Act = Pick<AuditDraft, "action" | "targetKind" | "targetId" | "reason">;

/** The row of what the viewer is about to do. */
export function auditOf(c: Ctx, act: Act): AuditDraft {
  const { actor } = c.get("viewer");
  const createdAt = c.get("services").clock.now();
  return { ...act, auditId: newId(createdAt), actor: nameOfActor(actor), operatorId: actor.userId, createdAt };
}

/** An act that is not SQL, with its row (`auditedAct`). */
export function audited<T>(c: Ctx, draft: AuditDraft, act: () => Promise<Result<T>>): Promise<Result<T>> {
  return auditedAct(c.get("services").repo.admin, draft, act, { requestId: c.get("requestId") });
}

/** What one hears of whom the role of a system admin may help. */
const ROLE_MAY_HELP: ReadonlySet<ErrorName> = new Set(["PERMISSION_DENIED", "CONVERSATION_NOT_FOUND"]);

/**
 * An act over an ordinary route. What a system admin may do as anybody in their place could is no admin's act; what only the
 * role allows is put down like any other. The rules themselves tell which it is: they are asked without the role first.
 */
export async function auditedByRole<T>(
  c: Ctx,
  what: Act,
  act: (actor: Actor) => Promise<Result<T>>,
): Promise<Result<T>> {
  const { actor } = c.get("viewer");
  const done = await act({ ...actor, isAdmin: false });
  return done.ok || !actor.isAdmin || !ROLE_MAY_HELP.has(done.fault.name)
    ? done
    : audited(c, auditOf(c, what), () => act(actor));
}

export function presentAudit(row: AuditRow): AuditEntry {
  return {
    id: row.auditId,
    at: row.createdAt,
    actor: row.actor,
    action: row.action,
    targetId: row.targetId,
    ...(row.reason === null ? {} : { reason: row.reason }),
    ...(row.targetKind === "user" ? { userId: row.targetId } : {}),
  };
}

/** Acts for the book that are not SQL, and so cannot be in one transaction with their row. */
import type { Result } from "../protocol/errors.ts";
import { describeError, log, type LogFields } from "../telemetry/log.ts";
import type { AdminRepo, AuditDraft } from "./adminTypes.ts";

/**
 * Writes the row first: what cannot be put down is not done. A refused act takes its row back; when the process dies in between, the
 * row stays, which for such a book is the right side to err on.
 * @param about for the log, should the row stay
 * @throws SqlUnavailable when the row could not be written
 */
export async function auditedAct<T>(
  admin: Pick<AdminRepo, "audit" | "withdrawAudit">,
  draft: AuditDraft,
  act: () => Promise<Result<T>>,
  about: LogFields,
): Promise<Result<T>> {
  await admin.audit(draft);
  const done = await act();
  if (!done.ok) {
    await admin.withdrawAudit(draft.auditId).catch((error: unknown) => {
      log("warn", "the audit row of a refused act stays", { ...about, error: describeError(error) });
    });
  }
  return done;
}

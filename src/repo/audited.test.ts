import { describe, it } from "vitest";
import { err, ok, type Result } from "../protocol/errors.ts";
import type { AuditDraft } from "./adminTypes.ts";
import { auditedAct } from "./audited.ts";

const draft: AuditDraft = {
  auditId: "a1",
  actor: "root",
  operatorId: "root",
  action: "message.send",
  targetKind: "conversation",
  targetId: "c1",
  createdAt: 1,
};

/** Runs an act that ends so, and answers what happened in which order; `broken` names the call to the book that fails. */
async function course(outcome: Result<string>, broken?: "audit" | "withdrawAudit"): Promise<string[]> {
  const happened: string[] = [];
  const call = (name: "audit" | "withdrawAudit", id: string): Promise<void> => {
    happened.push(`${name} ${id}`);
    return name === broken ? Promise.reject(new Error("SQL is away")) : Promise.resolve();
  };
  const book = {
    audit: ({ auditId }: AuditDraft) => call("audit", auditId),
    withdrawAudit: (auditId: string) => call("withdrawAudit", auditId),
  };
  const act = (): Promise<Result<string>> => {
    happened.push("act");
    return Promise.resolve(outcome);
  };
  const done = await auditedAct(book, draft, act, {}).catch((error: unknown) => String(error));
  return [...happened, typeof done === "string" ? done : done.ok ? done.value : done.fault.name];
}

describe("an act for the book", () => {
  it("comes after its row, which stays when it is done and goes when it is refused", async ({ expect }) => {
    expect(await course(ok("done"))).toEqual(["audit a1", "act", "done"]);
    expect(await course(err({ name: "CONFLICT" }))).toEqual(["audit a1", "act", "withdrawAudit a1", "CONFLICT"]);
  });

  it("is not done without its row; a row that cannot be taken back changes nothing of the answer", async ({
    expect,
  }) => {
    expect(await course(ok("done"), "audit")).toEqual(["audit a1", "Error: SQL is away"]);
    const refused = await course(err({ name: "CONFLICT" }), "withdrawAudit");
    expect(refused).toEqual(["audit a1", "act", "withdrawAudit a1", "CONFLICT"]);
  });
});

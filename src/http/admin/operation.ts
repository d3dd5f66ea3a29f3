/** For those who run it: the audit. Source: WIRE "Other". */
import { createRoute } from "@hono/zod-openapi";
import { AuditList, PageQuery } from "../../protocol/rest.ts";
import { fail, newRouter } from "../context.ts";
import { answer, refusals } from "../route.ts";
import { adminOnly } from "./access.ts";
import { presentAudit } from "./audit.ts";

export const adminOperation = newRouter();

const tags = ["admin"];

adminOperation.openapi(
  createRoute({
    method: "get",
    path: "/admin/audit",
    tags,
    summary: "What admins have done, newest first",
    ...adminOnly,
    request: { query: PageQuery },
    responses: { 200: answer(AuditList, "One page"), ...refusals("UNAUTHENTICATED", "PERMISSION_DENIED") },
  }),
  async (c) => {
    const page = await c.get("services").repo.admin.auditLog(c.req.valid("query"));
    if (!page.ok) {
      return fail(c, page.fault);
    }
    return c.json({ items: page.value.items.map(presentAudit), nextCursor: page.value.nextCursor }, 200);
  },
);

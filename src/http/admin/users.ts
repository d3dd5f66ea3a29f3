/** Admins and accounts: find, ban, unban, kick. Source: WIRE "Other", "Accounts". */
import { createRoute } from "@hono/zod-openapi";
import { newId } from "../../platform/ids.ts";
import { err, ok, type Result } from "../../protocol/errors.ts";
import { AdminActBody, AdminUserList, AdminUsersQuery, UserParams } from "../../protocol/rest.ts";
import { SelfUser } from "../../protocol/things.ts";
import type { UserRow } from "../../repo/types.ts";
import { background, fail, newRouter, type Ctx } from "../context.ts";
import { presentSelf } from "../present.ts";
import { answer, optionalBody, refusals } from "../route.ts";
import { adminOnly } from "./access.ts";
import { auditOf, audited } from "./audit.ts";

export const adminUsers = newRouter();

const tags = ["admin"];

adminUsers.openapi(
  createRoute({
    method: "get",
    path: "/admin/users",
    tags,
    summary: "Accounts of any kind whose name or mail address begins so, or with this id",
    ...adminOnly,
    request: { query: AdminUsersQuery },
    responses: { 200: answer(AdminUserList, "By user name"), ...refusals("UNAUTHENTICATED", "PERMISSION_DENIED") },
  }),
  async (c) => {
    const { q, limit, cursor } = c.req.valid("query");
    const page = await c.get("services").repo.admin.users(q, { limit, cursor });
    if (!page.ok) {
      return fail(c, page.fault);
    }
    return c.json({ items: page.value.items.map(presentSelf), nextCursor: page.value.nextCursor }, 200);
  },
);

/** What each act does to an account, beside its row in the audit. */
const ACTS = {
  ban: { summary: "Ban: sockets close and tokens die at once; log-in answers BANNED", run: setBan },
  unban: { summary: "Lift a ban", run: setBan },
  kick: { summary: "Sign every device out; signing in again is allowed", run: kick },
} as const;

type Act = keyof typeof ACTS;

for (const act of Object.keys(ACTS) as Act[]) {
  adminUsers.openapi(
    createRoute({
      method: "post",
      path: `/admin/users/{id}/${act}`,
      tags,
      summary: ACTS[act].summary,
      ...adminOnly,
      request: { params: UserParams, body: optionalBody(AdminActBody) },
      responses: {
        200: answer(SelfUser, "The account as it is now"),
        ...refusals("UNAUTHENTICATED", "PERMISSION_DENIED", "USER_NOT_FOUND", "CONFLICT"),
      },
    }),
    async (c) => {
      const { id } = c.req.valid("param");
      if (id === c.get("viewer").actor.userId) {
        return fail(c, { name: "CONFLICT", detail: "oneself" });
      }
      const done = await ACTS[act].run(c, act, id, c.req.valid("json").reason);
      return done.ok ? c.json(presentSelf(done.value), 200) : fail(c, done.fault);
    },
  );
}

/**
 * SQL first, since log-in and refresh look there; then the user's object, which closes and refuses at once. Should this
 * process die between the two, the event of the same transaction tells the object.
 */
async function setBan(c: Ctx, act: Act, userId: string, reason: string | undefined): Promise<Result<UserRow>> {
  const { repo, session, publishEvents } = c.get("services");
  const banned = act === "ban";
  if ((await repo.users.byId(userId)) === null) {
    // Before anything wakes: an object for an id that somebody made up would keep an alarm.
    return err({ name: "USER_NOT_FOUND" });
  }
  const audit = auditOf(c, { action: `user.${act}`, targetKind: "user", targetId: userId, reason });
  await session(userId).watchOutbox();
  const changed = await repo.admin.setBan({ userId, banned, eventId: newId(audit.createdAt), audit });
  if (!changed.ok) {
    return changed;
  }
  background(c, "publishing events", publishEvents(userId));
  await session(userId).setBan({ banned, at: audit.createdAt });
  return changed;
}

async function kick(c: Ctx, act: Act, userId: string, reason: string | undefined): Promise<Result<UserRow>> {
  const { repo, session } = c.get("services");
  const row = await repo.users.byId(userId);
  if (row === null) {
    return err({ name: "USER_NOT_FOUND" });
  }
  const audit = auditOf(c, { action: `user.${act}`, targetKind: "user", targetId: userId, reason });
  return audited(c, audit, async () => {
    await session(userId).kick();
    return ok(row);
  });
}

/**
 * Who may call `/admin`: a user of role admin with their token, or whoever holds the admin key (header `x-admin-key`,
 * setting `GOCHAT_ADMIN_KEY`). Source: WIRE "Other".
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { createMiddleware } from "hono/factory";
import { SYSTEM_USER_ID } from "../../domain/systemUser.ts";
import type { Actor } from "../../platform/rpc.ts";
import { err, ok, type Result } from "../../protocol/errors.ts";
import { fail, type Ctx, type HttpEnv } from "../context.ts";
import { viewerOf, SECURITY_SCHEME } from "../signedIn.ts";

const KEY_HEADER = "x-admin-key";

/** Nobody's device: the key is held by a program. */
const KEY_VIEWER = { actor: { userId: SYSTEM_USER_ID, isGuest: false, isAdmin: true }, deviceId: "key" } as const;

/**
 * Whether this is the key. Digests are compared, so that neither the time nor an early end tells how much of it was right,
 * or how long it is.
 * @param expected undefined: no key is accepted
 */
export function isAdminKey(presented: string, expected: string | undefined): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(presented), digest(expected ?? "")) && expected !== undefined;
}

async function admitted(c: Ctx): Promise<Result<void>> {
  const key = c.req.header(KEY_HEADER);
  if (key !== undefined) {
    // Whoever presents a key is judged by it alone.
    if (!isAdminKey(key, c.get("services").settings.adminKey)) {
      return err({ name: "UNAUTHENTICATED", detail: "wrong admin key" });
    }
    c.set("viewer", KEY_VIEWER);
    return ok(undefined);
  }
  const viewer = await viewerOf(c);
  if (!viewer.ok) {
    return viewer;
  }
  c.set("viewer", viewer.value);
  return viewer.value.actor.isAdmin ? ok(undefined) : err({ name: "PERMISSION_DENIED" });
}

const requireAdmin = createMiddleware<HttpEnv>(async (c, next) => {
  const allowed = await admitted(c);
  return allowed.ok ? next() : fail(c, allowed.fault);
});

/** The header as a scheme of the OpenAPI document. */
export const ADMIN_KEY_SCHEME = {
  name: "adminKey",
  component: { type: "apiKey", in: "header", name: KEY_HEADER },
} as const;

/** Spread into `createRoute`: this route is for admins. */
export const adminOnly = {
  middleware: [requireAdmin],
  security: [SECURITY_SCHEME.name, ADMIN_KEY_SCHEME.name].map((scheme): Record<string, string[]> => ({ [scheme]: [] })),
};

/** What the audit and answers call the one who acts. */
export function nameOfActor(actor: Actor): string {
  return actor.userId === SYSTEM_USER_ID ? "key" : actor.userId;
}

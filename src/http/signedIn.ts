/** Who asks: the token is checked here, then the user's object admits the call (device alive, within the rate). */
import { createMiddleware } from "hono/factory";
import type { AccessClaims } from "../platform/tokens.ts";
import { bearerToken } from "../platform/tokens.ts";
import { err, type Result } from "../protocol/errors.ts";
import { fail, type Ctx, type HttpEnv, type Viewer } from "./context.ts";
import type { Services } from "./services.ts";

/** Name of the security scheme in the OpenAPI document. */
const SCHEME = "bearer";

/**
 * Asks the user's object, so that a revocation counts at once. What the account is now (guest, role) is the object's
 * answer, not the token's: it may have changed since the token was made.
 */
export async function admit(services: Services, claims: AccessClaims): Promise<Result<Viewer>> {
  const admitted = await services.session(claims.userId).admit(claims.deviceId, claims.issuedAt);
  if (!admitted.ok) {
    return admitted;
  }
  const { isGuest, role } = admitted.value;
  return {
    ok: true,
    value: { actor: { userId: claims.userId, isGuest, isAdmin: role === "admin" }, deviceId: claims.deviceId },
  };
}

/** Who calls, by the access token in the header. */
export async function viewerOf(c: Ctx): Promise<Result<Viewer>> {
  const services = c.get("services");
  const token = bearerToken(c.req.header("Authorization") ?? null);
  const claims =
    token === null ? err({ name: "UNAUTHENTICATED" }) : await services.tokens.verify(token, services.clock.now());
  return claims.ok ? admit(services, claims.value) : claims;
}

/** Lets only calls with a good access token pass, and puts the viewer into the context. */
const requireViewer = createMiddleware<HttpEnv>(async (c, next) => {
  const viewer = await viewerOf(c);
  if (!viewer.ok) {
    return fail(c, viewer.fault);
  }
  c.set("viewer", viewer.value);
  return next();
});

/** Spread into `createRoute`: this route needs an access token. */
export const signedIn = { middleware: [requireViewer], security: [{ [SCHEME]: [] }] };

/** The scheme itself, for the document. */
export const SECURITY_SCHEME = {
  name: SCHEME,
  component: { type: "http", scheme: "bearer", bearerFormat: "JWT" },
} as const;

/** Upgrades: `/ws` to the user's own object, `/ws/rooms/{id}` to a shard of a big room. The objects accept the sockets. */
import { WORLD } from "../domain/records.ts";
import { SUBPROTOCOL } from "../objects/acceptSocket.ts";
import { ConversationId } from "../protocol/primitives.ts";
import { bearerToken, subprotocolToken, type AccessClaims } from "../platform/tokens.ts";
import { err, type Result } from "../protocol/errors.ts";
import { fail, newRouter, type Ctx } from "./context.ts";
import { admit } from "./signedIn.ts";

export const ws = newRouter();

ws.get("/ws", async (c) => {
  const claims = await claimsOf(c);
  if (!claims.ok) {
    return fail(c, claims.fault);
  }
  const { userId, deviceId, issuedAt, isGuest, role } = claims.value;
  const response = await c
    .get("services")
    .session(userId)
    .fetch(
      forwarded(c, {
        "x-gochat-device": deviceId,
        "x-gochat-issued-at": String(issuedAt),
        "x-gochat-guest": isGuest ? "1" : "0",
        "x-gochat-role": role,
      }),
    );
  // The object only knows the device; its refusals get their form here.
  return response.status === 101 ? response : fail(c, { name: "UNAUTHENTICATED" });
});

ws.get("/ws/rooms/:id", async (c) => {
  const claims = await claimsOf(c);
  if (!claims.ok) {
    return fail(c, claims.fault);
  }
  const services = c.get("services");
  const viewer = await admit(services, claims.value);
  if (!viewer.ok) {
    return fail(c, viewer.fault);
  }
  const [since, ...more] = c.req.queries("since") ?? [];
  if (since !== undefined && (more.length > 0 || !/^\d{1,15}$/.test(since))) {
    return fail(c, { name: "INVALID_INPUT", fields: [{ path: "since", message: "must be a sequence number" }] });
  }
  const id = ConversationId.safeParse(c.req.param("id"));
  const { actor, deviceId } = viewer.value;
  const view = id.success ? await services.room(id.data).view(actor) : err({ name: "CONVERSATION_NOT_FOUND" });
  if (!view.ok) {
    return fail(c, view.fault);
  }
  const { conversationId, type } = view.value.conversation;
  if (type !== WORLD) {
    // Shards serve the world only; an open socket that never says anything would be worse than this.
    return fail(c, { name: "INVALID_INPUT", fields: [{ path: "id", message: "its messages come to /ws" }] });
  }
  return services
    .shard(conversationId, actor.userId)
    .fetch(forwarded(c, { "x-gochat-user": actor.userId, "x-gochat-device": deviceId }));
});

/** The token's claims, from the header or, from a browser, the subprotocol. */
async function claimsOf(c: Ctx): Promise<Result<AccessClaims>> {
  if (c.req.header("Upgrade")?.toLowerCase() !== "websocket") {
    return err({ name: "INVALID_INPUT", fields: [{ path: "Upgrade", message: "must be websocket" }] });
  }
  const { tokens, clock } = c.get("services");
  const token =
    bearerToken(c.req.header("Authorization") ?? null) ??
    subprotocolToken(c.req.header("Sec-WebSocket-Protocol") ?? null);
  return token === null ? err({ name: "UNAUTHENTICATED" }) : tokens.verify(token, clock.now());
}

/** Prefix of the headers in which this Worker tells an object who asks; nobody else may send them. */
const OWN_PREFIX = "x-gochat-";

/** The upgrade request for an object: without what a client put into our own headers, and without the token. */
function forwarded(c: Ctx, own: Record<string, string>): Request {
  const headers = new Headers(c.req.raw.headers);
  // From the request's own list: entries leave the copy while we go through it.
  for (const name of c.req.raw.headers.keys()) {
    if (name.startsWith(OWN_PREFIX) || name === "authorization") {
      headers.delete(name);
    }
  }
  // The offered subprotocols may hold the token as well; the object only needs to know whether ours is among them.
  const offered = (headers.get("Sec-WebSocket-Protocol") ?? "").split(",").map((part) => part.trim());
  headers.delete("Sec-WebSocket-Protocol");
  if (offered.includes(SUBPROTOCOL)) {
    headers.set("Sec-WebSocket-Protocol", SUBPROTOCOL);
  }
  for (const [name, value] of Object.entries(own)) {
    headers.set(name, value);
  }
  return new Request(c.req.url, { method: "GET", headers });
}

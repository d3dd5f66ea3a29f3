/**
 * The HTTP side of the Worker: middleware, resources, documents, and what answers when nothing fits. One file a resource beside
 * this one; schemas are in src/protocol, rules in src/domain and src/repo.
 */
import { HTTPException } from "hono/http-exception";
import { routePath } from "hono/route";
import { faultOfThrown } from "../platform/failures.ts";
import { describeError, errorFrames, log } from "../telemetry/log.ts";
import { ADMIN_KEY_SCHEME } from "./admin/access.ts";
import { adminConversations } from "./admin/conversations.ts";
import { adminOperation } from "./admin/operation.ts";
import { adminUsers } from "./admin/users.ts";
import { auth } from "./auth.ts";
import { fail, newRouter, type Ctx } from "./context.ts";
import { blocks } from "./blocks.ts";
import { bus, BRIDGE_SCHEME } from "./bus.ts";
import { conversations } from "./conversations.ts";
import { docs } from "./docs.ts";
import { faults } from "./faults.ts";
import { friends } from "./friends.ts";
import { crossOrigin, frame, jsonBody, withServices } from "./guards.ts";
import { groups } from "./groups.ts";
import { health } from "./health.ts";
import { invites } from "./invites.ts";
import { members } from "./members.ts";
import { messageChanges } from "./messageChanges.ts";
import { messages } from "./messages.ts";
import { metrics } from "./metrics.ts";
import { openApiOf } from "./openapi.ts";
import { allowedMethods } from "./paths.ts";
import { SECURITY_SCHEME } from "./signedIn.ts";
import { sync } from "./sync.ts";
import { users } from "./users.ts";
import { ws } from "./ws.ts";

/** The app; `app.fetch(request, env, ctx)` is the Worker's `fetch`. */
export const app = newRouter();

app.use(frame);
app.route("/", health);
app.use(withServices);
app.use("/api/*", crossOrigin);
app.use("/api/*", jsonBody);

for (const resource of [
  auth,
  users,
  friends,
  blocks,
  conversations,
  groups,
  members,
  invites,
  messages,
  messageChanges,
  sync,
]) {
  app.route("/api", resource);
}
for (const resource of [adminUsers, adminConversations, adminOperation]) {
  app.route("/api", resource);
}
app.route("/", ws);
app.route("/", metrics);
app.route("/", bus);
app.route("/", faults);
app.openAPIRegistry.registerComponent("securitySchemes", ADMIN_KEY_SCHEME.name, ADMIN_KEY_SCHEME.component);
app.openAPIRegistry.registerComponent("securitySchemes", BRIDGE_SCHEME.name, BRIDGE_SCHEME.component);
app.openAPIRegistry.registerComponent("securitySchemes", SECURITY_SCHEME.name, SECURITY_SCHEME.component);
app.route(
  "/",
  docs(() => openApiOf(app)),
);

app.notFound((c) => {
  const methods = allowedMethods(app.routes, c.req.path);
  if (methods.length === 0) {
    return fail(c, { name: "NOT_FOUND" });
  }
  c.header("Allow", methods.join(", "));
  return fail(c, { name: "METHOD_NOT_ALLOWED" });
});

app.onError((error, c) => {
  if (error instanceof HTTPException) {
    return refused(c, error);
  }
  const fault = faultOfThrown(error);
  log("error", "a request failed", {
    requestId: c.get("requestId"),
    code: fault.name,
    method: c.req.method,
    route: routePath(c, -1),
    error: describeError(error),
    at: errorFrames(error),
  });
  return fail(c, fault);
});

/** What Hono itself refuses: a body that is no JSON, and a type that is none of the route's. */
function refused(c: Ctx, error: HTTPException) {
  return error.status === 415
    ? fail(c, { name: "UNSUPPORTED_MEDIA_TYPE" })
    : fail(c, { name: "INVALID_INPUT", fields: [{ path: "", message: "the body is not JSON" }] });
}

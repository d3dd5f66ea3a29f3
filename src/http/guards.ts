/** What stands around every request: its id, the headers of its answer, the size and type of its body, CORS. */
import { cors } from "hono/cors";
import { createMiddleware } from "hono/factory";
import { newId } from "../platform/ids.ts";
import { systemClock } from "../platform/clock.ts";
import { checkSettings } from "../platform/settings.ts";
import { log } from "../telemetry/log.ts";
import { reportIfDue } from "../telemetry/report.ts";
import { readBodyText } from "./bodyText.ts";
import { fail, type HttpEnv } from "./context.ts";
import { servicesOf } from "./services.ts";

/** Ids that a caller may bring along, so that its log and ours can be read together. */
const SANE_REQUEST_ID = /^[A-Za-z0-9_.:-]{1,64}$/;

/** Gives the request its id, and the answer its headers. An upgraded socket has no headers to set any more. */
export const frame = createMiddleware<HttpEnv>(async (c, next) => {
  const wanted = c.req.header("X-Request-Id");
  const requestId = wanted !== undefined && SANE_REQUEST_ID.test(wanted) ? wanted : newId(systemClock.now());
  c.set("requestId", requestId);
  await next();
  if (c.res.status !== 101) {
    c.res.headers.set("X-Request-Id", requestId);
    c.res.headers.set("X-Content-Type-Options", "nosniff");
    c.res.headers.set("Cache-Control", "no-store");
  }
});

/** Makes the services; with wrong settings everything answers UNAVAILABLE and the log says why. */
export const withServices = createMiddleware<HttpEnv>(async (c, next) => {
  const settings = checkSettings(c.env);
  if (!settings.ok) {
    log("error", "the settings are wrong, nothing is served", {
      requestId: c.get("requestId"),
      error: settings.problems.join("; "),
    });
    return fail(c, { name: "UNAVAILABLE", retryAfterMs: SETTINGS_RETRY_MS });
  }
  c.set("services", servicesOf(c.env, settings.value));
  const reported = reportIfDue(c.env, systemClock.now());
  if (reported !== undefined) {
    c.executionCtx.waitUntil(reported);
  }
  return next();
});

/** Somebody has to set a secret and deploy: not a matter of seconds. */
const SETTINGS_RETRY_MS = 60_000;

/** Answers to pages of other origins, where the settings name them; by default there are none. */
export const crossOrigin = createMiddleware<HttpEnv>(async (c, next) => {
  const { corsOrigins } = c.get("services").settings;
  if (corsOrigins.length === 0) {
    return next();
  }
  const handler = cors({
    origin: corsOrigins.includes("*") ? "*" : [...corsOrigins],
    allowMethods: ["GET", "POST", "PUT", "PATCH", "DELETE"],
    allowHeaders: ["Authorization", "Content-Type", "X-Request-Id", "X-Admin-Key"],
    exposeHeaders: ["X-Request-Id", "Retry-After"],
    maxAge: CORS_MAX_AGE_S,
  });
  return handler(c, next);
});

/** Two hours, what Chromium caps it at. */
const CORS_MAX_AGE_S = 7_200;

/** Methods whose body we read. */
const WITH_BODY = new Set(["POST", "PUT", "PATCH", "DELETE"]);
const JSON_TYPE = /^application\/(?:[a-z0-9.+-]+\+)?json\s*(?:;|$)/i;

/**
 * Reads the body of a JSON route within the limit, before anything parses it. What is not there or empty becomes `{}`, so that a route
 * whose body is optional needs nothing, and one whose body is not names the missing fields.
 */
export const jsonBody = createMiddleware<HttpEnv>(async (c, next) => {
  if (!WITH_BODY.has(c.req.method)) {
    return next();
  }
  const { bodyBytes, bodyMs } = c.get("services").settings.limits;
  const text = await readBodyText(c.req.raw, bodyBytes, bodyMs);
  if (text === "too large") {
    return fail(c, { name: "PAYLOAD_TOO_LARGE" });
  }
  if (text === "late") {
    return fail(c, { name: "INVALID_INPUT", fields: [{ path: "", message: "the body did not end in time" }] });
  }
  const coding = c.req.header("Content-Encoding")?.trim().toLowerCase() ?? "";
  if (coding !== "" && coding !== "identity" && text !== "broken") {
    // RFC 9110, 15.5.16: what would be taken.
    c.header("Accept-Encoding", "identity");
    return fail(c, { name: "UNSUPPORTED_MEDIA_TYPE" });
  }
  if (text === "not text") {
    return fail(c, { name: "INVALID_INPUT", fields: [{ path: "", message: "the body is not UTF-8" }] });
  }
  if (text === "broken") {
    return fail(c, {
      name: "INVALID_INPUT",
      fields: [{ path: "", message: "the body ended early or was badly chunked" }],
    });
  }
  const { value } = text;
  if (value !== "" && !JSON_TYPE.test(c.req.header("Content-Type") ?? "")) {
    return fail(c, { name: "UNSUPPORTED_MEDIA_TYPE" });
  }
  const headers = new Headers(c.req.raw.headers);
  headers.set("Content-Type", "application/json");
  headers.delete("Content-Length");
  const parsable = value === "" ? "{}" : value;
  c.req.raw = new Request(c.req.raw.url, { method: c.req.method, headers, body: parsable });
  return next();
});

/** The Hono context of this app, and the few things that every handler does with it. */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { RoomChange } from "../domain/commands.ts";
import type { Actor, RoomRpc } from "../platform/rpc.ts";
import { httpStatusOf, invalidInput, toWireError, type ErrorName, type Fault } from "../protocol/errors.ts";
import { describeError, log } from "../telemetry/log.ts";
import { degradedAnswers, noteRefusal } from "../telemetry/metrics.ts";
import type { ListSources } from "./lists.ts";
import type { Services } from "./services.ts";

/** Who asks, after the token was checked and the user's object has admitted the call. */
export interface Viewer {
  readonly actor: Actor;
  readonly deviceId: string;
}

export type HttpEnv = {
  Bindings: Env;
  Variables: { requestId: string; services: Services; viewer: Viewer };
};

export type Ctx = Context<HttpEnv>;

/** What a path leads to nothing by, when one of its ids cannot be one: the same as an id that nothing has. */
const NOTHING_BEHIND: readonly (readonly [pattern: RegExp, name: ErrorName])[] = [
  [/^\/api(?:\/admin)?\/conversations\/[^/]+\/messages\//, "MESSAGE_NOT_FOUND"],
  [/^\/api\/conversations\/[^/]+\/members\//, "USER_NOT_FOUND"],
  [/^\/api\/conversations\/[^/]+\/(?:invites|join-requests)\//, "NOT_FOUND"],
  [/^\/api(?:\/admin)?\/conversations\//, "CONVERSATION_NOT_FOUND"],
  [/^\/api(?:\/admin)?\/users\/(?!me\/)/, "USER_NOT_FOUND"],
];

function nothingBehind(c: Ctx, wrongParameter: PropertyKey | undefined): ErrorName {
  if (wrongParameter === "emoji") {
    // It is no id: nothing is looked for by it.
    return "INVALID_INPUT";
  }
  // The first id of such a path is the conversation's, whatever comes behind it.
  const isConversation = wrongParameter === "id" && /^\/api(?:\/admin)?\/conversations\//.test(c.req.path);
  const found = NOTHING_BEHIND.find(([pattern]) => pattern.test(c.req.path));
  return isConversation ? "CONVERSATION_NOT_FOUND" : (found?.[1] ?? "NOT_FOUND");
}

/**
 * A part of the app: one resource with its routes. What does not fit a schema answers INVALID_INPUT, but an id in the path
 * that cannot be one answers as an id that nothing has.
 */
export function newRouter(): OpenAPIHono<HttpEnv> {
  return new OpenAPIHono<HttpEnv>({
    defaultHook: (result, c) => {
      if (result.success) {
        return undefined;
      }
      const { issues } = result.error;
      return fail(c, result.target === "param" ? { name: nothingBehind(c, issues[0]?.path[0]) } : invalidInput(issues));
    },
  });
}

/** The answer for a fault: status, advice and text from the error table. */
export function fail(c: Ctx, fault: Fault) {
  const requestId = c.get("requestId");
  const error = toWireError(fault, requestId);
  const status = httpStatusOf(fault.name);
  if (fault.name === "UNAUTHENTICATED") {
    c.header("WWW-Authenticate", "Bearer");
  }
  if (error.retryAfterMs !== undefined) {
    c.header("Retry-After", String(Math.ceil(error.retryAfterMs / 1000)));
  }
  noteRefusal(fault);
  log(status >= 500 ? "error" : "info", "a request was refused", {
    requestId,
    code: fault.name,
    status,
    method: c.req.method,
    ...(fault.detail === undefined ? {} : { reason: fault.detail }),
  });
  return c.json({ error }, status);
}

/**
 * Writes a room's change through to SQL, so that the next list shows it, and tells the room. When SQL is away the room's
 * outbox repeats it later.
 * @returns what to put into the answer: nothing, or the mark that it was made while something was down
 */
export async function writeThrough(c: Ctx, room: RoomRpc, change: RoomChange<unknown>): Promise<Degraded> {
  if (change.records.length === 0) {
    return {};
  }
  try {
    await c.get("services").repo.persistence.applyRoomRecords(change.records);
  } catch (error) {
    log("warn", "a room's change was not written through, its outbox will", {
      requestId: c.get("requestId"),
      error: describeError(error),
    });
    degradedAnswers.add();
    return { degraded: true };
  }
  background(c, "settling a room's outbox", room.settled(change.outboxIds));
  return {};
}

/** Spread into an answer that was made while a dependency was down. Source: DESIGN section 4, "Errors". */
export type Degraded = { degraded?: true };

/** Goes on after the answer has left; whatever is left undone is repaired by an alarm. */
export function background(c: Ctx, what: string, work: Promise<unknown>): void {
  const requestId = c.get("requestId");
  c.executionCtx.waitUntil(
    work.catch((error: unknown) => {
      log("warn", `${what} failed, an alarm will repeat it`, { requestId, error: describeError(error) });
    }),
  );
}

/** Where the lists of this request are read from. */
export function listSources(c: Ctx): ListSources {
  const { repo, cache, room } = c.get("services");
  return { repo, cache, room, later: (work) => c.executionCtx.waitUntil(work) };
}

/** This machine itself. A local workerd sets the header as well, and then everybody here has one address. */
const LOOPBACK = /^(?:127\.|::1$|::ffff:127\.)/i;

/** The client's address, where the edge says it; nobody's on a local run. */
export function addressOf(c: Ctx): string | undefined {
  const address = c.req.header("CF-Connecting-IP");
  return address === undefined || LOOPBACK.test(address) ? undefined : address;
}

/** The OpenAPI document: made from the routes, so it says what the code does. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { HttpEnv } from "./context.ts";
import { VERSION } from "./health.ts";

export type OpenApiDocument = ReturnType<OpenAPIHono["getOpenAPI31Document"]>;

const documents = new WeakMap<OpenAPIHono<HttpEnv>, OpenApiDocument>();

/** The document of an app; made at first use (it takes tens of milliseconds) and remembered. */
export function openApiOf(app: OpenAPIHono<HttpEnv>): OpenApiDocument {
  const before = documents.get(app);
  if (before !== undefined) {
    return before;
  }
  const document = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "GoChat Edge",
      version: VERSION,
      description:
        "REST side of the chat backend. Times are epoch milliseconds, ids are strings. Sends and pushes go over the " +
        "WebSocket at `/ws`, described by the AsyncAPI document.",
      license: { name: "MIT" },
    },
    servers: [{ url: "/" }],
    tags: [
      { name: "accounts", description: "Signing in and out" },
      { name: "users", description: "Profiles and devices" },
      { name: "friends", description: "Friend requests, friendships and blocks" },
      { name: "conversations", description: "Direct conversations, groups, the world room" },
      { name: "members", description: "Who is in a conversation" },
      { name: "invites", description: "Ways into a group: links, and requests to join" },
      { name: "messages", description: "History, sending, synchronisation" },
      { name: "admin", description: "For a user of role admin, or whoever holds the admin key" },
      { name: "operation", description: "For those who run it" },
    ],
  });
  documents.set(app, document);
  return document;
}

/** History and sending. Rules: WIRE "Messages". */
import { createRoute } from "@hono/zod-openapi";
import { messageFor } from "../domain/records.ts";
import { ConversationParams, MessageList, MessagesQuery } from "../protocol/rest.ts";
import { Message, SendBody } from "../protocol/things.ts";
import { fail, newRouter } from "./context.ts";
import { nextOf, rangeOf, wholePage, type HistoryRange } from "./history.ts";
import { answer, body, refusals } from "./route.ts";
import { signedIn } from "./signedIn.ts";

export const messages = newRouter();

const tags = ["messages"];

messages.openapi(
  createRoute({
    method: "get",
    path: "/conversations/{id}/messages",
    tags,
    summary: "History, ascending; with neither bound the newest",
    ...signedIn,
    request: { params: ConversationParams, query: MessagesQuery },
    responses: { 200: answer(MessageList, "One page"), ...refusals("UNAUTHENTICATED", "CONVERSATION_NOT_FOUND") },
  }),
  async (c) => {
    const services = c.get("services");
    const { actor } = c.get("viewer");
    const { id } = c.req.valid("param");
    const query = rangeOf(c.req.valid("query"));
    const page = await services.room(id).history(actor, query);
    if (!page.ok) {
      return fail(c, page.fault);
    }
    const older = (range: HistoryRange) => services.repo.conversations.messages(id, range);
    const reactions = (seqIds: number[]) => services.room(id).reactions(actor, seqIds);
    const rows = await wholePage(page.value, query, older, reactions);
    const nextCursor = nextOf(query, rows, page.value.headSeqId);
    return c.json({ items: rows.map((row) => messageFor(row, actor.userId)), nextCursor }, 200);
  },
);

messages.openapi(
  createRoute({
    method: "post",
    path: "/conversations/{id}/messages",
    tags,
    summary: "Send a message, as the socket does; a repetition answers the same message",
    ...signedIn,
    request: { params: ConversationParams, body: body(SendBody) },
    responses: {
      201: answer(Message, "Durable, with its place in the order"),
      ...refusals(
        "UNAUTHENTICATED",
        "CONVERSATION_NOT_FOUND",
        "MESSAGE_NOT_FOUND",
        "PERMISSION_DENIED",
        "DUPLICATE_MESSAGE",
        "CONTENT_REJECTED",
      ),
    },
  }),
  async (c) => {
    const { actor } = c.get("viewer");
    const session = c.get("services").session(actor.userId);
    const sent = await session.send(actor, c.req.valid("param").id, c.req.valid("json"));
    return sent.ok ? c.json(sent.value, 201) : fail(c, sent.fault);
  },
);

/** History and sending. Rules: WIRE "Messages". */
import { createRoute } from "@hono/zod-openapi";
import type { HistoryPage } from "../domain/commands.ts";
import { messageFor, type SeenMessage } from "../domain/records.ts";
import { ConversationParams, MessageList, MessagesQuery } from "../protocol/rest.ts";
import { Message, SendBody } from "../protocol/things.ts";
import { fail, newRouter, type Ctx } from "./context.ts";
import { completeHistory, joinReactions, nextOf, rangeOf, withoutReactions, type HistoryRange } from "./history.ts";
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
    const rows = await withOlderReactions(c, id, page.value, await completeHistory(page.value, query, older));
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

/** The room has the reactions of what SQL added as well. */
async function withOlderReactions(
  c: Ctx,
  conversationId: string,
  page: HistoryPage,
  rows: SeenMessage[],
): Promise<SeenMessage[]> {
  const seqIds = withoutReactions(page, rows);
  if (seqIds.length === 0) {
    return rows;
  }
  const found = await c.get("services").room(conversationId).reactions(c.get("viewer").actor, seqIds);
  return joinReactions(page, rows, found.ok ? found.value : {});
}

/** What becomes of a message after it was sent: edits, recall, reactions, readers. Rules: WIRE "Messages". */
import { createRoute } from "@hono/zod-openapi";
import type { RoomChange } from "../domain/commands.ts";
import { seqIdOf } from "../domain/messageId.ts";
import { messageFor, type StoredMessage } from "../domain/records.ts";
import type { RoomRpc } from "../platform/rpc.ts";
import { ok, type Result } from "../protocol/errors.ts";
import {
  EditBody,
  EditList,
  MessageParams,
  PageQuery,
  ReactionAnswer,
  ReactionParams,
  Readers,
} from "../protocol/rest.ts";
import { Message } from "../protocol/things.ts";
import { decodeCursor, pageOf } from "../repo/cursor.ts";
import { auditedByRole } from "./admin/audit.ts";
import { fail, newRouter, writeThrough, type Ctx, type Degraded } from "./context.ts";
import { answer, body, refusals } from "./route.ts";
import { signedIn } from "./signedIn.ts";

export const messageChanges = newRouter();

const tags = ["messages"];
const PATH = "/conversations/{id}/messages/{messageId}";

messageChanges.openapi(
  createRoute({
    method: "patch",
    path: PATH,
    tags,
    summary: "Edit an own message, within 24 hours; the version before goes to its history",
    ...signedIn,
    request: { params: MessageParams, body: body(EditBody) },
    responses: {
      200: answer(Message, "As it is now"),
      ...refusals(
        "UNAUTHENTICATED",
        "CONVERSATION_NOT_FOUND",
        "MESSAGE_NOT_FOUND",
        "PERMISSION_DENIED",
        "CONFLICT",
        "CONTENT_REJECTED",
      ),
    },
  }),
  async (c) => {
    const { actor } = c.get("viewer");
    const { id, messageId } = c.req.valid("param");
    const { content } = c.req.valid("json");
    const edited = await change(c, id, messageId, (room, older) => room.editMessage(actor, messageId, content, older));
    return edited.ok
      ? c.json({ ...messageFor(edited.value.value, actor.userId), ...edited.value.degraded }, 200)
      : fail(c, edited.fault);
  },
);

messageChanges.openapi(
  createRoute({
    method: "post",
    path: `${PATH}/recall`,
    tags,
    summary: "Take a message back: the sender within 2 minutes, owner and admins of a group and system admins always",
    ...signedIn,
    request: { params: MessageParams },
    responses: {
      200: answer(Message, "What is left of it"),
      ...refusals("UNAUTHENTICATED", "CONVERSATION_NOT_FOUND", "MESSAGE_NOT_FOUND", "PERMISSION_DENIED"),
    },
  }),
  async (c) => {
    const { actor } = c.get("viewer");
    const { id, messageId } = c.req.valid("param");
    const audit = { action: "message.remove", targetKind: "message", targetId: messageId } as const;
    const gone = await auditedByRole(c, audit, (as) =>
      change(c, id, messageId, (room, older) => room.recallMessage(as, messageId, older)),
    );
    return gone.ok
      ? c.json({ ...messageFor(gone.value.value, actor.userId), ...gone.value.degraded }, 200)
      : fail(c, gone.fault);
  },
);

messageChanges.openapi(
  createRoute({
    method: "get",
    path: `${PATH}/edits`,
    tags,
    summary: "Earlier versions, oldest first; none of a recalled message",
    ...signedIn,
    request: { params: MessageParams, query: PageQuery },
    responses: {
      200: answer(EditList, "One page; `editedAt` is when the version was replaced"),
      ...refusals("UNAUTHENTICATED", "CONVERSATION_NOT_FOUND", "MESSAGE_NOT_FOUND"),
    },
  }),
  async (c) => {
    const { actor } = c.get("viewer");
    const { id, messageId } = c.req.valid("param");
    const { cursor, limit } = c.req.valid("query");
    const key = decodeCursor(cursor, [0]);
    if (!key.ok) {
      return fail(c, key.fault);
    }
    const found = await withOlder(c, id, messageId, (room, older) => room.edits(actor, messageId, older));
    if (!found.ok) {
      return fail(c, found.fault);
    }
    const { edits, inLog } = found.value;
    // A message has so few of them that they are read at once; each is later than the one before.
    const all = inLog ? edits : await c.get("services").repo.messages.edits(id, messageId);
    const after = Number(key.value?.[0] ?? 0);
    const page = pageOf(
      all.filter((edit) => edit.editedAt > after),
      limit,
      (edit) => [edit.editedAt],
      (edit) => edit,
    );
    return c.json(page, 200);
  },
);

/** PUT puts one's own reaction there, DELETE takes it back; both may be repeated. */
for (const method of ["put", "delete"] as const) {
  messageChanges.openapi(
    createRoute({
      method,
      path: `${PATH}/reactions/{emoji}`,
      tags,
      summary: method === "put" ? "React with an emoji, at most 20 different ones a message" : "Take a reaction back",
      ...signedIn,
      request: { params: ReactionParams },
      responses: {
        200: answer(ReactionAnswer, "How often this emoji stands there now"),
        ...refusals("UNAUTHENTICATED", "CONVERSATION_NOT_FOUND", "MESSAGE_NOT_FOUND", "PERMISSION_DENIED", "CONFLICT"),
      },
    }),
    async (c) => {
      const { actor } = c.get("viewer");
      const { id, messageId, emoji } = c.req.valid("param");
      const wanted = method === "put";
      const reacted = await change(c, id, messageId, (room, older) =>
        room.react(actor, messageId, emoji, wanted, older),
      );
      return reacted.ok ? c.json({ ...reacted.value.value, ...reacted.value.degraded }, 200) : fail(c, reacted.fault);
    },
  );
}

messageChanges.openapi(
  createRoute({
    method: "get",
    path: `${PATH}/readers`,
    tags,
    summary: "Who has read a message, of those who were members when it was sent",
    ...signedIn,
    request: { params: MessageParams },
    responses: {
      200: answer(Readers, "Above 500 members only the counts"),
      ...refusals("UNAUTHENTICATED", "CONVERSATION_NOT_FOUND", "MESSAGE_NOT_FOUND", "PERMISSION_DENIED"),
    },
  }),
  async (c) => {
    const { actor } = c.get("viewer");
    const { id, messageId } = c.req.valid("param");
    const readers = await withOlder(c, id, messageId, (room, older) => room.readers(actor, messageId, older));
    return readers.ok ? c.json(readers.value, 200) : fail(c, readers.fault);
  },
);

type Ask<T> = (room: RoomRpc, older?: StoredMessage) => Promise<Result<T>>;

/** Asks the room; of a message that is not in its log once more, with what SQL has of it. */
async function withOlder<T>(c: Ctx, conversationId: string, messageId: string, ask: Ask<T>): Promise<Result<T>> {
  const { repo, room: roomOf } = c.get("services");
  const room = roomOf(conversationId);
  const asked = await ask(room);
  if (asked.ok || asked.fault.name !== "MESSAGE_NOT_FOUND") {
    return asked;
  }
  const [older] = await repo.messages.at(conversationId, [seqIdOf(messageId)]);
  return older?.messageId === messageId ? ask(room, older) : asked;
}

/** A change by the room, written through to SQL. */
export async function change<T>(
  c: Ctx,
  conversationId: string,
  messageId: string,
  ask: Ask<RoomChange<T>>,
): Promise<Result<{ value: T; degraded: Degraded }>> {
  const changed = await withOlder(c, conversationId, messageId, ask);
  if (!changed.ok) {
    return changed;
  }
  const degraded = await writeThrough(c, c.get("services").room(conversationId), changed.value);
  return ok({ value: changed.value.value, degraded });
}

/** Admins and conversations: inspect, dismiss, remove a message, announce. Source: WIRE "Other". */
import { createRoute } from "@hono/zod-openapi";
import { messageFor, WORLD_ROOM_ID } from "../../domain/records.ts";
import { newId } from "../../platform/ids.ts";
import { err, ok, type Result } from "../../protocol/errors.ts";
import {
  AdminActBody,
  AdminConversationAnswer,
  AdminMessageParams,
  AnnouncementAnswer,
  AnnouncementBody,
  ConversationParams,
  EmptyAnswer,
} from "../../protocol/rest.ts";
import { Message } from "../../protocol/things.ts";
import { background, fail, newRouter, writeThrough, type Ctx } from "../context.ts";
import { change } from "../messageChanges.ts";
import { withProfiles } from "../members.ts";
import { presentConversation } from "../present.ts";
import { answer, body, optionalBody, refusals } from "../route.ts";
import { worldState } from "../views.ts";
import { adminOnly } from "./access.ts";
import { audited, auditOf } from "./audit.ts";

export const adminConversations = newRouter();

const tags = ["admin"];

adminConversations.openapi(
  createRoute({
    method: "get",
    path: "/admin/conversations/{id}",
    tags,
    summary: "A conversation as its room has it, a dismissed one too; looking at it stands in the audit",
    ...adminOnly,
    request: { params: ConversationParams },
    responses: {
      200: answer(AdminConversationAnswer, "With its first members and what waits to be persisted"),
      ...refusals("UNAUTHENTICATED", "PERMISSION_DENIED", "CONVERSATION_NOT_FOUND"),
    },
  }),
  async (c) => {
    const seen = await inspected(c, c.req.valid("param").id);
    return seen.ok ? c.json(seen.value, 200) : fail(c, seen.fault);
  },
);

async function inspected(c: Ctx, id: string): Promise<Result<AdminConversationAnswer>> {
  const services = c.get("services");
  const found = await services.room(id).inspect();
  if (found === undefined) {
    return err({ name: "CONVERSATION_NOT_FOUND" });
  }
  await services.repo.admin.audit(
    auditOf(c, { action: "conversation.inspect", targetKind: "conversation", targetId: id }),
  );
  const { headSeqId, persistedSeqId, outbox } = found;
  // Name and count of the world are in SQL, as everybody sees them.
  const conversation = id === WORLD_ROOM_ID ? await worldState(services, found.conversation) : found.conversation;
  return ok({
    conversation: presentConversation(conversation, headSeqId),
    members: await withProfiles(services, found.members),
    persistedSeqId,
    outbox,
  });
}

adminConversations.openapi(
  createRoute({
    method: "delete",
    path: "/admin/conversations/{id}",
    tags,
    summary: "Dismiss a group",
    ...adminOnly,
    request: { params: ConversationParams, body: optionalBody(AdminActBody) },
    responses: {
      200: answer(EmptyAnswer, "From now on it answers as one that does not exist"),
      ...refusals("UNAUTHENTICATED", "PERMISSION_DENIED", "CONVERSATION_NOT_FOUND"),
    },
  }),
  async (c) => {
    const { id } = c.req.valid("param");
    const { reason } = c.req.valid("json");
    const room = c.get("services").room(id);
    const audit = auditOf(c, { action: "conversation.dismiss", targetKind: "conversation", targetId: id, reason });
    const dismissed = await audited(c, audit, () => room.dismiss(c.get("viewer").actor));
    return dismissed.ok ? c.json(await writeThrough(c, room, dismissed.value), 200) : fail(c, dismissed.fault);
  },
);

adminConversations.openapi(
  createRoute({
    method: "delete",
    path: "/admin/conversations/{id}/messages/{messageId}",
    tags,
    summary: "Take a message away, as its sender could: a tombstone keeps its place",
    ...adminOnly,
    request: { params: AdminMessageParams, body: optionalBody(AdminActBody) },
    responses: {
      200: answer(Message, "What is left of it"),
      ...refusals("UNAUTHENTICATED", "PERMISSION_DENIED", "CONVERSATION_NOT_FOUND", "MESSAGE_NOT_FOUND"),
    },
  }),
  async (c) => {
    const { actor } = c.get("viewer");
    const { id, messageId } = c.req.valid("param");
    const { reason } = c.req.valid("json");
    const audit = auditOf(c, { action: "message.remove", targetKind: "message", targetId: messageId, reason });
    const removed = await audited(c, audit, () =>
      change(c, id, messageId, (room, older) => room.recallMessage(actor, messageId, older)),
    );
    return removed.ok
      ? c.json({ ...messageFor(removed.value.value, actor.userId), ...removed.value.degraded }, 200)
      : fail(c, removed.fault);
  },
);

adminConversations.openapi(
  createRoute({
    method: "post",
    path: "/admin/announcements",
    tags,
    summary: "A notification for everyone who is connected, or for the members of a conversation who are",
    ...adminOnly,
    request: { body: body(AnnouncementBody) },
    responses: {
      200: answer(AnnouncementAnswer, "On its way; what is pushed carries this id"),
      ...refusals("UNAUTHENTICATED", "PERMISSION_DENIED", "CONVERSATION_NOT_FOUND"),
    },
  }),
  async (c) => {
    const { repo, room, session, publishEvents } = c.get("services");
    const { text, conversationId = WORLD_ROOM_ID } = c.req.valid("json");
    const found = await room(conversationId).inspect();
    if (found === undefined || found.conversation.dismissedAt !== undefined) {
      return fail(c, { name: "CONVERSATION_NOT_FOUND" });
    }
    const audit = auditOf(c, { action: "announcement", targetKind: "conversation", targetId: conversationId });
    const eventId = newId(audit.createdAt);
    // Whoever has the key is no user, but the object of that id keeps the alarm all the same.
    await session(audit.operatorId).watchOutbox();
    await repo.admin.announce({ eventId, conversationId, text, audit });
    background(c, "publishing events", publishEvents(audit.operatorId));
    return c.json({ eventId }, 200);
  },
);

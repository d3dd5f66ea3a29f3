/** Changes of a group, and one's own settings of any conversation. Rules: src/domain/groupChanges.ts. */
import { createRoute } from "@hono/zod-openapi";
import { WORLD_ROOM_ID } from "../domain/records.ts";
import { err, ok, type Result } from "../protocol/errors.ts";
import type { ServerFrame } from "../protocol/frames.ts";
import {
  ConversationAnswer,
  ConversationChangeBody,
  ConversationParams,
  EmptyAnswer,
  SettingsAnswer,
  SettingsBody,
  TransferBody,
} from "../protocol/rest.ts";
import { auditedByRole } from "./admin/audit.ts";
import { background, fail, newRouter, writeThrough, type Ctx } from "./context.ts";
import { acceptNames } from "./names.ts";
import { presentConversation } from "./present.ts";
import { answer, body, optionalBody, refusals } from "./route.ts";
import { signedIn } from "./signedIn.ts";
import { changedWorld, presentView, viewOf } from "./views.ts";

export const groups = newRouter();

const tags = ["conversations"];
/** SQL has the settings; a member whose row is still on its way there can set them a moment later. */
const ROW_RETRY_MS = 1_000;

groups.openapi(
  createRoute({
    method: "patch",
    path: "/conversations/{id}",
    tags,
    summary: "Change a group: for its owner and admins; the world room: for system admins",
    ...signedIn,
    request: { params: ConversationParams, body: optionalBody(ConversationChangeBody) },
    responses: {
      200: answer(ConversationAnswer, "As it is now"),
      ...refusals("UNAUTHENTICATED", "CONVERSATION_NOT_FOUND", "PERMISSION_DENIED", "CONFLICT", "CONTENT_REJECTED"),
    },
  }),
  async (c) => {
    const services = c.get("services");
    const change = c.req.valid("json");
    const accepted = acceptNames(services, { name: change.name });
    if (!accepted.ok) {
      return fail(c, accepted.fault);
    }
    const { id } = c.req.valid("param");
    const room = services.room(id);
    const audit = { action: "conversation.update", targetKind: "conversation", targetId: id } as const;
    const updated = await auditedByRole(c, audit, (actor) => room.update(actor, change));
    if (!updated.ok) {
      return fail(c, updated.fault);
    }
    const degraded = await writeThrough(c, room, updated.value);
    const { value } = updated.value;
    const view = id === WORLD_ROOM_ID ? await changedWorld(services, c.get("viewer").actor, value) : value;
    return c.json({ ...presentView(view), ...degraded }, 200);
  },
);

groups.openapi(
  createRoute({
    method: "delete",
    path: "/conversations/{id}",
    tags,
    summary: "Dismiss a group: for its owner, and system admins",
    description: "From then on it answers everybody as a conversation that does not exist.",
    ...signedIn,
    request: { params: ConversationParams },
    responses: {
      200: answer(EmptyAnswer, "Dismissed"),
      ...refusals("UNAUTHENTICATED", "CONVERSATION_NOT_FOUND", "PERMISSION_DENIED"),
    },
  }),
  async (c) => {
    const { id } = c.req.valid("param");
    const room = c.get("services").room(id);
    const audit = { action: "conversation.dismiss", targetKind: "conversation", targetId: id } as const;
    const dismissed = await auditedByRole(c, audit, (actor) => room.dismiss(actor));
    return dismissed.ok ? c.json(await writeThrough(c, room, dismissed.value), 200) : fail(c, dismissed.fault);
  },
);

groups.openapi(
  createRoute({
    method: "post",
    path: "/conversations/{id}/transfer",
    tags,
    summary: "Make another member the owner; the old one is an admin from then on",
    ...signedIn,
    request: { params: ConversationParams, body: body(TransferBody) },
    responses: {
      200: answer(ConversationAnswer, "As it is now"),
      ...refusals("UNAUTHENTICATED", "CONVERSATION_NOT_FOUND", "USER_NOT_FOUND", "PERMISSION_DENIED"),
    },
  }),
  async (c) => {
    const room = c.get("services").room(c.req.valid("param").id);
    const transferred = await room.transfer(c.get("viewer").actor, c.req.valid("json").userId);
    if (!transferred.ok) {
      return fail(c, transferred.fault);
    }
    const degraded = await writeThrough(c, room, transferred.value);
    return c.json({ ...presentView(transferred.value.value), ...degraded }, 200);
  },
);

groups.openapi(
  createRoute({
    method: "put",
    path: "/conversations/{id}/settings",
    tags,
    summary: "One's own settings of a conversation: muted, pinned",
    ...signedIn,
    request: { params: ConversationParams, body: optionalBody(SettingsBody) },
    responses: {
      200: answer(SettingsAnswer, "As they are now"),
      ...refusals("UNAUTHENTICATED", "CONVERSATION_NOT_FOUND"),
    },
  }),
  async (c) => {
    const set = await setSettings(c, c.req.valid("param").id, c.req.valid("json"));
    return set.ok ? c.json(set.value, 200) : fail(c, set.fault);
  },
);

async function setSettings(c: Ctx, conversationId: string, wish: SettingsBody): Promise<Result<SettingsAnswer>> {
  const services = c.get("services");
  const { actor, deviceId } = c.get("viewer");
  const view = await viewOf(services, actor, conversationId);
  if (!view.ok) {
    return view;
  }
  const { repo } = services;
  const isSet = await repo.conversations.setSettings(conversationId, actor.userId, wish);
  const [item] = isSet ? await repo.conversations.items(actor.userId, [conversationId]) : [];
  if (item === undefined) {
    return err({ name: "UNAVAILABLE", retryAfterMs: ROW_RETRY_MS, detail: "SQL does not have the member yet" });
  }
  const settings = { muted: item.muted, pinned: item.pinned };
  const conversation = presentConversation(view.value.conversation, view.value.headSeqId);
  const frame: ServerFrame = { type: "conversation-updated", data: { conversation, settings } };
  const told = services.session(actor.userId).deliverToOthers(deviceId, [JSON.stringify(frame)]);
  background(c, "telling the other devices", told);
  return ok(settings);
}

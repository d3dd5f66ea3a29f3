/** Who may edit, recall and react. Pure rules over plain data; source: WIRE "Messages". */
import type { Actor } from "./commands.ts";
import { err, ok, type Result } from "../protocol/errors.ts";
import type { Content, Reaction } from "../protocol/things.ts";
import { REACTIONS_LIMIT } from "../protocol/limits.ts";
import { ADMIN, type ConversationState, type MemberState, type StoredMessage } from "./records.ts";
import { maySend } from "./sendRules.ts";

/** Not in the contract. More than people do to one message in a day; without a bound one message could fill a room's storage. */
export const EDITS_LIMIT = 100;

/** The sender alone, in time, and only while they may send: else whoever was muted would go on talking by edits. */
export function mayEdit(
  state: ConversationState,
  member: MemberState,
  actor: Actor,
  message: StoredMessage,
  windowMs: number,
  now: number,
): Result<void> {
  if (message.senderId !== actor.userId) {
    return err({ name: "PERMISSION_DENIED", detail: "not the sender" });
  }
  if (message.recalledAt !== undefined) {
    return err({ name: "CONFLICT", detail: "recalled" });
  }
  if (now - message.createdAt > windowMs) {
    return err({ name: "PERMISSION_DENIED", detail: "too late to edit" });
  }
  return maySend(state, member, actor, now);
}

/** The sender for a short time, muted or not; moderators and system admins always. */
export function mayRecall(
  member: MemberState | undefined,
  actor: Actor,
  message: StoredMessage,
  windowMs: number,
  now: number,
): Result<void> {
  if (actor.isAdmin || (member !== undefined && member.role >= ADMIN)) {
    return ok(undefined);
  }
  if (message.senderId !== actor.userId) {
    return err({ name: "PERMISSION_DENIED", detail: "not the sender" });
  }
  return now - message.createdAt <= windowMs
    ? ok(undefined)
    : err({ name: "PERMISSION_DENIED", detail: "too late to recall" });
}

/** A reaction says something, so it needs the right to send; taking one back does not. */
export function mayReact(
  state: ConversationState,
  member: MemberState,
  actor: Actor,
  message: StoredMessage,
  present: readonly Reaction[],
  emoji: string,
  now: number,
): Result<void> {
  if (message.recalledAt !== undefined) {
    return err({ name: "CONFLICT", detail: "recalled" });
  }
  const isNew = present.every((reaction) => reaction.emoji !== emoji);
  if (isNew && present.length >= REACTIONS_LIMIT) {
    return err({ name: "CONFLICT", detail: "too many different reactions" });
  }
  return maySend(state, member, actor, now);
}

/**
 * The content in the form that a message of this type has, or a fault: an edit never makes a text of an image. A file's
 * content may have come as an image's, which has the same fields and more.
 */
export function contentOfType(messageType: StoredMessage["messageType"], content: Content): Result<Content> {
  const wrong = err({
    name: "INVALID_INPUT",
    fields: [{ path: "content", message: `does not fit a message of type ${messageType}` }],
  });
  if (messageType === "text" || messageType === "system") {
    return typeof content === "string" ? ok(content) : wrong;
  }
  if (typeof content === "string") {
    return wrong;
  }
  if (messageType === "image") {
    return "width" in content ? ok(content) : wrong;
  }
  const { key, name, size, mimeType } = content;
  return name === undefined ? wrong : ok({ key, name, size, mimeType });
}

/** A recalled message keeps its place and its sender, and loses what it said. */
export function tombstone(message: StoredMessage, recalledAt: number): StoredMessage {
  const { content: _content, mentions: _mentions, editedAt: _editedAt, ...rest } = message;
  return { ...rest, recalledAt };
}

/** An answer to a recalled message: its preview is emptied. */
export function withoutPreview(message: StoredMessage): StoredMessage {
  return message.replyTo === undefined ? message : { ...message, replyTo: { ...message.replyTo, preview: "" } };
}

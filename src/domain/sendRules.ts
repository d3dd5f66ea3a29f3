/** Who may send what into a conversation. Pure rules over plain data. */
import type { Actor, SendCommand } from "./commands.ts";
import { err, ok, type Result } from "../protocol/errors.ts";
import { contentRefused, type ContentFilter } from "./contentFilter.ts";
import { makeMessageId, seqIdOf } from "./messageId.ts";
import type { LogRow, Random, RoomStore } from "./ports.ts";
import { MEMBER, WORLD, type ConversationState, type MemberState, type StoredMessage } from "./records.ts";

/** Code points of a replied-to text that the reply carries along. */
const PREVIEW_CODE_POINTS = 100;

/**
 * May `actor` send here now? In the world room a row exists only for who is muted or moderates.
 */
export function maySend(
  state: ConversationState,
  member: MemberState | undefined,
  actor: Actor,
  now: number,
): Result<void> {
  if (state.dismissedAt !== undefined || (member === undefined && state.type !== WORLD)) {
    return err({ name: "CONVERSATION_NOT_FOUND" });
  }
  if (state.closedAt !== undefined) {
    return err({ name: "PERMISSION_DENIED", detail: "not friends" });
  }
  if (member?.mutedUntil !== undefined && member.mutedUntil > now) {
    return err({ name: "PERMISSION_DENIED", detail: "muted" });
  }
  const role = member?.role ?? MEMBER;
  if (state.muteAll && role === MEMBER && !actor.isAdmin) {
    return err({ name: "PERMISSION_DENIED", detail: "all muted" });
  }
  return ok(undefined);
}

/**
 * A short mark of what a resend must repeat. Two independent 32-bit FNV-1a sums and the length: it
 * tells a sender's own mistakes apart, nobody gains by making two of their own messages collide.
 */
export function payloadHash(command: SendCommand): string {
  const text = JSON.stringify([command.messageType, command.content, command.replyTo ?? null, command.mentions ?? []]);
  let a = 0x811c9dc5;
  let b = 0x01000193;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b ^ unit, 0x85ebca6b) + i;
  }
  return `${text.length.toString(36)}.${(a >>> 0).toString(36)}.${(b >>> 0).toString(36)}`;
}

function previewOf(message: StoredMessage): string {
  if (message.recalledAt !== undefined || message.content === undefined) {
    return "";
  }
  if (typeof message.content === "string") {
    return message.content.length <= PREVIEW_CODE_POINTS
      ? message.content
      : Array.from(message.content).slice(0, PREVIEW_CODE_POINTS).join("");
  }
  return message.content.name ?? "";
}

const NOTHING_OLDER: OlderMessages = new Map();

/** What the log says about the place of the next message. */
export type LogHead = { seqId: number; logId: number; createdAt: number };

/** Messages that have left the log, by sequence, as SQL has them; `unavailable` while it does not answer. */
export type OlderMessages = ReadonlyMap<number, StoredMessage> | "unavailable";

/** The message that a send answers: in the log, or behind it. */
function targetOf(store: RoomStore, replyTo: string, older: OlderMessages): Result<StoredMessage> {
  const seqId = seqIdOf(replyTo);
  const logged = store.message(seqId)?.message;
  if (logged === undefined && older === "unavailable") {
    return err({ name: "UNAVAILABLE" });
  }
  const target = logged ?? (older === "unavailable" ? undefined : older.get(seqId));
  if (target?.messageId !== replyTo) {
    return err({ name: "MESSAGE_NOT_FOUND" });
  }
  // SQL may be behind a recall.
  const { content, ...rest } = target;
  const isRecalled = logged === undefined && store.changes.mark(seqId)?.isRecalled === true;
  return ok(isRecalled || content === undefined ? rest : target);
}

/**
 * One send against the log: an answer it had before, a refusal, or the row to insert. The caller
 * runs it inside the store's transaction.
 */
export function decideSend(
  store: RoomStore,
  state: ConversationState,
  member: MemberState | undefined,
  command: SendCommand,
  head: LogHead,
  now: number,
  random: Random,
  filter: ContentFilter,
  older: OlderMessages = NOTHING_OLDER,
): Result<{ row: LogRow; fresh: boolean }> {
  const hash = payloadHash(command);
  const earlier = store.findSend(command.actor.userId, command.clientMsgId);
  if (earlier !== undefined) {
    // Before any other rule: what was acknowledged stays acknowledged, also for a sender muted since.
    return earlier.payloadHash === hash ? ok({ row: earlier, fresh: false }) : err({ name: "DUPLICATE_MESSAGE" });
  }
  const allowed = maySend(state, member, command.actor, now);
  if (!allowed.ok) {
    return allowed;
  }
  if (command.messageType === "system" && !command.actor.isAdmin) {
    return err({ name: "PERMISSION_DENIED", detail: "system message" });
  }
  if (contentRefused(filter, state.type, command.content)) {
    return err({ name: "CONTENT_REJECTED" });
  }
  const mentions = [...new Set(command.mentions ?? [])];
  if (state.type !== WORLD) {
    for (const userId of mentions) {
      if (store.member(userId) === undefined) {
        return err({
          name: "INVALID_INPUT",
          fields: [{ path: "mentions", message: "not a member" }],
        });
      }
    }
  }
  // Time never goes backwards within a conversation, whatever the machine's clock does.
  const createdAt = Math.max(now, head.createdAt);
  const seqId = head.seqId + 1;
  const message: StoredMessage = {
    messageId: makeMessageId(seqId, createdAt, random),
    conversationId: state.conversationId,
    seqId,
    senderId: command.actor.userId,
    messageType: command.messageType,
    content: command.content,
    createdAt,
    clientMsgId: command.clientMsgId,
  };
  if (mentions.length > 0) {
    message.mentions = mentions;
  }
  if (command.replyTo !== undefined) {
    const target = targetOf(store, command.replyTo, older);
    if (!target.ok) {
      return target;
    }
    const { messageId, seqId: answered, senderId } = target.value;
    message.replyTo = { messageId, seqId: answered, senderId, preview: previewOf(target.value) };
  }
  return ok({ row: { message, logId: head.logId + 1, payloadHash: hash }, fresh: true });
}

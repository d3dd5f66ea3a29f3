/** What members ask about messages beside their text: reactions, earlier versions, changes, readers. Nothing is written. */
import { err, ok, type Result } from "../protocol/errors.ts";
import { READERS_LIST_LIMIT } from "../protocol/limits.ts";
import type { Edit, Reaction } from "../protocol/things.ts";
import type { Actor, ChangedMessages, ReadersView, SendCommand } from "./commands.ts";
import { requireMember } from "./membership.ts";
import { seqIdOf } from "./messageId.ts";
import { locateFor } from "./messageChanges.ts";
import type { ChangeStore } from "./ports.ts";
import { WORLD, type MemberState, type SeenMessage, type StoredMessage } from "./records.ts";
import type { RoomCore } from "./room.ts";

/** Messages with their reactions as `userId` sees them. */
export function withReactions(
  changes: Pick<ChangeStore, "reactions">,
  messages: readonly StoredMessage[],
  userId: string,
): SeenMessage[] {
  if (messages.length === 0) {
    return [];
  }
  const found = changes.reactions(
    messages.map((message) => message.seqId),
    userId,
  );
  return messages.map((message) => {
    const reactions = found.get(message.seqId);
    return reactions === undefined || message.recalledAt !== undefined ? message : { ...message, reactions };
  });
}

/** Reactions of messages that have left the log: the room keeps these for good. Fault: CONVERSATION_NOT_FOUND. */
export function reactionsOf(
  core: RoomCore,
  actor: Actor,
  seqIds: readonly number[],
): Result<Record<number, Reaction[]>> {
  const self = requireMember(core.state, core.member(actor.userId), actor);
  return self.ok ? ok(Object.fromEntries(core.room.store.changes.reactions(seqIds, actor.userId))) : self;
}

/**
 * Earlier versions, oldest first. `inLog` false: they have left the room with their message, and SQL has them.
 * Faults: CONVERSATION_NOT_FOUND, MESSAGE_NOT_FOUND.
 */
export function editsOf(
  core: RoomCore,
  actor: Actor,
  messageId: string,
  older?: StoredMessage,
): Result<{ edits: Edit[]; inLog: boolean }> {
  const found = locateFor(core, actor, messageId, older);
  if (!found.ok) {
    return found;
  }
  const { message, row, isRecalled } = found.value;
  // A recalled message has no history either, whatever SQL still holds.
  const edits = isRecalled ? [] : core.room.store.changes.edits(message.seqId);
  return ok({ edits, inLog: row !== undefined || isRecalled });
}

/**
 * Messages up to `upTo` that changed after `version`, at most `limit`, ascending; where there are more, the latest
 * changes. Fault: CONVERSATION_NOT_FOUND.
 */
export function changedSince(
  core: RoomCore,
  actor: Actor,
  version: number,
  upTo: number,
  limit: number,
): Result<ChangedMessages> {
  const self = requireMember(core.state, core.member(actor.userId), actor);
  if (!self.ok) {
    return self;
  }
  const { store } = core.room;
  const seqIds = store.changes.changedSince(version, upTo, limit).toSorted((a, b) => a - b);
  const messages = seqIds.flatMap((seqId) => store.message(seqId)?.message ?? []);
  const here = new Set(messages.map((message) => message.seqId));
  return ok({
    messages: withReactions(store.changes, messages, actor.userId),
    older: seqIds.filter((seqId) => !here.has(seqId)),
  });
}

/**
 * Who has read a message: those who were members when it was sent and still are, but for its sender. Not in the world
 * room, which has no receipts. Faults: CONVERSATION_NOT_FOUND, MESSAGE_NOT_FOUND, PERMISSION_DENIED.
 */
export function readersOf(core: RoomCore, actor: Actor, messageId: string, older?: StoredMessage): Result<ReadersView> {
  const found = locateFor(core, actor, messageId, older);
  if (!found.ok) {
    return found;
  }
  const { state, message } = found.value;
  if (state.type === WORLD) {
    return err({ name: "PERMISSION_DENIED", detail: "the world room has no receipts" });
  }
  const { seqId, senderId, createdAt } = message;
  if (state.memberCount > READERS_LIST_LIMIT) {
    const counted = core.room.countReaders(seqId, createdAt);
    const sender = core.member(senderId);
    const isIn = sender !== undefined && sender.joinedAt <= createdAt;
    const readCount = counted.readers - (isIn && sender.readSeqId >= seqId ? 1 : 0);
    return ok({ readCount, unreadCount: counted.members - (isIn ? 1 : 0) - readCount });
  }
  const asked = core
    .members("", READERS_LIST_LIMIT)
    .filter((member) => member.userId !== senderId && member.joinedAt <= createdAt);
  const ids = (members: readonly MemberState[]): string[] => members.map((member) => member.userId);
  const read = ids(asked.filter((member) => member.readSeqId >= seqId));
  const unread = ids(asked.filter((member) => member.readSeqId < seqId));
  return ok({ readCount: read.length, unreadCount: unread.length, read, unread });
}

/** Who of the present members sent something after `from` up to `to`, each once, the latest first; at most `limit`. */
export function sendersBetween(core: RoomCore, from: number, to: number, limit: number): string[] {
  return core.room.store.senders(from, to, limit).filter((userId) => core.member(userId) !== undefined);
}

/** Sequences of answered messages that have left the log: whoever has SQL looks them up before `append`. */
export function olderTargets(core: RoomCore, sends: readonly SendCommand[]): number[] {
  const { firstSeqId } = core.counters;
  const targets = sends.flatMap(({ replyTo }) => (replyTo === undefined ? [] : seqIdOf(replyTo)));
  return [...new Set(targets.filter((seqId) => seqId > 0 && seqId < firstSeqId))];
}

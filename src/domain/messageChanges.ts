/**
 * Changes of messages after they were sent: edits, recalls, reactions. Each decides by the rules, then commits the changed
 * rows, the SQL records, the event for the bus and the notice for the readers in one transaction of the room. The sequence
 * stays whole: a recalled message becomes a tombstone in its place.
 *
 * `older` is the message as SQL has it, for one that has left the log; whoever calls looks it up when the answer was
 * MESSAGE_NOT_FOUND. The room's own marks say whether SQL is behind.
 */
import { err, ok, type Result } from "../protocol/errors.ts";
import type { Content, Reaction } from "../protocol/things.ts";
import type { Actor, RoomChange } from "./commands.ts";
import { afterUntold } from "./changeNotices.ts";
import { contentRefused } from "./contentFilter.ts";
import { requireMember } from "./membership.ts";
import { seqIdOf } from "./messageId.ts";
import { contentOfType, EDITS_LIMIT, mayEdit, mayReact, mayRecall, tombstone } from "./messageRules.ts";
import type { LogRow } from "./ports.ts";
import { previewsOf, superseded } from "./previews.ts";
import type {
  ConversationState,
  FanoutTask,
  MemberState,
  MessageNotice,
  SeenMessage,
  StoredMessage,
} from "./records.ts";
import type { OutboxDraft, RoomCore } from "./room.ts";

type Located = { message: StoredMessage; row: LogRow | undefined; isRecalled: boolean };

/** A message by its id, in the log or behind it. Fault: MESSAGE_NOT_FOUND. */
export function locate(core: RoomCore, messageId: string, older: StoredMessage | undefined): Result<Located> {
  const seqId = seqIdOf(messageId);
  const row = core.room.store.message(seqId);
  const message = row?.message ?? (seqId < core.counters.firstSeqId ? older : undefined);
  if (message?.messageId !== messageId) {
    return err({ name: "MESSAGE_NOT_FOUND" });
  }
  const isRecalled = message.recalledAt !== undefined || core.room.store.changes.mark(seqId)?.isRecalled === true;
  // SQL does not know of the recall yet: what it still has is not to be shown.
  const shown = isRecalled && message.recalledAt === undefined ? tombstone(message, message.createdAt) : message;
  return ok({ message: shown, row, isRecalled });
}

/** A message and the member who asks about it. Faults: CONVERSATION_NOT_FOUND, MESSAGE_NOT_FOUND. */
export function locateFor(
  core: RoomCore,
  actor: Actor,
  messageId: string,
  older: StoredMessage | undefined,
): Result<Located & { state: ConversationState; member: MemberState }> {
  const self = requireMember(core.state, core.member(actor.userId), actor);
  if (!self.ok) {
    return self;
  }
  const found = locate(core, messageId, older);
  return found.ok ? ok({ ...found.value, ...self.value }) : found;
}

/**
 * Another content for the same message; the one before goes to its history. The same content again changes nothing.
 * Faults: CONVERSATION_NOT_FOUND, MESSAGE_NOT_FOUND, PERMISSION_DENIED (not the sender, too late, muted), CONFLICT
 * (recalled, or edited too often), INVALID_INPUT (another type of content), CONTENT_REJECTED, RATE_LIMITED.
 */
export function editMessage(
  core: RoomCore,
  actor: Actor,
  messageId: string,
  content: Content,
  now: number,
  older?: StoredMessage,
): Result<RoomChange<SeenMessage>> {
  const found = locateFor(core, actor, messageId, older);
  if (!found.ok) {
    return found;
  }
  const { state, member, message, row } = found.value;
  const allowed = mayEdit(state, member, actor, message, core.room.limits.editWindowMs, now);
  if (!allowed.ok) {
    return allowed;
  }
  if (row === undefined) {
    return err({ name: "PERMISSION_DENIED", detail: "too late to edit" });
  }
  const fitting = contentOfType(message.messageType, content);
  if (!fitting.ok) {
    return fitting;
  }
  const { seqId, content: before } = message;
  const { changes } = core.room.store;
  if (before === undefined || JSON.stringify(before) === JSON.stringify(fitting.value)) {
    return ok({ value: seen(core, actor, message), records: [], outboxIds: [] });
  }
  if (contentRefused(core.room.filter, state.type, fitting.value)) {
    return err({ name: "CONTENT_REJECTED" });
  }
  if (changes.edits(seqId).length >= EDITS_LIMIT) {
    return err({ name: "CONFLICT", detail: "edited too often" });
  }
  const waitMs = core.room.changeWaitMs(actor.userId, now);
  if (waitMs > 0) {
    return err({ name: "RATE_LIMITED", retryAfterMs: waitMs });
  }
  // Later than the version before, whatever the machine's clock does: clients keep the later one.
  const editedAt = Math.max(now, (message.editedAt ?? message.createdAt) + 1);
  const edited: StoredMessage = { ...message, content: fitting.value, editedAt };
  const next = grown(state);
  const { version } = next;
  const { conversationId } = core;
  const change = core.commit(
    {
      state: next,
      rows: (logId) => [{ ...row, message: edited, logId }],
      write: (logId) => {
        changes.addEdit(seqId, logId, { content: before, editedAt });
        changes.setMark(seqId, { version, isRecalled: false });
      },
      outbox: [
        messageRecord(core, edited, version),
        {
          kind: "record",
          record: (logId) => ({ kind: "edit", conversationId, logId, messageId, content: before, editedAt }),
        },
        messageEvent(core, "message.edited", actor.userId, message, { content: fitting.value, edited_at: editedAt }),
        notice(core, { kind: "edited", messageId, seqId, version }),
      ],
      held: true,
    },
    now,
  );
  return ok({ value: seen(core, actor, edited), ...change });
}

/**
 * Takes a message back: content, mentions, edits and reactions are gone, here and in every copy, and answers lose their
 * preview of it. Again changes nothing. System admins need not be members.
 * Faults: CONVERSATION_NOT_FOUND, MESSAGE_NOT_FOUND, PERMISSION_DENIED (not the sender, too late).
 */
export function recallMessage(
  core: RoomCore,
  actor: Actor,
  messageId: string,
  now: number,
  older?: StoredMessage,
): Result<RoomChange<SeenMessage>> {
  const { state } = core;
  const member = core.member(actor.userId);
  const self = requireMember(state, member, actor);
  if (state === undefined || (!self.ok && !actor.isAdmin)) {
    return self.ok ? err({ name: "CONVERSATION_NOT_FOUND" }) : self;
  }
  const found = locate(core, messageId, older);
  if (!found.ok) {
    return found;
  }
  const { message, row, isRecalled } = found.value;
  const allowed = mayRecall(member, actor, message, core.room.limits.recallWindowMs, now);
  if (!allowed.ok) {
    return allowed;
  }
  if (isRecalled) {
    return ok({ value: message, records: [], outboxIds: [] });
  }
  const { seqId } = message;
  const gone = tombstone(message, now);
  const next = grown(state);
  const { version } = next;
  const operatorId = actor.userId;
  const pending = superseded(core, messageId);
  const answers = previewsOf(core, seqId, 0, version);
  const told = answers.seqIds.length === 0 ? {} : { answers: answers.seqIds };
  const change = core.commit(
    {
      state: next,
      rows: (logId) => [...(row === undefined ? [] : [{ ...row, message: gone, logId }]), ...answers.rows(logId)],
      write: () => {
        const { changes } = core.room.store;
        answers.mark(changes);
        const blankAfter = answers.next === undefined ? {} : { blankAfter: answers.next };
        changes.setMark(seqId, { version, isRecalled: true, ...blankAfter });
        changes.forget(seqId);
      },
      supersedes: [...pending, ...answers.supersedes],
      outbox: [
        messageRecord(core, gone, version),
        ...answers.records,
        messageEvent(core, "message.recalled", operatorId, message, {}),
        notice(core, { kind: "recalled", messageId, seqId, version, operatorId, recalledAt: now, ...told }),
      ],
      held: true,
    },
    now,
  );
  return ok({ value: gone, ...change });
}

/** The previews in many answers take more than one transaction: the alarm goes on until none is left. */
export function continueRecalls(core: RoomCore, now: number): void {
  const { state } = core;
  const { store } = core.room;
  const seqId = store.changes.unblanked();
  const mark = seqId === undefined ? undefined : store.changes.mark(seqId);
  if (state === undefined || seqId === undefined || mark?.blankAfter === undefined) {
    return;
  }
  const { isRecalled, version: recalledIn, blankAfter } = mark;
  const next = grown(state);
  const answers = previewsOf(core, seqId, blankAfter, next.version);
  core.commit(
    {
      state: next,
      rows: answers.rows,
      write: () => {
        answers.mark(store.changes);
        const left = answers.next === undefined ? {} : { blankAfter: answers.next };
        store.changes.setMark(seqId, { version: recalledIn, isRecalled, ...left });
      },
      supersedes: answers.supersedes,
      outbox: answers.records,
      held: false,
    },
    now,
  );
}

/**
 * Puts a reaction there, or takes one's own back; what is so already stays so.
 * Faults: CONVERSATION_NOT_FOUND, MESSAGE_NOT_FOUND, PERMISSION_DENIED (muted), CONFLICT (recalled, or too many different
 * ones), RATE_LIMITED.
 */
export function react(
  core: RoomCore,
  actor: Actor,
  messageId: string,
  emoji: string,
  wanted: boolean,
  now: number,
  older?: StoredMessage,
): Result<RoomChange<Reaction>> {
  const found = locateFor(core, actor, messageId, older);
  if (!found.ok) {
    return found;
  }
  const { state, member, message } = found.value;
  const { userId } = actor;
  const { seqId } = message;
  const present = core.room.store.changes.reactions([seqId], userId).get(seqId) ?? [];
  const allowed = wanted ? mayReact(state, member, actor, message, present, emoji, now) : ok(undefined);
  if (!allowed.ok) {
    return allowed;
  }
  const before = present.find((reaction) => reaction.emoji === emoji) ?? { emoji, count: 0, mine: false };
  if (before.mine === wanted) {
    return ok({ value: before, records: [], outboxIds: [] });
  }
  const waitMs = core.room.changeWaitMs(userId, now);
  if (waitMs > 0) {
    return err({ name: "RATE_LIMITED", retryAfterMs: waitMs });
  }
  const count = before.count + (wanted ? 1 : -1);
  const next = grown(state);
  const { version } = next;
  const { conversationId } = core;
  const removed = wanted ? {} : { removedAt: now };
  core.room.reacted(seqId);
  const change = core.commit(
    {
      state: next,
      write: () => {
        const { changes } = core.room.store;
        changes.setReaction(seqId, emoji, userId, wanted ? now : undefined);
        changes.setMark(seqId, { version, isRecalled: false });
      },
      outbox: [
        {
          kind: "record",
          record: (logId) => ({
            kind: "reaction",
            conversationId,
            logId,
            version,
            messageId,
            userId,
            emoji,
            createdAt: now,
            ...removed,
          }),
        },
        notice(core, { kind: "reaction", messageId, seqId, version, emoji, userId, added: wanted, count }),
      ],
      held: true,
    },
    now,
  );
  return ok({ value: { emoji, count, mine: wanted }, ...change });
}

/** The message with its reactions as this reader sees them. */
function seen(core: RoomCore, actor: Actor, message: StoredMessage): SeenMessage {
  const reactions = core.room.store.changes.reactions([message.seqId], actor.userId).get(message.seqId);
  return reactions === undefined ? message : { ...message, reactions };
}

/** A changed message is news for `sync`, but no activity: its place in the lists stays. */
function grown(state: ConversationState): ConversationState {
  return { ...state, version: state.version + 1 };
}

function messageRecord(core: RoomCore, message: StoredMessage, version: number): OutboxDraft {
  const { conversationId } = core;
  return { kind: "record", record: (logId) => ({ kind: "message", conversationId, logId, version, message }) };
}

function messageEvent(
  core: RoomCore,
  type: "message.edited" | "message.recalled",
  operatorId: string,
  message: StoredMessage,
  payload: object,
): OutboxDraft {
  return {
    kind: "event",
    topic: "gochat.message-events",
    event: (eventId, timestamp) => ({
      event_id: eventId,
      event_type: type,
      timestamp,
      conversation_id: core.conversationId,
      operator_id: operatorId,
      payload: { message_id: message.messageId, seq_id: message.seqId, ...payload },
    }),
  };
}

/** Everybody who may have the message is told; without messages the task moves no watermark. */
function notice(core: RoomCore, told: MessageNotice): OutboxDraft {
  const { conversationId, state } = core;
  return {
    kind: "task",
    task: (logId): FanoutTask => ({
      conversationId,
      type: state?.type ?? 2,
      fromSeqId: 0,
      toSeqId: 0,
      messages: [],
      notice: afterUntold(told, core.room.untold.values()),
      outboxIds: [logId],
    }),
  };
}

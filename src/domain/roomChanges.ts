/**
 * Changes of a conversation other than messages: creation, members, read pointers. Each decides by
 * the rules, then commits rows, SQL records and bus events in one transaction of the room.
 */
import { ERRORS, err, ok, type Result } from "../protocol/errors.ts";
import type { Actor, AddedMembers, CreateRoom, RoomChange, RoomView } from "./commands.ts";
import { mayAdd, mayRemove, newConversation, requireMember } from "./membership.ts";
import { GROUP, MEMBER, WORLD, type ConversationState, type MemberState } from "./records.ts";
import type { OutboxDraft, RoomCore } from "./room.ts";

const CONVERSATION_EVENTS = "gochat.conversation-events";

function conversationRecord(core: RoomCore, state: ConversationState): OutboxDraft {
  return {
    kind: "record",
    record: (logId) => ({
      kind: "conversation",
      conversationId: state.conversationId,
      logId,
      conversation: state,
      headSeqId: core.headSeqId,
    }),
  };
}

function memberRecord(core: RoomCore, member: MemberState): OutboxDraft {
  return {
    kind: "record",
    record: (logId) => ({
      kind: "member",
      conversationId: core.conversationId,
      logId,
      member,
    }),
  };
}

/** An event of this conversation by `operatorId`, with the conversation as it is after the change. */
function conversationEvent(
  type: string,
  operatorId: string,
  state: ConversationState,
  payload: Record<string, unknown>,
): OutboxDraft {
  return {
    kind: "event",
    topic: CONVERSATION_EVENTS,
    event: (eventId, timestamp) => ({
      event_id: eventId,
      event_type: type,
      timestamp,
      conversation_id: state.conversationId,
      operator_id: operatorId,
      payload,
    }),
  };
}

function changed(state: ConversationState, now: number): ConversationState {
  return { ...state, version: state.version + 1, updatedAt: now };
}

/** Idempotent for the same conversation id: the existing one is the answer. */
export function createConversation(core: RoomCore, command: CreateRoom, now: number): Result<RoomChange<RoomView>> {
  const creator = command.memberIds[0];
  if (creator === undefined || command.type === WORLD) {
    return err({ name: "INVALID_INPUT" });
  }
  const actor: Actor = { userId: creator, isGuest: false, isAdmin: false };
  if (core.state !== undefined) {
    const view = core.view(actor);
    return view.ok ? ok({ value: view.value, records: [], outboxIds: [] }) : view;
  }
  const { state, members } = newConversation(core.conversationId, command, now);
  const change = core.commit(
    {
      state,
      put: members,
      outbox: [
        conversationRecord(core, state),
        ...members.map((member) => memberRecord(core, member)),
        conversationEvent("conversation.created", creator, state, {
          conversation: { ...state, headSeqId: core.headSeqId },
          member_ids: command.memberIds,
        }),
      ],
      held: true,
    },
    now,
  );
  const view = core.view(actor);
  return view.ok ? ok({ value: view.value, ...change }) : view;
}

/** Adds whom it can; the others are named with the reason. Existing members count as added. */
export function addMembers(
  core: RoomCore,
  actor: Actor,
  userIds: readonly string[],
  now: number,
): Result<RoomChange<AddedMembers>> {
  const self = requireMember(core.state, core.member(actor.userId), actor);
  if (!self.ok) {
    return self;
  }
  const { state, member } = self.value;
  const allowed = mayAdd(state, member);
  if (!allowed.ok) {
    return allowed;
  }
  const fresh: MemberState[] = [];
  const value: AddedMembers = { added: [], failed: [] };
  for (const userId of new Set(userIds)) {
    const existing = core.member(userId);
    if (existing !== undefined) {
      value.added.push(existing);
    } else if (state.memberCount + fresh.length >= state.maxMembers) {
      value.failed.push({ userId, code: ERRORS.GROUP_FULL.code });
    } else {
      // A new member has nothing unread from before they came.
      const joined: MemberState = { userId, role: MEMBER, joinedAt: now, readSeqId: core.headSeqId };
      fresh.push(joined);
      value.added.push(joined);
    }
  }
  if (fresh.length === 0) {
    return ok({ value, records: [], outboxIds: [] });
  }
  const next = { ...changed(state, now), memberCount: state.memberCount + fresh.length };
  const change = core.commit(
    {
      state: next,
      put: fresh,
      outbox: [
        conversationRecord(core, next),
        ...fresh.map((joined) => memberRecord(core, joined)),
        conversationEvent("conversation.member.added", actor.userId, next, {
          conversation: { ...next, headSeqId: core.headSeqId },
          members: fresh.map((joined) => ({
            user_id: joined.userId,
            role: joined.role,
            joined_at: joined.joinedAt,
          })),
        }),
      ],
      held: true,
    },
    now,
  );
  return ok({ value, ...change });
}

/** Removing oneself is leaving; the last member's leaving dismisses the group. */
export function removeMember(
  core: RoomCore,
  actor: Actor,
  userId: string,
  now: number,
): Result<RoomChange<{ dismissed: boolean }>> {
  const self = requireMember(core.state, core.member(actor.userId), actor);
  if (!self.ok) {
    return self;
  }
  const { state, member } = self.value;
  const target = core.member(userId);
  if (target === undefined) {
    return err({ name: state.type === GROUP ? "USER_NOT_FOUND" : "PERMISSION_DENIED" });
  }
  const allowed = mayRemove(state, member, target);
  if (!allowed.ok) {
    return allowed;
  }
  const next: ConversationState = {
    ...changed(state, now),
    memberCount: state.memberCount - 1,
    ...(allowed.value.dismisses ? { dismissedAt: now } : {}),
  };
  const left = actor.userId === userId;
  const change = core.commit(
    {
      state: next,
      removed: [userId],
      outbox: [
        conversationRecord(core, next),
        {
          kind: "record",
          record: (logId) => ({
            kind: "memberRemoved",
            conversationId: core.conversationId,
            logId,
            userId,
            removedAt: now,
          }),
        },
        conversationEvent("conversation.member.removed", actor.userId, next, {
          user_id: userId,
          reason: allowed.value.dismisses ? "dismissed" : left ? "left" : "removed",
        }),
      ],
      held: true,
    },
    now,
  );
  return ok({ value: { dismissed: allowed.value.dismisses }, ...change });
}

function readEvent(core: RoomCore, userId: string, from: number, to: number): OutboxDraft {
  return {
    kind: "event",
    topic: "gochat.message-events",
    event: (eventId, timestamp) => ({
      event_id: eventId,
      event_type: "message.read",
      timestamp,
      conversation_id: core.conversationId,
      user_id: userId,
      payload: { from_seq: from, to_seq: to },
    }),
  };
}

/** The read pointer moves forward only, and never past the head. */
export function markRead(
  core: RoomCore,
  actor: Actor,
  seqId: number,
  held: boolean,
  now: number,
): Result<RoomChange<{ readSeqId: number; unreadCount: number }>> {
  const self = requireMember(core.state, core.member(actor.userId), actor);
  if (!self.ok) {
    return self;
  }
  const { member, state } = self.value;
  if (state.type === WORLD) {
    return err({ name: "PERMISSION_DENIED", detail: "world pointers live in the session" });
  }
  const from = member.readSeqId;
  const to = Math.min(seqId, core.headSeqId);
  const readSeqId = Math.max(from, to);
  const value = { readSeqId, unreadCount: core.headSeqId - readSeqId };
  if (to <= from) {
    return ok({ value, records: [], outboxIds: [] });
  }
  const userId = actor.userId;
  const change = core.commit(
    {
      put: [{ ...member, readSeqId }],
      outbox: [
        {
          kind: "record",
          record: (logId) => ({
            kind: "readPointer",
            conversationId: core.conversationId,
            logId,
            userId,
            readSeqId,
          }),
        },
        // Whoever is no friend any more does not hear what one reads.
        ...(state.closedAt === undefined ? [readEvent(core, userId, from, readSeqId)] : []),
      ],
      held,
    },
    now,
  );
  return ok({ value, ...change });
}

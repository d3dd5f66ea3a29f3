/**
 * Changes of a conversation other than messages: creation, members, read pointers. Each decides by
 * the rules, then commits rows, SQL records and bus events in one transaction of the room.
 */
import { ERRORS, err, ok, type Result } from "../protocol/errors.ts";
import {
  changed,
  conversationEvent,
  conversationRecord,
  memberRecord,
  notification,
  stateEvent,
  takeIn,
  unchanged,
} from "./changeDrafts.ts";
import type { Actor, AddedMembers, CreateRoom, RoomChange, RoomView } from "./commands.ts";
import { mayAdd, mayRemove, newConversation, requireMember } from "./membership.ts";
import { GROUP, WORLD, type ConversationState } from "./records.ts";
import type { OutboxDraft, RoomCore } from "./room.ts";

/** Idempotent for the same conversation id: the existing one is the answer. */
export function createConversation(core: RoomCore, command: CreateRoom, now: number): Result<RoomChange<RoomView>> {
  const creator = command.memberIds[0];
  if (creator === undefined || command.type === WORLD) {
    return err({ name: "INVALID_INPUT" });
  }
  const actor: Actor = { userId: creator, isGuest: false, isAdmin: false };
  if (core.state !== undefined) {
    const view = core.view(actor);
    return view.ok ? ok(unchanged(view.value)) : view;
  }
  const { state, members } = newConversation(core.conversationId, command, now);
  const invited = command.memberIds.slice(1);
  const change = core.commit(
    {
      state,
      put: members,
      outbox: [
        conversationRecord(core, state),
        ...members.map((member) => memberRecord(core, member)),
        stateEvent(core, "conversation.created", creator, state, { member_ids: command.memberIds }),
        ...(command.type === GROUP && invited.length > 0
          ? [notification(core, "conversation.invited", creator, { user_ids: invited })]
          : []),
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
  const fresh: string[] = [];
  const value: AddedMembers = { added: [], failed: [] };
  for (const userId of new Set(userIds)) {
    const existing = core.member(userId);
    if (existing !== undefined) {
      value.added.push(existing);
    } else if (state.memberCount + fresh.length >= state.maxMembers) {
      value.failed.push({ userId, code: ERRORS.GROUP_FULL.code });
    } else {
      fresh.push(userId);
    }
  }
  if (fresh.length === 0) {
    return ok(unchanged(value));
  }
  const { members, ...change } = takeIn(core, state, fresh, actor.userId, now);
  value.added.push(...members);
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
        conversationEvent(core, "conversation.member.removed", actor.userId, {
          user_id: userId,
          reason: allowed.value.dismisses ? "dismissed" : left ? "left" : "removed",
        }),
        ...(allowed.value.dismisses ? [stateEvent(core, "conversation.dismissed", actor.userId, next)] : []),
      ],
      held: true,
      write: () => {
        // Else leaving and coming back by a link would end a mute.
        if (target.mutedUntil !== undefined && target.mutedUntil > now) {
          core.groups.keepMute(userId, target.mutedUntil, now);
        }
      },
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
    return ok(unchanged(value));
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

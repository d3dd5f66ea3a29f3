/** What changes of a conversation leave behind in its outbox: records for SQL, events for the bus. */
import type { RoomChange } from "./commands.ts";
import {
  MEMBER,
  type ConversationState,
  type InviteState,
  type JoinRequestState,
  type MemberState,
  type Role,
} from "./records.ts";
import type { OutboxDraft, RoomCore } from "./room.ts";

export function conversationRecord(core: RoomCore, state: ConversationState): OutboxDraft {
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

export function memberRecord(core: RoomCore, member: MemberState): OutboxDraft {
  return {
    kind: "record",
    record: (logId) => ({ kind: "member", conversationId: core.conversationId, logId, member }),
  };
}

export function inviteRecord(invite: InviteState): OutboxDraft {
  return {
    kind: "record",
    record: (logId) => ({ kind: "invite", conversationId: invite.conversationId, logId, invite }),
  };
}

export function joinRequestRecord(request: JoinRequestState): OutboxDraft {
  return {
    kind: "record",
    record: (logId) => ({ kind: "joinRequest", conversationId: request.conversationId, logId, request }),
  };
}

/** Something that happened in this conversation, by `operatorId`. */
export function conversationEvent(
  core: RoomCore,
  type: string,
  operatorId: string,
  payload: Record<string, unknown>,
): OutboxDraft {
  return eventOn(core, "gochat.conversation-events", type, operatorId, payload);
}

/** An event that carries the conversation as it is after the change. */
export function stateEvent(
  core: RoomCore,
  type: string,
  operatorId: string,
  state: ConversationState,
  more: Record<string, unknown> = {},
): OutboxDraft {
  return conversationEvent(core, type, operatorId, { conversation: { ...state, headSeqId: core.headSeqId }, ...more });
}

export function roleEvent(core: RoomCore, operatorId: string, userId: string, role: Role): OutboxDraft {
  return conversationEvent(core, "conversation.member.role.updated", operatorId, { user_id: userId, role });
}

/** What a push service would send to members of this conversation. */
export function notification(
  core: RoomCore,
  type: "conversation.invited" | "group.announcement",
  operatorId: string,
  payload: Record<string, unknown>,
): OutboxDraft {
  return eventOn(core, "gochat.notifications", type, operatorId, payload);
}

function eventOn(
  core: RoomCore,
  topic: "gochat.conversation-events" | "gochat.notifications",
  type: string,
  operatorId: string,
  payload: Record<string, unknown>,
): OutboxDraft {
  return {
    kind: "event",
    topic,
    event: (eventId, timestamp) => ({
      event_id: eventId,
      event_type: type,
      timestamp,
      conversation_id: core.conversationId,
      operator_id: operatorId,
      payload,
    }),
  };
}

/** The state after a change of anything in the conversation. */
export function changed(state: ConversationState, now: number): ConversationState {
  return { ...state, version: state.version + 1, updatedAt: now };
}

/** The answer of a step that had nothing to change. */
export function unchanged<T>(value: T): RoomChange<T> {
  return { value, records: [], outboxIds: [] };
}

/**
 * Puts these users, none of whom is a member, into the group as one change. Who waited for an approval has it now.
 * @param state as it is before; the caller has checked that there is room for all of them
 * @param more what else belongs to the same transaction
 */
export function takeIn(
  core: RoomCore,
  state: ConversationState,
  userIds: readonly string[],
  operatorId: string,
  now: number,
  more: { outbox?: OutboxDraft[]; write?: () => void } = {},
): { members: MemberState[] } & Omit<RoomChange<unknown>, "value"> {
  // A new member has nothing unread from before they came.
  const members = userIds.map((userId): MemberState => {
    const mutedUntil = core.groups.keptMute(userId) ?? 0;
    const mute = mutedUntil > now ? { mutedUntil } : {};
    return { userId, role: MEMBER, joinedAt: now, ...mute, readSeqId: core.headSeqId };
  });
  const next = { ...changed(state, now), memberCount: state.memberCount + members.length };
  const approved = userIds.flatMap((userId): JoinRequestState[] => {
    const request = core.groups.joinRequestOf(userId);
    return request?.status === "pending"
      ? [{ ...request, status: "accepted", decidedBy: operatorId, updatedAt: now }]
      : [];
  });
  const invited = userIds.filter((userId) => userId !== operatorId);
  const change = core.commit(
    {
      state: next,
      put: members,
      outbox: [
        conversationRecord(core, next),
        ...members.map((member) => memberRecord(core, member)),
        stateEvent(core, "conversation.member.added", operatorId, next, {
          members: members.map(({ userId, role, joinedAt }) => ({ user_id: userId, role, joined_at: joinedAt })),
        }),
        ...approved.map(joinRequestRecord),
        ...(more.outbox ?? []),
        ...(invited.length === 0
          ? []
          : [notification(core, "conversation.invited", operatorId, { user_ids: invited })]),
      ],
      held: true,
      write: () => {
        approved.forEach((request) => core.groups.putJoinRequest(request));
        members
          .filter((member) => member.mutedUntil !== undefined)
          .forEach(({ userId }) => core.groups.dropMute(userId));
        more.write?.();
      },
    },
    now,
  );
  return { members, ...change };
}

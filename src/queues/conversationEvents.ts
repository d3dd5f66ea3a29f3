/**
 * `gochat.conversation-events`: who came, who went, what changed, to those it concerns. Events come twice and in any order,
 * so each is told as the room has it now: who has come back since is not told that they are gone, and an old name does not
 * follow a new one.
 */
import type { CurrentView } from "../domain/commands.ts";
import { WORLD, type MemberState } from "../domain/records.ts";
import { presentConversation, presentJoinRequest, presentMember } from "../http/present.ts";
import { roomOf } from "../platform/stubs.ts";
import type { EventOf, EventOfType } from "../protocol/events.ts";
import type { ServerFrame } from "../protocol/frames.ts";
import type { EventHandler } from "./events.ts";
import { profilesForEvents } from "./profiles.ts";
import { MEMBERS_PAGE, pushTo, pushToMembers, pushToOnline } from "./push.ts";

type Event = EventOf<"gochat.conversation-events">;

/** Owner and admins told at one time. */
const PAGE = 100;

export const onConversationEvent: EventHandler<"gochat.conversation-events"> = (event, env) => {
  switch (event.event_type) {
    case "conversation.created": {
      const { conversation, member_ids: members } = event.payload;
      return pushTo(env, members, [{ type: "conversation-created", data: { conversation } }]);
    }
    case "conversation.updated":
      return updated(event, env);
    case "conversation.dismissed": {
      const conversationId = idOf(event);
      const data = { conversationId, reason: "dismissed" } as const;
      return pushToMembers(env, conversationId, [], [{ type: "conversation-removed", data }]);
    }
    case "conversation.member.added":
      return memberAdded(event, env);
    case "conversation.member.removed":
      return memberRemoved(event, env);
    case "conversation.member.role.updated":
      return roleUpdated(event, env);
    case "conversation.joined.requested":
      return joinRequested(event, env);
  }
};

function idOf(event: Event): string {
  return event.conversation_id ?? "";
}

/** The conversation as it is now, with who of these is in it, and a page of all who are; null once it is dismissed. */
function currentOf(env: Env, conversationId: string, among: string[] = []): Promise<CurrentView | null> {
  return roomOf(env, conversationId).current(among, MEMBERS_PAGE);
}

/** Everybody is in the world room: its readers see a change with their next sync. */
async function updated(event: EventOfType<"conversation.updated">, env: Env): Promise<void> {
  const current = await currentOf(env, idOf(event));
  if (current !== null && current.conversation.type !== WORLD) {
    const conversation = presentConversation(current.conversation, current.headSeqId);
    const frame: ServerFrame = { type: "conversation-updated", data: { conversation } };
    await pushToMembers(env, conversation.conversationId, [], [frame], current.memberIds);
  }
}

/** The new ones get the conversation, those who were there the new members. */
async function memberAdded(event: EventOfType<"conversation.member.added">, env: Env): Promise<void> {
  const conversationId = idOf(event);
  const { members: told, conversation: then } = event.payload;
  const among = told.map((member) => member.user_id);
  const current = await roomOf(env, conversationId).current(among, 0);
  if (current === null || current.members.length === 0) {
    return;
  }
  const ids = current.members.map((member) => member.userId);
  // With the head as it was then: up to there, and no further, the new ones have nothing to read.
  const conversation = presentConversation(current.conversation, then.headSeqId);
  await Promise.all([
    pushTo(env, ids, [{ type: "conversation-joined", data: { conversation } }]),
    introduceTo(env, conversationId, current.members, event.operator_id ?? ""),
  ]);
}

/** Those who were there are read after the names, which may take a while: who was removed meanwhile gets nothing. */
async function introduceTo(
  env: Env,
  conversationId: string,
  joined: readonly MemberState[],
  operatorId: string,
): Promise<void> {
  const ids = joined.map((state) => state.userId);
  const users = await profilesForEvents(env, ids);
  const members = joined.map((state) => presentMember(state, users.get(state.userId)));
  const frame: ServerFrame = { type: "member-added", data: { conversationId, members, operatorId } };
  await pushToMembers(env, conversationId, ids, [frame]);
}

async function memberRemoved(event: EventOfType<"conversation.member.removed">, env: Env): Promise<void> {
  const conversationId = idOf(event);
  const { user_id: userId, reason } = event.payload;
  const current = await currentOf(env, conversationId, [userId]);
  if (current !== null && current.members.length > 0) {
    return;
  }
  const operatorId = event.operator_id ?? userId;
  const frame: ServerFrame = { type: "member-removed", data: { conversationId, userId, operatorId } };
  await Promise.all([
    pushTo(env, [userId], [{ type: "conversation-removed", data: { conversationId, reason } }]),
    pushToMembers(env, conversationId, [userId], [frame], current?.memberIds),
  ]);
}

async function roleUpdated(event: EventOfType<"conversation.member.role.updated">, env: Env): Promise<void> {
  const conversationId = idOf(event);
  const current = await currentOf(env, conversationId, [event.payload.user_id]);
  const [member] = current?.members ?? [];
  if (member === undefined) {
    return;
  }
  const { userId, role } = member;
  const frame: ServerFrame = { type: "member-role-changed", data: { conversationId, userId, role } };
  await Promise.all([
    pushTo(env, [userId], [{ type: "role-updated", data: { conversationId, role } }]),
    pushToMembers(env, conversationId, [], [frame], current?.memberIds),
  ]);
}

/** To the owner and the admins who are here, as long as nobody has decided. */
async function joinRequested(event: EventOfType<"conversation.joined.requested">, env: Env): Promise<void> {
  const conversationId = idOf(event);
  const { request_id: requestId, user_id: userId } = event.payload;
  const user = (await profilesForEvents(env, [userId])).get(userId);
  for (let after = ""; ;) {
    const pending = await roomOf(env, conversationId).pendingJoin(requestId, after, PAGE);
    if (pending === null) {
      return;
    }
    const { request, moderatorIds } = pending;
    const frame: ServerFrame = {
      type: "notification",
      data: {
        eventId: event.event_id,
        kind: "join-request",
        conversationId,
        request: presentJoinRequest(request, user),
        createdAt: request.createdAt,
      },
    };
    await pushToOnline(env, moderatorIds, [frame]);
    const last = moderatorIds.at(-1);
    if (last === undefined || moderatorIds.length < PAGE) {
      return;
    }
    after = last;
  }
}

/** `gochat.conversation-events`: who came, who went, what changed, to those it concerns. */
import { presentMember } from "../http/present.ts";
import { MEMBER, type Role } from "../domain/records.ts";
import { repositories } from "../repo/index.ts";
import type { EventOf } from "../protocol/events.ts";
import type { EventHandler } from "./events.ts";
import { pushTo, pushToMembers } from "./push.ts";

type Event = EventOf<"gochat.conversation-events">;

export const onConversationEvent: EventHandler<"gochat.conversation-events"> = async (event, env) => {
  const conversationId = event.conversation_id ?? "";
  switch (event.event_type) {
    case "conversation.created": {
      const { conversation, member_ids: members } = event.payload;
      return pushTo(env, members, [{ type: "conversation-created", data: { conversation } }]);
    }
    case "conversation.updated":
    case "conversation.dismissed": {
      const { conversation } = event.payload;
      return pushToMembers(env, conversationId, [], [{ type: "conversation-updated", data: { conversation } }]);
    }
    case "conversation.member.added":
      return memberAdded(event, env);
    case "conversation.member.removed": {
      const { user_id: userId, reason } = event.payload;
      const operatorId = event.operator_id ?? userId;
      await pushTo(env, [userId], [{ type: "conversation-removed", data: { conversationId, reason } }]);
      return pushToMembers(
        env,
        conversationId,
        [userId],
        [{ type: "member-removed", data: { conversationId, userId, operatorId } }],
      );
    }
    case "conversation.member.role.updated": {
      const { user_id: userId } = event.payload;
      const role = event.payload.role as Role;
      await pushTo(env, [userId], [{ type: "role-updated", data: { conversationId, role } }]);
      return pushToMembers(
        env,
        conversationId,
        [],
        [{ type: "member-role-changed", data: { conversationId, userId, role } }],
      );
    }
    case "conversation.joined.requested":
      // Shown to admins with the join requests themselves.
      return undefined;
  }
};

/** The new ones get the conversation, those who were there the new members. */
async function memberAdded(
  event: Extract<Event, { event_type: "conversation.member.added" }>,
  env: Env,
): Promise<void> {
  const { conversation, members } = event.payload;
  const { conversationId } = conversation;
  const ids = members.map((member) => member.user_id);
  const users = await repositories(env).users.byIds(ids);
  await pushTo(env, ids, [{ type: "conversation-joined", data: { conversation } }]);
  const shown = members.map((member) =>
    presentMember(
      { userId: member.user_id, role: MEMBER, joinedAt: member.joined_at, readSeqId: 0 },
      users.find((user) => user.userId === member.user_id),
    ),
  );
  const operatorId = event.operator_id ?? "";
  await pushToMembers(env, conversationId, ids, [
    { type: "member-added", data: { conversationId, members: shown, operatorId } },
  ]);
}

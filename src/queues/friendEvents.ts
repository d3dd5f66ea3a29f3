/** `gochat.friend-events`: pushes to the two users of a request. */
import { presentConversation, presentUser } from "../http/present.ts";
import { directConversationId } from "../platform/ids.ts";
import { roomOf } from "../platform/stubs.ts";
import type { FriendRequest } from "../protocol/things.ts";
import { ensureDirect } from "../repo/directs.ts";
import { repositories } from "../repo/index.ts";
import type { EventHandler } from "./events.ts";
import { introduce } from "./presencePushes.ts";
import { pushTo } from "./push.ts";

export const onFriendEvent: EventHandler<"gochat.friend-events"> = async (event, env) => {
  switch (event.event_type) {
    case "friend.request.sent": {
      const { request, user } = event.payload;
      // Decided or hidden by a block meanwhile: an event may come late.
      if (await repositories(env).friends.isWaiting(request.requestId)) {
        const frame = { type: "friend-request", data: { request, user } } as const;
        await pushTo(env, [request.targetUserId], [frame]);
      }
      return;
    }
    case "friend.request.accepted":
      return accepted(event.payload.request, env);
    case "friend.request.rejected": {
      const { requestId, requesterId } = event.payload.request;
      return pushTo(env, [requesterId], [{ type: "friend-rejected", data: { requestId } }]);
    }
    case "friend.removed": {
      const [a, b] = event.payload.user_ids;
      if (a !== undefined && b !== undefined) {
        // The call of the one who ended it may have failed here.
        await roomOf(env, directConversationId(a, b)).friendshipChanged();
        if (await repositories(env).friends.areFriends(a, b)) {
          // Again: the event of that tells them so.
          return;
        }
        await pushTo(env, [a], [{ type: "friend-removed", data: { userId: b } }]);
        await pushTo(env, [b], [{ type: "friend-removed", data: { userId: a } }]);
      }
    }
  }
};

/** Both see the friendship with the other's profile; the conversation is there, whoever made it. */
async function accepted(request: FriendRequest, env: Env): Promise<void> {
  const { requesterId, targetUserId } = request;
  const made = await ensureDirect(env, requesterId, targetUserId);
  if (!made.ok) {
    throw new Error(`the direct conversation was refused: ${made.fault.name}`);
  }
  const conversation = presentConversation(made.value.conversation, made.value.headSeqId);
  const repo = repositories(env);
  if (!(await repo.friends.areFriends(requesterId, targetUserId))) {
    // Ended meanwhile: its own event tells them so.
    return;
  }
  const users = await repo.users.byIds([requesterId, targetUserId]);
  for (const userId of [requesterId, targetUserId]) {
    const friend = users.find((row) => row.userId !== userId);
    if (friend !== undefined) {
      const data = { request, user: presentUser(friend), conversation };
      await pushTo(env, [userId], [{ type: "friend-accepted", data }]);
    }
  }
  await introduce(env, requesterId, targetUserId);
}

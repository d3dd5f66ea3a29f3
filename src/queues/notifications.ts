/**
 * `gochat.notifications`: what a push service would send to people who are away; it reads them with a group of its own (see
 * docs/operations.md). Here, those who are connected get what no other frame tells them: the welcome and announcements.
 */
import { WORLD_ROOM_ID } from "../domain/records.ts";
import { settingsOf } from "../platform/settings.ts";
import { sessionOf, shardAt } from "../platform/stubs.ts";
import type { EventOfType } from "../protocol/events.ts";
import type { ServerFrame } from "../protocol/frames.ts";
import type { EventHandler } from "./events.ts";
import { forOnlineMembers } from "./online.ts";

type Shown = EventOfType<"group.announcement" | "welcome">;

export const onNotification: EventHandler<"gochat.notifications"> = (event, env) => {
  switch (event.event_type) {
    case "welcome": {
      const frame: ServerFrame = { type: "notification", data: { kind: "welcome", ...common(event) } };
      const notice = { eventId: event.event_id, frame: JSON.stringify(frame) };
      return sessionOf(env, event.user_id ?? "").notify(notice);
    }
    case "group.announcement":
      return announce(event, env);
    case "friend.request.new":
    case "conversation.invited":
      // Whoever is connected has the frame of the friend's or the conversation's own event.
      return Promise.resolve();
  }
};

/** The release before put no milliseconds into its events. */
function common(event: Shown): { eventId: string; createdAt: number } {
  return { eventId: event.event_id, createdAt: event.payload.at ?? event.timestamp * 1000 };
}

/** To the members who are online; of the world room that is everybody, through its shards. */
async function announce(event: EventOfType<"group.announcement">, env: Env): Promise<void> {
  const conversationId = event.conversation_id ?? "";
  const { text } = event.payload;
  if (text === "") {
    // The announcement of a group was taken away: its `conversation-updated` says so.
    return;
  }
  const isForAll = conversationId === WORLD_ROOM_ID;
  const about = isForAll ? {} : { conversationId };
  const frame: ServerFrame = { type: "notification", data: { kind: "announcement", ...common(event), text, ...about } };
  const serialised = JSON.stringify(frame);
  if (isForAll) {
    const shards = Array.from({ length: settingsOf(env).worldShards }, (_, n) => shardAt(env, conversationId, n));
    await Promise.all(shards.map((shard) => shard.announce(serialised)));
    return;
  }
  await forOnlineMembers(env, conversationId, async (userId) => {
    await sessionOf(env, userId).deliver([serialised]);
  });
}

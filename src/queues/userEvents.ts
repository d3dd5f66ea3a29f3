/** `gochat.user-events`: what a user's coming, going and profile mean for others. */
import { cacheOf } from "../cache/index.ts";
import { writeProfile } from "../cache/profiles.ts";
import { sessionOf } from "../platform/stubs.ts";
import type { EventOf } from "../protocol/events.ts";
import { repositories } from "../repo/index.ts";
import type { EventHandler } from "./events.ts";
import { FriendLookup } from "./friendLookup.ts";
import { onPresence } from "./presencePushes.ts";

/** The handler for one batch, whose events look friends up together. */
export function userEventHandler(env: Env): EventHandler<"gochat.user-events"> {
  const lookup = new FriendLookup(env);
  return (event) => onUserEvent(event, env, lookup);
}

function onUserEvent(event: EventOf<"gochat.user-events">, env: Env, lookup: FriendLookup): Promise<void> {
  switch (event.event_type) {
    case "user.online":
    case "user.offline":
      return onPresence(event, env, lookup);
    case "user.profile.updated":
      return refreshProfile(event.user_id ?? "", env);
    case "user.banned":
    case "user.unbanned": {
      // The request that banned has told the user's object already; this is for when it died before it could.
      const banned = event.event_type === "user.banned";
      return sessionOf(env, event.user_id ?? "").setBan({ banned, at: event.payload.at });
    }
  }
}

/** As SQL has it now, since events have no order. A cache that does not answer is asked again: the old profile may stand there. */
async function refreshProfile(userId: string, env: Env): Promise<void> {
  const row = await repositories(env).users.byId(userId);
  if (row !== null) {
    await writeProfile(cacheOf(env), row);
  }
}

/**
 * Coming and going, to those whom it concerns. The event only says that something has changed: what is so now is asked of the
 * user's object, so that an event that comes late or twice tells nobody what is no longer so.
 */
import { cacheOf } from "../cache/index.ts";
import { readPresence } from "../cache/presence.ts";
import { FRIENDS_SCANNED, PRESENCE_PUSHES } from "../domain/audience.ts";
import { systemClock } from "../platform/clock.ts";
import type { PresenceNotice } from "../platform/rpc.ts";
import { sessionOf } from "../platform/stubs.ts";
import type { EventOfType } from "../protocol/events.ts";
import { FRIENDS_PAGE, type FriendLookup } from "./friendLookup.ts";
import { repositories } from "../repo/index.ts";

/** Calls in the air at one time. */
const SLICE = 100;

/** Tells friends, unless another event has more to say. */
export async function onPresence(
  event: EventOfType<"user.online" | "user.offline">,
  env: Env,
  lookup: FriendLookup,
): Promise<void> {
  const userId = event.user_id ?? "";
  const isOnline = event.event_type === "user.online";
  const [firstFriends] = await Promise.all([
    lookup.first(userId),
    isOnline ? undefined : repositories(env).users.seen(userId, event.payload.last_seen_at),
  ]);
  const friendless = firstFriends.length === 0 ? event.event_id : undefined;
  const { watchers, isTold, ...view } = await sessionOf(env, userId).presence(friendless);
  if (view.online !== isOnline || isTold === true) {
    return;
  }
  const friends = await onlineFriends(env, userId, firstFriends);
  const told = new Set(friends);
  // Whoever asked may have ceased to be a friend since.
  const others = await repositories(env).friends.friendsAmong(
    userId,
    watchers.filter((watcher) => !told.has(watcher)),
  );
  const notice = { userId, ...view };
  const reached = new Set([
    ...(await tell(env, friends, notice)),
    ...(await tell(env, others, { ...notice, watched: true })),
  ]);
  const gone = watchers.filter((watcher) => !reached.has(watcher));
  if (gone.length > 0) {
    await sessionOf(env, userId).forgetWatchers(gone);
  }
  await sessionOf(env, userId).presenceTold(event.event_id);
}

/** Two who have just become friends see each other's presence, which changed for neither. */
export async function introduce(env: Env, a: string, b: string): Promise<void> {
  const [ofA, ofB] = await Promise.all([sessionOf(env, a).presence(), sessionOf(env, b).presence()]);
  if (ofA.online && ofB.online) {
    await Promise.all([
      sessionOf(env, a).showPresence({ userId: b, online: true, at: ofB.at, again: true }),
      sessionOf(env, b).showPresence({ userId: a, online: true, at: ofA.at, again: true }),
    ]);
  }
}

/** The first of them by id, up to the number of pushes. Without the cache nobody is known to be away, and the bound still holds. */
async function onlineFriends(env: Env, userId: string, first: string[]): Promise<string[]> {
  const cache = cacheOf(env);
  const online: string[] = [];
  let ids = first;
  for (let scanned = 0; ids.length > 0;) {
    const presence = await readPresence(cache, ids, systemClock.now(), true);
    online.push(...ids.filter((id) => presence.get(id) !== false));
    scanned += ids.length;
    if (ids.length < FRIENDS_PAGE || scanned >= FRIENDS_SCANNED || online.length >= PRESENCE_PUSHES) {
      break;
    }
    ids = await repositories(env).friends.friendIds(userId, ids.at(-1) ?? "", FRIENDS_PAGE);
  }
  return online.slice(0, PRESENCE_PUSHES);
}

/**
 * One who cannot be reached keeps it from nobody else; then the event comes again, and shows those who have it nothing.
 * @returns whom it reached: those with an open socket that wants it
 */
async function tell(env: Env, userIds: readonly string[], notice: PresenceNotice): Promise<string[]> {
  const reached: string[] = [];
  const failures: unknown[] = [];
  for (let at = 0; at < userIds.length; at += SLICE) {
    const calls = userIds.slice(at, at + SLICE).map(async (userId) => {
      try {
        if ((await sessionOf(env, userId).showPresence(notice)) > 0) {
          reached.push(userId);
        }
      } catch (error) {
        failures.push(error);
      }
    });
    await Promise.all(calls);
  }
  if (failures.length > 0) {
    throw new Error(`${failures.length} were not told`, { cause: failures[0] });
  }
  return reached;
}

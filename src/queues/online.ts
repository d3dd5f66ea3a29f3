/** Who of many users, or of a big conversation, may be here now: nobody else is called. */
import { cacheOf } from "../cache/index.ts";
import { CACHE_KEYS, type Cache } from "../cache/types.ts";
import { PRESENCE_TTL_MS } from "../domain/presence.ts";
import { systemClock } from "../platform/clock.ts";
import { roomOf } from "../platform/stubs.ts";

/** Members whose presence is read, and who are served, at one time. Source: DESIGN section 3. */
const MEMBER_BATCH = 500;
/** Calls in the air at one time within a batch. */
const SLICE = 100;

/** Calls `serve` for every member who is online (or may be: without the cache nobody is known to be away). */
export async function forOnlineMembers(
  env: Env,
  conversationId: string,
  serve: (userId: string) => Promise<void>,
): Promise<void> {
  const cache = cacheOf(env);
  const room = roomOf(env, conversationId);
  for (let after = ""; ;) {
    const userIds = await room.memberIds(after, MEMBER_BATCH);
    const online = await onlineOf(cache, userIds);
    for (let at = 0; at < online.length; at += SLICE) {
      await Promise.all(online.slice(at, at + SLICE).map(serve));
    }
    const last = userIds.at(-1);
    if (last === undefined || userIds.length < MEMBER_BATCH) {
      return;
    }
    after = last;
  }
}

/** Those of the users who are online, or all of them where the cache cannot prove anybody away. */
export async function onlineOf(cache: Cache, userIds: string[]): Promise<string[]> {
  if (userIds.length === 0) {
    return [];
  }
  try {
    const [since, presence] = await cache.pipeline([
      ["GET", CACHE_KEYS.presenceSince],
      ["MGET", ...userIds.map(CACHE_KEYS.online)],
    ]);
    const complete = since !== null && systemClock.now() - Number(since) >= PRESENCE_TTL_MS;
    return complete && Array.isArray(presence) ? userIds.filter((_userId, index) => presence[index] !== null) : userIds;
  } catch {
    // Without the cache nobody is known to be away.
    return userIds;
  }
}

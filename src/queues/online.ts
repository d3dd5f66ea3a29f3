/** Who of many users may be here now. */
import { CACHE_KEYS, type Cache } from "../cache/types.ts";
import { PRESENCE_TTL_MS } from "../domain/presence.ts";
import { systemClock } from "../platform/clock.ts";

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

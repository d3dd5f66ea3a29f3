/** Who is online, as far as the cache knows. */
import { PRESENCE_TTL_MS } from "../domain/presence.ts";
import { CACHE_KEYS, type Cache, type CacheCommand } from "./types.ts";

/**
 * Who of these users is online as their friends see it: here, or gone for so short a time that nobody was told. Users of whom the
 * cache knows nothing (it is away, or was emptied not long ago) are not in the answer. One pipelined read.
 * @param now epoch milliseconds
 * @param hereOnly asks for those with a socket alone
 */
export async function readPresence(
  cache: Cache,
  userIds: readonly string[],
  now: number,
  hereOnly = false,
): Promise<Map<string, boolean>> {
  if (userIds.length === 0) {
    return new Map();
  }
  try {
    const [since, here, away] = await cache.pipeline([
      ["GET", CACHE_KEYS.presenceSince],
      ["MGET", ...userIds.map(CACHE_KEYS.online)],
      ...(hereOnly ? [] : [["MGET", ...userIds.map(CACHE_KEYS.away)] satisfies CacheCommand]),
    ]);
    const complete = typeof since === "string" && now - Number(since) >= PRESENCE_TTL_MS;
    const isSet = (reply: typeof here, index: number): boolean =>
      Array.isArray(reply) && reply[index] !== null && reply[index] !== undefined;
    const known = userIds.map((userId, index) => [userId, isSet(here, index) || isSet(away, index)] as const);
    return new Map(known.filter(([, online]) => online || complete));
  } catch {
    // A cache error is never a user's error (DESIGN section 4).
    return new Map();
  }
}

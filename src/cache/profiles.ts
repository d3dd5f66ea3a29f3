/**
 * `user:profile:`: what everybody may see of an account, cache-aside. Readers fill only what is absent (SETNX), whoever changes a
 * profile writes it after the commit (SET), and the event of the change once more: so a reader that looked into SQL before the
 * change cannot put the old name back, and a write that failed is made up for.
 */
import type { UserRow } from "../repo/types.ts";
import { CACHE_KEYS, LIVES_MS, type Cache, type CacheCommand } from "./types.ts";

/** What is kept and shown: nobody's password or mail address. */
export function withoutSecrets(row: UserRow): UserRow {
  return { ...row, passwordHash: null, email: null };
}

function entryOf(row: UserRow): [key: string, value: string, lifeMs: number] {
  return [CACHE_KEYS.profile(row.userId), JSON.stringify(withoutSecrets(row)), LIVES_MS.warm];
}

/** Those that the cache has; none when it does not answer. */
export async function readProfiles(cache: Cache, userIds: readonly string[]): Promise<Map<string, UserRow>> {
  const found = new Map<string, UserRow>();
  try {
    const [reply] = await cache.pipeline([["MGET", ...userIds.map(CACHE_KEYS.profile)]]);
    for (const text of Array.isArray(reply) ? reply : []) {
      if (text !== null) {
        // Only this file writes there.
        const row = JSON.parse(text) as UserRow;
        found.set(row.userId, row);
      }
    }
  } catch {
    // A cache error is never a user's error (DESIGN section 4).
  }
  return found;
}

/** After a reader's miss. Whether it works is nobody's concern. */
export async function fillProfiles(cache: Cache, rows: readonly UserRow[]): Promise<void> {
  try {
    await cache.pipeline(rows.map((row): CacheCommand => ["SETNX", ...entryOf(row)]));
  } catch {
    // The next reader misses as well.
  }
}

/** After a change. Throws when the cache does not answer: the old one may stand there still. */
export async function writeProfile(cache: Cache, row: UserRow): Promise<void> {
  await cache.pipeline([["SET", ...entryOf(row)]]);
}

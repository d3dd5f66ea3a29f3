/** Accounts as everybody sees them, for what consumers push. */
import { cacheOf } from "../cache/index.ts";
import { fillProfiles, readProfiles } from "../cache/profiles.ts";
import { repositories } from "../repo/index.ts";
import type { UserRow } from "../repo/types.ts";

/** By user id: from the cache, the others from SQL. Throws when SQL is away: the event is handled later, not without names. */
export async function profilesForEvents(env: Env, userIds: readonly string[]): Promise<ReadonlyMap<string, UserRow>> {
  const cache = cacheOf(env);
  const users = await readProfiles(cache, userIds);
  const missing = userIds.filter((userId) => !users.has(userId));
  if (missing.length > 0) {
    const rows = await repositories(env).users.byIds(missing);
    await fillProfiles(cache, rows);
    for (const row of rows) {
      users.set(row.userId, row);
    }
  }
  return users;
}

/** Lists that are answered without SQL as well: from what it said last, put right by the rooms. Source: DESIGN section 5. */
import { CACHE_KEYS, LIVES_MS, type Cache } from "../cache/types.ts";
import { isOutage, keepLastKnown, orLastKnown, readLastKnown, type Later } from "../cache/lastKnown.ts";
import { fillProfiles, readProfiles, withoutSecrets } from "../cache/profiles.ts";
import type { Actor, RoomView } from "../domain/commands.ts";
import { WORLD } from "../domain/records.ts";
import type { Result } from "../protocol/errors.ts";
import { degradedAnswers } from "../telemetry/metrics.ts";
import type { ConversationItem, Page, PageRequest, Repo, UserRow } from "../repo/types.ts";

/** Where lists are read from. */
export type ListSources = {
  readonly repo: Repo;
  readonly cache: Cache;
  room(conversationId: string): { view(actor: Actor): Promise<Result<RoomView>> };
  later: Later;
};

/** Rooms asked at one time. */
const ROOMS_AT_ONCE = 50;

/** Of a list's first page, for when SQL is away: more would be too long to keep (`keepLastKnown`). */
const KEPT_ITEMS = 100;

type Kept = Page<ConversationItem> & { readonly limit: number };

/**
 * A page of a user's conversations. Without SQL the first page, as it was when SQL last answered: conversations that were made
 * since are missing, and the rooms say which of the others the user is still in, and how they are now.
 */
export async function conversationPage(
  sources: ListSources,
  actor: Actor,
  page: PageRequest,
  how: "list" | "listWithoutMessages" = "list",
): Promise<Result<Page<ConversationItem> & { degraded?: true }>> {
  const { repo, cache, later } = sources;
  const load = (): Promise<Result<Page<ConversationItem>>> => repo.conversations[how](actor.userId, page);
  if (page.cursor !== undefined) {
    return load();
  }
  const entry = { key: CACHE_KEYS.conversations(actor.userId), lifeMs: LIVES_MS.warm };
  try {
    const listed = await load();
    if (listed.ok) {
      // Last messages come from rooms and their cache; without them this is some 40 KB.
      const items = listed.value.items.slice(0, KEPT_ITEMS).map((item) => ({ ...item, lastMessage: null }));
      const nextCursor = items.length < listed.value.items.length ? null : listed.value.nextCursor;
      keepLastKnown(cache, later, entry.lifeMs, [[entry.key, { items, nextCursor, limit: page.limit } satisfies Kept]]);
    }
    return listed;
  } catch (error) {
    const [text] = isOutage(error) ? await readLastKnown(cache, [entry.key]) : [];
    if (typeof text !== "string") {
      throw error;
    }
    const kept = JSON.parse(text) as Kept;
    const items = await asRoomsHaveThem(sources, actor, kept.items.slice(0, page.limit));
    // A cursor belongs to the limit that it was made with.
    const nextCursor = kept.limit === page.limit ? kept.nextCursor : null;
    return { ok: true, value: { items, nextCursor, degraded: true } };
  }
}

/** Removed means removed: a kept page is no proof of membership. A room that does not answer is shown as it was. */
async function asRoomsHaveThem(
  { room }: ListSources,
  actor: Actor,
  items: readonly ConversationItem[],
): Promise<ConversationItem[]> {
  const now: ConversationItem[] = [];
  for (let at = 0; at < items.length; at += ROOMS_AT_ONCE) {
    const asked = await Promise.all(
      items.slice(at, at + ROOMS_AT_ONCE).map(async (item): Promise<ConversationItem[]> => {
        const { conversation } = item;
        if (conversation.type === WORLD) {
          return [item];
        }
        const view = await room(conversation.conversationId)
          .view(actor)
          .catch(() => undefined);
        return view === undefined ? [item] : view.ok ? [{ ...item, ...view.value }] : [];
      }),
    );
    now.push(...asked.flat());
  }
  return now;
}

/** Accounts by id, as everybody sees them: from the cache, the others from SQL; those alone that are cached when it is away. */
export async function profilesOf(
  { repo, cache, later }: Omit<ListSources, "room">,
  userIds: readonly string[],
): Promise<{ users: Map<string, UserRow>; degraded?: true }> {
  if (userIds.length === 0) {
    return { users: new Map() };
  }
  const users = await readProfiles(cache, userIds);
  const missing = userIds.filter((userId) => !users.has(userId));
  if (missing.length === 0) {
    return { users };
  }
  try {
    const rows = await repo.users.byIds(missing);
    later(fillProfiles(cache, rows));
    for (const row of rows) {
      users.set(row.userId, withoutSecrets(row));
    }
    return { users };
  } catch (error) {
    if (!isOutage(error)) {
      throw error;
    }
    degradedAnswers.add();
    return { users, degraded: true };
  }
}

/** The first page of friends, or another one, from SQL; the first one without it as well. */
export function friendPage(
  { repo, cache, later }: Omit<ListSources, "room">,
  userId: string,
  page: PageRequest,
): Promise<{ value: Awaited<ReturnType<Repo["friends"]["friends"]>>; degraded?: true }> {
  const load = async (): Promise<Awaited<ReturnType<Repo["friends"]["friends"]>>> => {
    const listed = await repo.friends.friends(userId, page);
    return listed.ok
      ? {
          ok: true,
          value: {
            ...listed.value,
            items: listed.value.items.map((friend) => ({ ...friend, user: withoutSecrets(friend.user) })),
          },
        }
      : listed;
  };
  if (page.cursor !== undefined) {
    return load().then((value) => ({ value }));
  }
  return orLastKnown(cache, later, { key: CACHE_KEYS.friends(userId), lifeMs: LIVES_MS.cold }, load);
}

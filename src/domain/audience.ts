/**
 * Who hears of a user's coming and going: online friends, up to a number, and beyond it those who have asked for it. And what one
 * who hears keeps, so that of two pushes that overtake each other the newer one stays.
 */
import type { Rate } from "./rate.ts";

/** Pushes for one change at most. Others see it in their lists, or ask for it. Source: our own; a large group is as big. */
export const PRESENCE_PUSHES = 500;
/** Friends looked at for those pushes, page by page: whoever has more of them than this is a public figure. */
export const FRIENDS_SCANNED = 5_000;
/** Ids of those who ask for one user's presence; they stand in one row of that user's object. */
export const WATCHERS_LIMIT = 500;
/** Users that one socket asks for: with the rooms it has muted they must fit its attachment of 16 KiB (platform). */
export const WATCHED_LIMIT = 200;
/**
 * How many users a session may ask for: each is a call to another object. Enough for a few reconnects in a row, each of which asks
 * for everybody again.
 */
export const ASKING: Rate = { perSecond: 100, burst: 5 * WATCHED_LIMIT };
/** Subjects whose newest change a session remembers. */
const NEWEST_KEPT = 2_000;

/** With another watcher: the newest last, without repetition; the oldest go first when there are too many. */
export function withWatcher(watchers: readonly string[], userId: string): string[] {
  return [...watchers.filter((other) => other !== userId), userId].slice(-WATCHERS_LIMIT);
}

export function withoutWatchers(watchers: readonly string[], gone: readonly string[]): string[] {
  const left = new Set(gone);
  return watchers.filter((userId) => !left.has(userId));
}

/** Ids that a socket asks for after `userIds` were added or taken away; undefined when they are too many. */
export function watchedAfter(
  watched: readonly string[],
  userIds: readonly string[],
  wanted: boolean,
): string[] | undefined {
  const next = wanted ? [...new Set([...watched, ...userIds])] : withoutWatchers(watched, userIds);
  return next.length <= WATCHED_LIMIT ? next : undefined;
}

/** The newest change of each user that passed through a session. In memory: what overtakes does so within moments. */
export class NewestSeen {
  readonly #at = new Map<string, number>();

  /** Is this as new as what was seen of that user? Remembers it. */
  isNews(userId: string, at: number): boolean {
    if (at <= (this.#at.get(userId) ?? -1)) {
      return false;
    }
    this.#note(userId, at);
    return true;
  }

  /** The same for an answer to a question, which may repeat what was pushed. */
  isCurrent(userId: string, at: number): boolean {
    if (at < (this.#at.get(userId) ?? -1)) {
      return false;
    }
    this.#note(userId, at);
    return true;
  }

  #note(userId: string, at: number): void {
    this.#at.delete(userId);
    this.#at.set(userId, at);
    if (this.#at.size > NEWEST_KEPT) {
      const [oldest] = this.#at.keys();
      this.#at.delete(oldest ?? "");
    }
  }
}

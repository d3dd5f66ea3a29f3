/**
 * What others are told of this user's coming and going: keeps the fact of `src/domain/comings.ts` on disk, puts its news on the
 * bus until a consumer has told it, and remembers who asks for this user's presence beyond the friends who are told anyway.
 */
import { busOf } from "../bus/index.ts";
import { withoutWatchers, withWatcher } from "../domain/audience.ts";
import { arrived, departed, looked, told, viewOf, type Look, type PresenceFact } from "../domain/comings.ts";
import { PRESENCE_RENEW_MS } from "../domain/presence.ts";
import { systemClock } from "../platform/clock.ts";
import { newId } from "../platform/ids.ts";
import type { WatchedPresence } from "../platform/rpc.ts";
import { describeError, log } from "../telemetry/log.ts";
import type { SessionSqlStore } from "./SessionSqlStore.ts";

type Parts = {
  env: Env;
  userId: string;
  offlineAfterMs: number;
  store: SessionSqlStore;
  /** Wakes the session after so long at the latest. */
  armAlarm(inMs: number): Promise<void>;
  /** Has an open socket remember that this event was told; false: there is none. Sockets outlive this object's memory, not the server. */
  remember(eventId: string): boolean;
  /** Does an open socket remember that? */
  remembered(eventId: string): boolean;
};

/** News that the bus did not take are tried again after this time, which doubles up to the last. */
const RETRY_MS = 5_000;
const RETRY_MAX_MS = 60_000;
/**
 * What the bus has taken and no consumer has confirmed is published again after this time, or when its age has doubled: a queue
 * that is behind is not fed with copies. As long as a lease is renewed, so it costs no alarm of its own while somebody is here.
 */
const CONFIRM_WITHIN_MS = PRESENCE_RENEW_MS;
/** What nobody has confirmed for so long will not be: a consumer gives it up each time. Lists show what is so. */
const NEWS_LIFE_MS = 3_600_000;

export class SessionComings {
  readonly #parts: Parts;
  #failures = 0;
  /** What was given to the bus last in this life of the object, and when to do it again, epoch milliseconds. */
  #taken: { eventId: string; againAt: number } | undefined;
  /** News that were told, and still stand in the fact on disk. */
  #told: string | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  get fact(): PresenceFact | undefined {
    const stored = this.#stored;
    const eventId = stored?.news?.eventId;
    return stored !== undefined && eventId !== undefined && this.#wasTold(eventId) ? told(stored, eventId) : stored;
  }

  /** On disk. News that were told leave it with the next change or alarm: everybody who comes would cost one commit more. */
  get #stored(): PresenceFact | undefined {
    return this.#parts.store.fact("presence");
  }

  /** There was no socket before. */
  arrived(): void {
    const now = systemClock.now();
    this.#save(arrived(this.fact, now, () => newId(now)));
  }

  /** There is no socket any more. */
  departed(): void {
    this.#save(departed(this.fact, systemClock.now()));
  }

  /** From the alarm; answers when to look again. */
  look(look: Look): number | undefined {
    const { fact } = this;
    if (fact === undefined) {
      return undefined;
    }
    const now = systemClock.now();
    const next = looked(fact, look, now, this.#parts.offlineAfterMs, () => newId(now));
    this.#save(next.fact);
    return next.lookInMs;
  }

  /**
   * Puts what friends do not know yet on the bus; the alarm does it again when it is refused, and until a consumer confirms it.
   * Who only comes back meanwhile has nothing to say.
   */
  async publish(): Promise<void> {
    const news = this.fact?.news;
    if (news === undefined) {
      return;
    }
    const { env, userId, armAlarm } = this.#parts;
    const now = systemClock.now();
    if (this.#taken?.eventId === news.eventId && now < this.#taken.againAt) {
      return armAlarm(this.#taken.againAt - now);
    }
    const body = {
      event_id: news.eventId,
      event_type: news.online ? "user.online" : "user.offline",
      timestamp: Math.floor(news.at / 1000),
      user_id: userId,
      payload: { last_seen_at: news.lastSeenAt },
    };
    const ageMs = now - news.at;
    const againInMs = Math.max(CONFIRM_WITHIN_MS, ageMs);
    this.#taken = { eventId: news.eventId, againAt: now + againInMs };
    try {
      await busOf(env).publish("gochat.user-events", [{ key: userId, body }]);
    } catch (error) {
      log("warn", "presence event refused, will be repeated", { userId, error: describeError(error) });
      this.#taken = undefined;
      const inMs = Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** this.#failures);
      this.#failures += 1;
      return armAlarm(inMs);
    }
    this.#failures = 0;
    if (ageMs > NEWS_LIFE_MS) {
      this.told(news.eventId);
    } else if (this.fact?.news?.eventId === news.eventId) {
      await armAlarm(againInMs);
    }
  }

  /**
   * A consumer has told everybody whom this event concerns. Should the server die before this is on disk, it is told once more, with
   * the same id and time: a friend's object that remembers the time shows nothing, one that has slept shows what is so.
   */
  told(eventId: string): void {
    const stored = this.#stored;
    if (stored?.news?.eventId !== eventId) {
      return;
    }
    this.#told = eventId;
    if (!this.#parts.remember(eventId)) {
      this.#save(told(stored, eventId));
    }
  }

  /**
   * What others may know, with those who have asked to be told.
   * @param friendless the event that nobody else is to be told of: it counts as told, unless somebody has asked
   */
  viewFor(friendless?: string): WatchedPresence {
    const view = this.view();
    if (friendless === undefined || view.watchers.length > 0) {
      return view;
    }
    this.told(friendless);
    return { ...view, isTold: true };
  }

  /** What others may know, with those who have asked to be told. */
  view(): WatchedPresence {
    return { ...viewOf(this.fact), watchers: this.#watchers };
  }

  watch(watcherId: string, wanted: boolean): WatchedPresence {
    const watchers = this.#watchers;
    const next = wanted ? withWatcher(watchers, watcherId) : withoutWatchers(watchers, [watcherId]);
    this.#saveWatchers(next);
    return this.view();
  }

  forget(watcherIds: readonly string[]): void {
    this.#saveWatchers(withoutWatchers(this.#watchers, watcherIds));
  }

  #wasTold(eventId: string): boolean {
    return this.#told === eventId || this.#parts.remembered(eventId);
  }

  get #watchers(): string[] {
    return this.#parts.store.fact("watchers") ?? [];
  }

  #saveWatchers(watchers: string[]): void {
    const before = this.#watchers;
    // Asked for again by the one who asked last, or never asked for: nothing to write.
    if (watchers.length !== before.length || watchers.at(-1) !== before.at(-1)) {
      const { store } = this.#parts;
      store.transaction(() => store.saveFact("watchers", watchers));
    }
  }

  #save(fact: PresenceFact): void {
    const { store } = this.#parts;
    if (JSON.stringify(fact) !== JSON.stringify(this.#stored)) {
      store.transaction(() => store.saveFact("presence", fact));
    }
  }
}

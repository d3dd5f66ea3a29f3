/**
 * What friends are told of a user's coming and going. The user's object keeps the fact on disk and hands in what it sees;
 * nothing here knows sockets or clocks. Online begins with the first socket, offline comes a while after the last one and only
 * when nobody has come back, so a quick reconnect is no news at all. Each change is one piece of news with one id and a time
 * that only grows: it stays in the fact until a consumer has told it, and a newer one takes its place.
 */

/** A change that nobody has been told of yet, as far as is known. */
export type PresenceNews = {
  readonly eventId: string;
  readonly online: boolean;
  /** `changedAt` of the fact. */
  readonly at: number;
  readonly lastSeenAt: number;
};

/** Durable; all times in epoch milliseconds. Fields that an earlier release did not write are optional. */
export type PresenceFact = {
  /** As friends have been told, or are being told. */
  readonly online: boolean;
  /** Since when nobody is here; 0 while a socket is open, and when friends know that the user is away. */
  readonly awaySince: number;
  /** How often somebody has come to whom nobody was here. Only grows. */
  readonly arrivals?: number;
  /** When `online` last changed; only grows, so that pushes which overtake each other can be told apart. */
  readonly changedAt?: number;
  /** When a client was last heard of, as far as that is known. */
  readonly lastSeenAt?: number;
  readonly news?: PresenceNews;
};

/** What others may know of it. `lastSeenAt` only while offline. */
export type PresenceView = { online: boolean; at: number; lastSeenAt?: number };

const NEVER: PresenceFact = { online: false, awaySince: 0 };

/** A socket was opened, and there was none before. */
export function arrived(fact: PresenceFact = NEVER, now: number, newEventId: () => string): PresenceFact {
  const here = { ...fact, awaySince: 0, arrivals: (fact.arrivals ?? 0) + 1, lastSeenAt: now };
  return fact.online ? here : changed(here, true, now, newEventId);
}

/** The last socket has gone. A late word of an old one changes nothing. */
export function departed(fact: PresenceFact = NEVER, now: number): PresenceFact {
  return fact.online && fact.awaySince === 0 ? { ...fact, awaySince: now, lastSeenAt: now } : fact;
}

/** What the object sees when it wakes. */
export type Look = {
  readonly here: boolean;
  /** The last socket was closed just now, because its client had not been heard of since then. */
  readonly sweptSince?: number;
  /** When any device was last used, should nothing better be known. */
  readonly usedAt: number;
};

/**
 * From the alarm: is it time to be offline? Answers when to look again.
 * Nobody here, and nobody has said goodbye: the server died under an open socket, and its client is perhaps on its way back; the
 * while begins now. For a client that has been silent long enough to be swept it has passed already.
 */
export function looked(
  fact: PresenceFact,
  look: Look,
  now: number,
  offlineAfterMs: number,
  newEventId: () => string,
): { fact: PresenceFact; lookInMs?: number } {
  if (look.here || !fact.online) {
    return { fact };
  }
  const known = Math.max(fact.lastSeenAt ?? 0, look.sweptSince ?? 0);
  const away =
    fact.awaySince > 0
      ? fact
      : {
          ...fact,
          awaySince: look.sweptSince ?? now,
          lastSeenAt: look.sweptSince === undefined ? Math.max(known, look.usedAt) : known,
        };
  const waitMs = away.awaySince + offlineAfterMs - now;
  return waitMs > 0
    ? { fact: away, lookInMs: waitMs }
    : { fact: changed({ ...away, awaySince: 0 }, false, now, newEventId) };
}

/** A consumer has told this news. */
export function told(fact: PresenceFact, eventId: string): PresenceFact {
  if (fact.news?.eventId !== eventId) {
    return fact;
  }
  const { news: _told, ...rest } = fact;
  return rest;
}

export function viewOf(fact: PresenceFact = NEVER): PresenceView {
  const { online, changedAt = 0, lastSeenAt } = fact;
  return { online, at: changedAt, ...(online || lastSeenAt === undefined ? {} : { lastSeenAt }) };
}

function changed(fact: PresenceFact, online: boolean, now: number, newEventId: () => string): PresenceFact {
  const changedAt = Math.max(now, (fact.changedAt ?? 0) + 1);
  const lastSeenAt = fact.lastSeenAt ?? now;
  return { ...fact, online, changedAt, lastSeenAt, news: { eventId: newEventId(), online, at: changedAt, lastSeenAt } };
}

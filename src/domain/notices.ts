/**
 * Notifications that wait for a user's first socket (`welcome`). The event behind one may come more than once and after the
 * user has seen it: what was kept before is not kept again.
 */

/** A frame that waits, by the id of its event. */
export type Notice = { eventId: string; frame: string };

export type Notices = {
  waiting: Notice[];
  /** Events that have been kept or shown, newest last. */
  known: string[];
};

/** There is one kind so far and one of it for a user; the bounds are for what may come. */
const WAITING_LIMIT = 20;
const KNOWN_LIMIT = 50;

export const NO_NOTICES: Notices = { waiting: [], known: [] };

/** @returns undefined when this event is known; else what is to be stored, before anything is sent */
export function keep(notices: Notices, notice: Notice): Notices | undefined {
  if (notices.known.includes(notice.eventId)) {
    return undefined;
  }
  return {
    waiting: [...notices.waiting, notice].slice(-WAITING_LIMIT),
    known: [...notices.known, notice.eventId].slice(-KNOWN_LIMIT),
  };
}

/** A socket is there: what it gets, oldest first, and what is to be stored then. */
export function take(notices: Notices): { frames: string[]; left: Notices } {
  return { frames: notices.waiting.map((notice) => notice.frame), left: { ...notices, waiting: [] } };
}

/** Every number of the client core, with its unit and its source. */

/** How long an ack may take before the row is sent again: a room's cold start plus a retry, with room to spare. */
export const ACK_TIMEOUT_MS = 10_000;
/** Dedupe is promised for 7 days (DESIGN section 1); a day less, since clocks differ and a resend takes time. */
export const PENDING_MAX_AGE_MS = 6 * 24 * 3_600_000;
/** Rows that may wait for an acknowledgement, all conversations together. */
export const PENDING_LIMIT = 1_000;
/** Resends after errors that say `same`: a poison message must not block its conversation for six days. */
export const SAME_ERROR_TRIES = 5;

/** Failed sends that would still be recognised, should they turn out to have been taken. */
export const FAILED_KEPT = 256;

/** A push may overtake the ack of an own send on another flight: wait this long before asking for the range. */
export const GAP_GRACE_MS = 150;
/** Messages held back behind a gap, a conversation; beyond it they are dropped and read from the history again. */
export const BUFFER_LIMIT = 500;
/** Largest page of `GET /conversations/{id}/messages`. Source: WIRE "Things", list answers. */
export const HISTORY_PAGE = 200;
/** Range requests at a time: REST allows 50/s a user, and a reconnect may find many gaps. */
export const LOADS_AT_ONCE = 4;
/** A page that does not bring what a push has promised is asked for again so often, then the gap is reported. */
export const EMPTY_PAGE_TRIES = 3;

/** Heads in one `sync` frame: a head is at most 128 bytes, a frame at most 64 KiB. The rest is recognised by sequence. */
export const SYNC_HEADS_LIMIT = 500;
export const SYNC_TIMEOUT_MS = 10_000;

/** Source of the reconnect figures: reference/clients.md, "Rules that go with it". */
export const FIRST_RETRY_MAX_MS = 300;
export const RETRY_BASE_MS = 500;
export const RETRY_SPREAD_MAX_MS = 15_000;
export const SHUTDOWN_RETRY_MAX_MS = 2_000;
export const STABLE_AFTER_MS = 5_000;
export const PONG_GRACE_MS = 10_000;
/** From asking for a socket to `connected` (or `room`): a token refresh, DNS, TLS and a cold object. */
export const CONNECT_TIMEOUT_MS = 15_000;
/** Until `connected` says otherwise. */
export const HEARTBEAT_DEFAULT_MS = 30_000;

/** `mark-read` is sent at most once a second a conversation, the last value wins. */
export const READ_INTERVAL_MS = 1_000;
/** A pointer sent shortly before the socket was lost may be lost with it: sent again after the next sync. */
export const READ_RESEND_WINDOW_MS = 120_000;
/** Typing is shown 5 s after the last event, so once in 3 s keeps it alive. */
export const TYPING_INTERVAL_MS = 3_000;
/** A pointer that a room did not take for now is said again after this time. */
export const READ_RETRY_MS = 5_000;
/** Pointers whose refusal would still be understood. */
export const READS_ASKED = 256;
/** Readers whose newest receipt is remembered, all conversations together: those that may still overtake each other. */
export const RECEIPTS_KEPT = 2_000;

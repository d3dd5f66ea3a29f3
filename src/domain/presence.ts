/**
 * Presence as a lease. A connected user holds a key in the cache; the key runs out by itself when
 * the server dies, so nobody stays online for ever. Leaving is announced only after a while away:
 * a quick reconnect is not seen by anyone.
 */

/** Life of `user:online:{id}`. Source: DESIGN section 4, L1. */
export const PRESENCE_TTL_MS = 5 * 60_000;
/** Renewed well before its end, by an alarm that also sweeps sockets whose client is gone. */
export const PRESENCE_RENEW_MS = 2 * 60_000;
/** Away for so long is offline. Source: WIRE, `friend-offline`. */
export const OFFLINE_AFTER_MS = 30_000;
/** A client pings so often. */
export const HEARTBEAT_SECONDS = 30;
/** A socket without a ping for so long is a ghost: three heartbeats and some network. */
export const GHOST_AFTER_MS = 100_000;

/** A client that has never pinged may only listen: it is given up much later. */
export const SILENT_AFTER_MS = 15 * 60_000;

/** When to open the next socket: pure arithmetic over the close code, the number of failures and chance. */
import { FIRST_RETRY_MAX_MS, RETRY_BASE_MS, RETRY_SPREAD_MAX_MS, SHUTDOWN_RETRY_MAX_MS } from "./limits.ts";

/** Close codes that decide something here. Source: WIRE, close code = 3000 + error code. */
export const CLOSE_UNAUTHENTICATED = 4006;
export const CLOSE_RATE_LIMITED = 4007;
export const CLOSE_NOT_FOUND = 4004;
export const CLOSE_BANNED = 4017;
export const CLOSE_SESSION_REPLACED = 4018;
export const CLOSE_SLOW_CONSUMER = 4019;
export const CLOSE_SHUTDOWN = 4020;
/** The abnormal close that a client sees without a close frame, also for a refused upgrade. */
export const CLOSE_ABNORMAL = 1006;

/** What to do after a close; `afterMs` counts from now. */
export type AfterClose =
  | { kind: "retry"; afterMs: number }
  | { kind: "refresh" }
  | { kind: "stop"; reason: "banned" | "session-replaced" };

/**
 * Full jitter: the first try within 300 ms, then `500 + rand(0, min(15000, 500·2ⁿ))` ms.
 * @param failures connections lost or refused since the last stable one, 0 for the first.
 * @param random uniform in [0, 1).
 */
export function retryDelayMs(failures: number, random: () => number): number {
  if (failures <= 0) {
    return Math.floor(random() * FIRST_RETRY_MAX_MS);
  }
  const spread = Math.min(RETRY_SPREAD_MAX_MS, RETRY_BASE_MS * 2 ** Math.min(failures, 16));
  return RETRY_BASE_MS + Math.floor(random() * spread);
}

/**
 * The table of close codes.
 * @param failures as in `retryDelayMs`.
 * @param retryAfterMs what the server said, if anything.
 */
export function afterClose(code: number, failures: number, random: () => number, retryAfterMs?: number): AfterClose {
  switch (code) {
    case CLOSE_UNAUTHENTICATED:
      return { kind: "refresh" };
    case CLOSE_BANNED:
      return { kind: "stop", reason: "banned" };
    case CLOSE_SESSION_REPLACED:
      return { kind: "stop", reason: "session-replaced" };
    case CLOSE_SLOW_CONSUMER:
      // At once, by cursor; a reader that is too slow again and again falls back to the common delay.
      return { kind: "retry", afterMs: failures === 0 ? 0 : retryDelayMs(failures, random) };
    case CLOSE_SHUTDOWN:
      return { kind: "retry", afterMs: Math.floor(random() * SHUTDOWN_RETRY_MAX_MS) };
    case CLOSE_RATE_LIMITED:
      return {
        kind: "retry",
        afterMs: (retryAfterMs ?? 0) + retryDelayMs(retryAfterMs === undefined ? failures : 0, random),
      };
    default:
      return {
        kind: "retry",
        afterMs: Math.max(retryAfterMs ?? 0, retryDelayMs(failures, random)),
      };
  }
}

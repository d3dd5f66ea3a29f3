/**
 * What a thrown error means for the one who asked. Expected failures are values and never come here; what is thrown is
 * an outage of SQL, a failing object, or a bug. The texts are the platform's own, verbatim, and stand only here.
 */
import type { Fault } from "../protocol/errors.ts";

/** After an outage: long enough for a reset object or database to be back. */
const OUTAGE_RETRY_MS = 2_000;
/** An object sheds load because it gets more than it can do: wait longer, and not all at the same moment. */
const OVERLOAD_RETRY_MS = 5_000;

/**
 * Errors of calls to objects that did not come from the object's own code. Source: Cloudflare's Durable Objects
 * troubleshooting and error handling pages.
 */
const PLATFORM_TEXTS =
  /Network connection lost|caused object to be reset|code was updated|script has been upgraded|exceeded its memory limit|no longer active|internal error; reference/i;

/** Wrappers drop the flags of what they wrap; deeper than this is a cycle. */
const MAX_CAUSES = 8;

/** The fault to answer for something thrown. INTERNAL for whatever is not known to be an outage. */
export function faultOfThrown(thrown: unknown): Fault {
  let current = thrown;
  for (let depth = 0; depth < MAX_CAUSES && isObject(current); depth++) {
    if (current["overloaded"] === true) {
      return { name: "RATE_LIMITED", retryAfterMs: OVERLOAD_RETRY_MS };
    }
    if (isOutageName(current["name"]) || current["retryable"] === true || isPlatformText(current["message"])) {
      return { name: "UNAVAILABLE", retryAfterMs: OUTAGE_RETRY_MS };
    }
    current = current["cause"];
  }
  return { name: "INTERNAL" };
}

/** Our own names for "asked in vain": src/repo/failures.ts, src/telemetry/breaker.ts. */
function isOutageName(name: unknown): boolean {
  return name === "SqlUnavailable" || name === "DependencyDown";
}

function isPlatformText(message: unknown): boolean {
  return typeof message === "string" && PLATFORM_TEXTS.test(message);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

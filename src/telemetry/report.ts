/**
 * Carries this isolate's sums to the `Metrics` object. Rides on activity: whoever is busy says so, the first one arms one
 * one-shot timer for the isolate, and an isolate in which nothing happens sends nothing.
 */
import { systemClock } from "../platform/clock.ts";
import { newId } from "../platform/ids.ts";
import { metricsOf, type ObjectEnv } from "../platform/stubs.ts";
import { describeError, log } from "./log.ts";
import { collect } from "./metrics.ts";

/** From the first activity to the report of all of it. A scrape comes every 15 to 60 s. */
export const REPORT_AFTER_MS = 10_000;
/** A timer dies with the object that armed it; after this time more, another one may be armed. */
const TIMER_LOST_MS = 5_000;

/** Until when a timer is trusted to be on its way, epoch milliseconds. */
let armedUntil = 0;
let reportedAt = 0;
/** Made at first use: random numbers are not to be had while the script loads. */
let isolate: string | undefined;

/** Something was counted in an object; costs one comparison while a report is on its way. */
export function reportSoon(env: ObjectEnv, now: number): void {
  if (now >= armedUntil) {
    armedUntil = now + REPORT_AFTER_MS + TIMER_LOST_MS;
    setTimeout(() => void report(env), REPORT_AFTER_MS);
  }
}

/** Where there is no object to arm a timer (a gateway, a consumer): reports when the last report is old, else nothing. */
export function reportIfDue(env: ObjectEnv, now: number): Promise<void> | undefined {
  return now >= armedUntil && now - reportedAt >= REPORT_AFTER_MS ? report(env) : undefined;
}

/** Reports now; what could not be reported is in the next one, since totals only grow. */
export async function report(env: ObjectEnv): Promise<void> {
  const now = systemClock.now();
  armedUntil = 0;
  reportedAt = now;
  isolate ??= newId(now);
  try {
    await metricsOf(env).report({ isolate, ...collect() });
  } catch (error) {
    log("warn", "metrics not reported, the next report has them", { error: describeError(error) });
  }
}

/** For tests: as in a new isolate. */
export function forgetReports(): void {
  armedUntil = 0;
  reportedAt = 0;
  isolate = undefined;
}

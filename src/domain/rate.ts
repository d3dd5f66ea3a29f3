/** Token buckets: exact limits per user, kept in the user's own object. Pure. */

/** `perSecond` tokens come back each second, at most `burst` are saved. */
export type Rate = { perSecond: number; burst: number };

/** Tokens left at time `at` (epoch milliseconds). */
export type Bucket = { tokens: number; at: number };

/** Sums of fractions may miss a whole token by some 10⁻¹⁴; less than a microsecond of any rate. */
const ROUNDING_TOKENS = 1e-9;

export function fullBucket(rate: Rate, now: number): Bucket {
  return { tokens: rate.burst, at: now };
}

/**
 * Takes one token, or `cost` of them (at most the burst) or none. Answers 0, or the milliseconds until they are there: a client
 * that waits so long and is alone will pass.
 */
export function takeToken(bucket: Bucket, rate: Rate, now: number, cost = 1): number {
  return takeTokens([{ bucket, rate }], now, cost);
}

/**
 * Takes one token (or `cost`) of each bucket, or none at all: whoever is refused by one has not used up what
 * another limit would have let pass. Answers 0, or the milliseconds until all have one.
 */
export function takeTokens(limits: readonly { bucket: Bucket; rate: Rate }[], now: number, cost = 1): number {
  let waitMs = 0;
  for (const { bucket, rate } of limits) {
    const elapsedMs = Math.max(0, now - bucket.at);
    bucket.tokens = Math.min(rate.burst, bucket.tokens + (elapsedMs * rate.perSecond) / 1000);
    bucket.at = now;
    const missing = cost - bucket.tokens - ROUNDING_TOKENS;
    waitMs = Math.max(waitMs, missing <= 0 ? 0 : Math.ceil((missing * 1000) / rate.perSecond));
  }
  if (waitMs === 0) {
    for (const { bucket } of limits) {
      bucket.tokens -= cost;
    }
  }
  return waitMs;
}

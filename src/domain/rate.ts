/** Token buckets: exact limits per user, kept in the user's own object. Pure. */

/** `perSecond` tokens come back each second, at most `burst` are saved. */
export type Rate = { perSecond: number; burst: number };

/** Tokens left at time `at` (epoch milliseconds). */
export type Bucket = { tokens: number; at: number };

export function fullBucket(rate: Rate, now: number): Bucket {
  return { tokens: rate.burst, at: now };
}

/**
 * Takes one token. Answers 0, or the milliseconds until one is there: a client that waits so long
 * and is alone will pass.
 */
export function takeToken(bucket: Bucket, rate: Rate, now: number): number {
  const elapsedMs = Math.max(0, now - bucket.at);
  bucket.tokens = Math.min(rate.burst, bucket.tokens + (elapsedMs * rate.perSecond) / 1000);
  bucket.at = now;
  if (bucket.tokens >= 1) {
    bucket.tokens -= 1;
    return 0;
  }
  return Math.ceil(((1 - bucket.tokens) * 1000) / rate.perSecond);
}

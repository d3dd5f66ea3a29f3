/** What the platform takes, as tests ask it: written here a second time, so that a limit of ours that grows past one is seen. */

/** One queue message, bytes. Source: developers.cloudflare.com/queues/platform/limits, "Message size" 128 KB. */
export const persistBatchLimitBytes = 128_000;

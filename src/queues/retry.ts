/** When a queue message is tried again. */

/** Deliveries before a message goes to the dead letters: the first one and `max_retries` of wrangler.toml. */
export const MAX_ATTEMPTS = 6;
const BASE_S = 1;
const MAX_S = 60;

/** 1, 2, 4 … 60 seconds. No jitter: a queue spreads its batches by itself. */
export function retryDelayS(attempts: number): number {
  return Math.min(MAX_S, BASE_S * 2 ** Math.max(0, attempts - 1));
}

/** A retry of this delivery would be refused: the message is about to become a dead letter. */
export function deadNext(message: { attempts: number }): boolean {
  return message.attempts >= MAX_ATTEMPTS;
}

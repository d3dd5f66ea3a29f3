/** When a queue message is tried again, and when that ends. */
import type { TopicName } from "../protocol/events.ts";

/**
 * `max_retries` of each queue in wrangler.toml, which a test compares. Fewer than 10, since the bridge gives up by itself after
 * ten tries (BRIDGE_MAX_TRIES), and does not know what giving up means for a topic.
 */
export const MAX_RETRIES: Readonly<Record<TopicName, number>> = {
  "gochat.messages.upstream": 9,
  "gochat.messages.persist": 5,
  "gochat.tasks.fanout": 3,
  "gochat.user-events": 5,
  "gochat.friend-events": 5,
  "gochat.conversation-events": 5,
  "gochat.message-events": 5,
  "gochat.notifications": 5,
};
const BASE_S = 1;
const MAX_S = 60;

/** 1, 2, 4 … 60 seconds. No jitter: a queue spreads its batches by itself. */
export function retryDelayS(attempts: number): number {
  return Math.min(MAX_S, BASE_S * 2 ** Math.max(0, attempts - 1));
}

/** Deliveries before a message goes to the dead letters: the first one and the retries. */
export function maxAttempts(topic: TopicName): number {
  return MAX_RETRIES[topic] + 1;
}

/** A retry of this delivery would be refused: the message is about to become a dead letter. */
export function deadNext(topic: TopicName, message: { attempts: number }): boolean {
  return message.attempts >= maxAttempts(topic);
}

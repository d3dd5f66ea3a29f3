/** Dead letters: kept in SQL with their topic, for an admin to look at and replay. */
import { systemClock } from "../platform/clock.ts";
import { newId } from "../platform/ids.ts";
import { repositories } from "../repo/index.ts";
import { describeError, log } from "../telemetry/log.ts";
import { retryDelayS } from "./retry.ts";

export async function deadLetters(batch: MessageBatch, env: Env): Promise<void> {
  for (const message of batch.messages) {
    try {
      const now = systemClock.now();
      await repositories(env).deadLetters.add({
        deadLetterId: newId(now),
        queue: batch.queue,
        messageId: message.id,
        body: JSON.stringify(message.body),
        createdAt: now,
      });
      log("error", "a queue message became a dead letter", {
        topic: batch.queue,
        eventId: message.id,
      });
      message.ack();
    } catch (error) {
      log("error", "a dead letter could not be kept", { error: describeError(error) });
      message.retry({ delaySeconds: retryDelayS(message.attempts) });
    }
  }
}

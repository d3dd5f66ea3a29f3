/** Dead letters: kept in SQL with their topic, for an admin to look at and replay. */
import { systemClock } from "../platform/clock.ts";
import { newId } from "../platform/ids.ts";
import { repositories } from "../repo/index.ts";
import { describeError, log } from "../telemetry/log.ts";
import { settleEvents } from "./events.ts";
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
      await settleLetter(message.body, env);
      message.ack();
    } catch (error) {
      log("error", "a dead letter could not be kept", { error: describeError(error) });
      message.retry({ delaySeconds: retryDelayS(message.attempts) });
    }
  }
}

/**
 * The letter holds the event now, for an admin to replay: its source would publish it again for ever. Records for SQL
 * and fan-out tasks are not events; their rooms go on trying, since that data must arrive.
 */
async function settleLetter(body: unknown, env: Env): Promise<void> {
  if (typeof body === "object" && body !== null && "event_id" in body && typeof body.event_id === "string") {
    await settleEvents([body.event_id], env);
  }
}

/** Dead letters: kept in SQL with their topic, for an admin to look at and replay. */
import { DEAD_LETTER_QUEUE } from "../protocol/events.ts";
import { describeError, log } from "../telemetry/log.ts";
import { settleEvents } from "./events.ts";
import { keepLetter, topicOfBody } from "./letters.ts";
import { retryDelayS } from "./retry.ts";

export async function deadLetters(batch: MessageBatch, env: Env): Promise<void> {
  for (const message of batch.messages) {
    try {
      await keepLetter(env, message);
      log("error", "a queue message became a dead letter", {
        topic: topicOfBody(message.body) ?? DEAD_LETTER_QUEUE,
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

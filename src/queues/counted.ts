/** A queue's batch whose messages are counted as they are answered: one place for all topics. */
import type { TopicName } from "../protocol/events.ts";
import { countConsumed } from "../telemetry/consumers.ts";

/** The same batch; each message is counted by its first answer. */
export function counted(topic: TopicName, batch: MessageBatch): MessageBatch {
  return {
    queue: batch.queue,
    metadata: batch.metadata,
    messages: batch.messages.map((message) => countedMessage(topic, message)),
    ackAll: () => batch.ackAll(),
    retryAll: (options) => batch.retryAll(options),
  };
}

function countedMessage(topic: TopicName, message: Message): Message {
  let answered = false;
  const count = (outcome: "handled" | "failed"): void => {
    if (!answered) {
      answered = true;
      countConsumed(topic, outcome);
    }
  };
  return {
    id: message.id,
    timestamp: message.timestamp,
    body: message.body,
    attempts: message.attempts,
    ack: () => {
      count("handled");
      message.ack();
    },
    retry: (options) => {
      count("failed");
      message.retry(options);
    },
  };
}

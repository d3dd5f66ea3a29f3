/** A queue's batch whose messages are counted as they are answered: one place for all topics. */
import type { TopicName } from "../protocol/events.ts";
import type { CounterBy } from "../telemetry/meters.ts";
import { consumed, consumeFailures } from "../telemetry/metrics.ts";

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
  const count = (as: CounterBy): void => {
    if (!answered) {
      answered = true;
      as.add(topic);
    }
  };
  return {
    id: message.id,
    timestamp: message.timestamp,
    body: message.body,
    attempts: message.attempts,
    ack: () => {
      count(consumed);
      message.ack();
    },
    retry: (options) => {
      count(consumeFailures);
      message.retry(options);
    },
  };
}

/**
 * What a dead letter is about. A queue of dead letters says neither which queue a message comes from nor why nobody could
 * handle it, so the topic is read off the body, and the consumer that gives up leaves a note beforehand.
 */
import { systemClock } from "../platform/clock.ts";
import { newId } from "../platform/ids.ts";
import { DEAD_LETTER_QUEUE, TOPICS, topicOf, topicOfQueue, type TopicName } from "../protocol/events.ts";
import { repositories } from "../repo/index.ts";
import type { DeadLetterRow } from "../repo/types.ts";
import { describeError, log } from "../telemetry/log.ts";
import { maxAttempts } from "./retry.ts";

type Fields = Record<string, unknown>;

function fieldsOf(body: unknown): Fields {
  return typeof body === "object" && body !== null ? (body as Fields) : {};
}

/** The topic that such a body travels on, or undefined for one that this release does not know. */
export function topicOfBody(body: unknown): TopicName | undefined {
  const { event_type, records, fromSeqId, messages, command } = fieldsOf(body);
  if (typeof event_type === "string") {
    return topicOf(event_type);
  }
  if (Array.isArray(records)) {
    return "gochat.messages.persist";
  }
  if (Array.isArray(messages) && fromSeqId !== undefined) {
    return "gochat.tasks.fanout";
  }
  return command === undefined ? undefined : "gochat.messages.upstream";
}

/**
 * What makes two letters one: an event's id; the conversation for records and fan-out tasks, which its room sends again until
 * they arrive (else a room that cannot be served would fill the table); a send's own key. Else the queue's id.
 */
export function keyOfBody(body: unknown, messageId: string): string {
  const { event_id, conversationId, command } = fieldsOf(body);
  if (typeof event_id === "string") {
    return event_id;
  }
  const topic = topicOfBody(body);
  if (topic === undefined || typeof conversationId !== "string") {
    return messageId;
  }
  const { clientMsgId, actor } = fieldsOf(command);
  const { userId } = fieldsOf(actor);
  return topic === "gochat.messages.upstream"
    ? `${topic}:${conversationId}:${String(userId)}:${String(clientMsgId)}`
    : `${topic}:${conversationId}`;
}

/** Where a kept letter goes when it is replayed, or undefined: no consumer of this release knows it. */
export function topicOfLetter(letter: Pick<DeadLetterRow, "queue" | "body">): TopicName | undefined {
  return topicOfQueue(letter.queue) ?? topicOfBody(JSON.parse(letter.body));
}

/** Keeps what came to the queue of dead letters. The same thing again is the same letter, open once more. */
export async function keepLetter(env: Env, message: { id: string; body: unknown }, reason?: string): Promise<void> {
  const topic = topicOfBody(message.body);
  await keep(env, topic, message, topic === undefined ? 1 : maxAttempts(topic), reason);
}

/**
 * For a consumer that is about to give up: why. The message goes to the dead letters after it, so a note that cannot be
 * written only leaves the letter without its reason.
 */
export async function noteGivingUp(
  env: Env,
  topic: TopicName,
  message: { id: string; body: unknown; attempts: number },
  reason: unknown,
): Promise<void> {
  try {
    await keep(env, topic, message, message.attempts, typeof reason === "string" ? reason : describeError(reason));
  } catch (error) {
    log("warn", "the reason of a dead letter was not kept", { topic, error: describeError(error) });
  }
}

async function keep(
  env: Env,
  topic: TopicName | undefined,
  message: { id: string; body: unknown },
  attempts: number,
  error: string | undefined,
): Promise<void> {
  const now = systemClock.now();
  await repositories(env).deadLetters.add({
    deadLetterId: newId(now),
    queue: topic === undefined ? DEAD_LETTER_QUEUE : TOPICS[topic].queue,
    messageId: keyOfBody(message.body, message.id),
    body: JSON.stringify(message.body),
    attempts,
    error,
    createdAt: now,
  });
}

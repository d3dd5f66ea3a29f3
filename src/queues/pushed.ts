/**
 * Records that the bridge brings from Kafka, for the same consumers that queues feed: each is acknowledged or wanted again by itself. The
 * bridge brings what is wanted again before anything that stands behind it in its partition, so the order of a key holds.
 */
import * as z from "zod";
import { systemClock } from "../platform/clock.ts";
import { DEAD_LETTER_QUEUE, TOPICS, type TopicName } from "../protocol/events.ts";
import { describeError, log } from "../telemetry/log.ts";
import { deadLetters } from "./deadLetters.ts";
import { consume } from "./index.ts";
import { keepLetter, topicOfBody } from "./letters.ts";
import { maxAttempts, retryDelayS } from "./retry.ts";

/** Where the bridge puts what this Worker would not answer for, and brings it from. */
export const DEAD_LETTER_TOPIC = "gochat.dead-letters";

export type PushedRecord = { offset: string; key?: string | null; value: string };

export type Push = {
  topic: TopicName | typeof DEAD_LETTER_TOPIC;
  partition: number;
  records: readonly PushedRecord[];
  /** How often these records have been brought, this time included. */
  attempt: number;
};

/** What is to be brought again, and when; nothing: everything is done. */
export type PushOutcome = { failed: string[]; retryAfterMs: number };

type Later = Pick<ExecutionContext, "waitUntil">;

/** A record in the shape of a queue's message. Whoever answers first is heard. */
class PushedMessage implements Message {
  readonly id: string;
  readonly timestamp: Date;
  readonly body: unknown;
  readonly attempts: number;
  readonly offset: string;
  #answer: { again: false } | { again: true; delayS: number } | undefined;

  constructor(push: Push, record: PushedRecord, timestamp: Date) {
    this.id = `${push.topic}/${push.partition}/${record.offset}`;
    this.timestamp = timestamp;
    this.body = parsed(record.value);
    this.attempts = push.attempt;
    this.offset = record.offset;
  }

  ack(): void {
    this.#answer ??= { again: false };
  }

  retry(options?: QueueRetryOptions): void {
    this.#answer ??= { again: true, delayS: options?.delaySeconds ?? retryDelayS(this.attempts) };
  }

  get answered(): boolean {
    return this.#answer !== undefined;
  }

  /** Seconds until it is wanted again; undefined when it is done. */
  get againInS(): number | undefined {
    return this.#answer?.again === true ? this.#answer.delayS : undefined;
  }
}

/** Never throws: what went wrong is wanted again, and in the end a dead letter. */
export async function consumePushed(push: Push, env: Env, ctx: Later): Promise<PushOutcome> {
  const now = new Date(systemClock.now());
  const messages = push.records.map((record) => new PushedMessage(push, record, now));
  const { topic } = push;
  if (topic === DEAD_LETTER_TOPIC) {
    await keepAll(messages, env);
    return outcomeOf(messages);
  }
  // No retry mends what is not of this topic at all.
  const strange = messages.filter((message) => !belongs(message, topic));
  await handle(
    messages.filter((message) => !strange.includes(message)),
    TOPICS[topic].queue,
    env,
    ctx,
  );
  const given = messages.filter(({ againInS, attempts }) => againInS !== undefined && attempts >= maxAttempts(topic));
  const letters = [...strange, ...given].map((message) => new PushedLetter(message));
  if (letters.length > 0) {
    await deadLetters(batchOf(DEAD_LETTER_QUEUE, letters), env);
  }
  // A letter that could not be kept is not lost: its record comes again.
  const kept = new Set<PushedMessage>(letters.filter(({ isKept }) => isKept).map(({ of }) => of));
  return outcomeOf(messages.filter((message) => !kept.has(message)));
}

/** All at once; when the consumer fails as a whole, each alone: one bad record must not take the others along. */
async function handle(messages: readonly PushedMessage[], queue: string, env: Env, ctx: Later): Promise<void> {
  if (messages.length === 0) {
    return;
  }
  try {
    await consume(batchOf(queue, messages), env, ctx);
  } catch (error) {
    log("error", "a consumer failed", { topic: queue, count: messages.length, error: describeError(error) });
    const open = messages.filter((message) => !message.answered);
    for (const message of open) {
      if (messages.length === 1) {
        message.retry();
      } else {
        await handle([message], queue, env, ctx);
      }
    }
  }
}

/** A record that nobody can handle, on its way to the letters. */
class PushedLetter implements Message {
  readonly of: PushedMessage;
  readonly attempts = 1;
  isKept = false;

  constructor(of: PushedMessage) {
    this.of = of;
  }

  get id(): string {
    return this.of.id;
  }

  get timestamp(): Date {
    return this.of.timestamp;
  }

  get body(): unknown {
    return this.of.body;
  }

  ack(): void {
    this.isKept = true;
    this.of.ack();
  }

  retry(): void {
    this.of.retry();
  }
}

/** What the bridge puts down when it gives up on a record by itself. */
const Letter = z.object({ topic: z.string(), key: z.string().nullish(), value: z.string(), error: z.string() });

async function keepAll(messages: readonly PushedMessage[], env: Env): Promise<void> {
  for (const message of messages) {
    const letter = Letter.safeParse(message.body);
    const [body, error] = letter.success ? [parsed(letter.data.value), letter.data.error] : [message.body, undefined];
    try {
      await keepLetter(env, { id: message.id, body }, error);
      log("error", "a record became a dead letter", { topic: topicOfBody(body) ?? DEAD_LETTER_TOPIC });
      message.ack();
    } catch (failure) {
      log("error", "a dead letter could not be kept", { error: describeError(failure) });
      message.retry();
    }
  }
}

function outcomeOf(messages: readonly PushedMessage[]): PushOutcome {
  const again = messages.filter(({ againInS }) => againInS !== undefined);
  return {
    failed: again.map(({ offset }) => offset),
    retryAfterMs: 1_000 * Math.max(0, ...again.map(({ againInS }) => againInS ?? 0)),
  };
}

function belongs(message: PushedMessage, topic: TopicName): boolean {
  const found = topicOfBody(message.body);
  // An event that this release does not know is the consumer's to put off: the next release may know it.
  return found === topic || (found === undefined && isEvent(message.body));
}

function isEvent(body: unknown): boolean {
  return typeof body === "object" && body !== null && "event_type" in body;
}

/** The value that was produced; its text, where that is no JSON. */
function parsed(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

function batchOf(queue: string, messages: readonly Message[]): MessageBatch {
  return {
    queue,
    messages,
    metadata: { metrics: { backlogCount: 0, backlogBytes: 0 } },
    // No consumer of ours answers for all at once.
    ackAll: () => messages.forEach((message) => message.ack()),
    retryAll: (options) => messages.forEach((message) => message.retry(options)),
  };
}

/**
 * What all consumers of domain events share: decode by the schema, handle, tell the source that it
 * is done, acknowledge or retry each message by itself. Events may come twice and in any order.
 */
import { EVENTS, type EventOf, type EventTopic } from "../protocol/events.ts";
import { roomOf } from "../platform/stubs.ts";
import { repositories } from "../repo/index.ts";
import { describeError, log } from "../telemetry/log.ts";
import { noteGivingUp } from "./letters.ts";
import { deadNext, retryDelayS } from "./retry.ts";

/** Presence stands in no outbox: its handler tells the user's object that it has come. */
const WITHOUT_OUTBOX: ReadonlySet<string> = new Set(["user.online", "user.offline"]);

export type EventHandler<Topic extends EventTopic> = (event: EventOf<Topic>, env: Env) => Promise<void>;

export async function consumeEvents<Topic extends EventTopic>(
  topic: Topic,
  batch: MessageBatch,
  env: Env,
  handle: EventHandler<Topic>,
): Promise<void> {
  const done: string[] = [];
  await Promise.all(
    batch.messages.map(async (message) => {
      const parsed = EVENTS[topic].safeParse(message.body);
      if (!parsed.success) {
        // Perhaps an event of a newer release: later, and in the end to the dead letters.
        log("error", "an event does not fit its schema", { topic, eventId: message.id });
        await tryAgain(topic, message, env, "does not fit its schema");
        return;
      }
      const event = parsed.data as EventOf<Topic>;
      try {
        await handle(event, env);
        if (!WITHOUT_OUTBOX.has(event.event_type)) {
          done.push(event.event_id);
        }
        message.ack();
      } catch (error) {
        log("warn", "an event was not handled, will be repeated", {
          topic,
          eventId: event.event_id,
          attempts: message.attempts,
          error: describeError(error),
        });
        await tryAgain(topic, message, env, error);
      }
    }),
  );
  await settleEvents(done, env);
}

/** Later; the last time the reason is put down first, since the queue of dead letters does not tell it. */
async function tryAgain(topic: EventTopic, message: Message, env: Env, reason: unknown): Promise<void> {
  if (deadNext(topic, message)) {
    await noteGivingUp(env, topic, message, reason);
  }
  message.retry({ delaySeconds: retryDelayS(message.attempts) });
}

/** An event of a room is named `{conversationId}:{outbox row}`; any other began in SQL. */
export async function settleEvents(eventIds: readonly string[], env: Env): Promise<void> {
  const byRoom = new Map<string, number[]>();
  const fromSql: string[] = [];
  for (const eventId of eventIds) {
    const colon = eventId.lastIndexOf(":");
    if (colon < 0) {
      fromSql.push(eventId);
      continue;
    }
    const conversationId = eventId.slice(0, colon);
    const ids = byRoom.get(conversationId) ?? [];
    ids.push(Number(eventId.slice(colon + 1)));
    byRoom.set(conversationId, ids);
  }
  try {
    await Promise.all([
      ...[...byRoom].map(([conversationId, ids]) => roomOf(env, conversationId).settled(ids)),
      repositories(env).outbox.published(fromSql),
    ]);
  } catch (error) {
    // The source sends them again; handling them twice changes nothing.
    log("warn", "events handled but not settled", {
      count: eventIds.length,
      error: describeError(error),
    });
  }
}

/** From a queue's batch to the consumer of its topic. */
import type { UpstreamSend } from "../bus/upstream.ts";
import type { FanoutTask, PersistBatch } from "../domain/records.ts";
import { topicOfQueue } from "../protocol/events.ts";
import { systemClock } from "../platform/clock.ts";
import { reportIfDue } from "../telemetry/report.ts";
import { onConversationEvent } from "./conversationEvents.ts";
import { counted } from "./counted.ts";
import { deadLetters } from "./deadLetters.ts";
import { consumeEvents } from "./events.ts";
import { fanout } from "./fanout.ts";
import { onFriendEvent } from "./friendEvents.ts";
import { onMessageEvent } from "./messageEvents.ts";
import { onNotification } from "./notifications.ts";
import { persist } from "./persist.ts";
import { upstream } from "./upstream.ts";
import { userEventHandler } from "./userEvents.ts";

/**
 * Bodies of the internal topics are written by our own objects only, so their types are asserted
 * here; events that others may write as well are checked by their schemas.
 */
export function consume(arrived: MessageBatch, env: Env, ctx: Pick<ExecutionContext, "waitUntil">): Promise<void> {
  const topic = topicOfQueue(arrived.queue);
  if (topic === undefined) {
    return deadLetters(arrived, env);
  }
  const reported = reportIfDue(env, systemClock.now());
  if (reported !== undefined) {
    ctx.waitUntil(reported);
  }
  const batch = counted(topic, arrived);
  switch (topic) {
    case "gochat.messages.upstream":
      return upstream(batch as MessageBatch<UpstreamSend>, env);
    case "gochat.messages.persist":
      return persist(batch as MessageBatch<PersistBatch>, env);
    case "gochat.tasks.fanout":
      return fanout(batch as MessageBatch<FanoutTask>, env, (work) => ctx.waitUntil(work));
    case "gochat.user-events":
      return consumeEvents(topic, batch, env, userEventHandler(env));
    case "gochat.friend-events":
      return consumeEvents(topic, batch, env, onFriendEvent);
    case "gochat.conversation-events":
      return consumeEvents(topic, batch, env, onConversationEvent);
    case "gochat.message-events":
      return consumeEvents(topic, batch, env, onMessageEvent);
    case "gochat.notifications":
      return consumeEvents(topic, batch, env, onNotification);
  }
}

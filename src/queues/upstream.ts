/**
 * `gochat.messages.upstream`: sends that were put on the bus first (UPSTREAM = topic). The room
 * gives the sequence; the sender's session turns the outcome into `message-ack {status:"sent"}`.
 */
import { busOf } from "../bus/index.ts";
import type { UpstreamSend } from "../bus/upstream.ts";
import { newId } from "../platform/ids.ts";
import { systemClock } from "../platform/clock.ts";
import { roomOf, sessionOf } from "../platform/stubs.ts";
import type { LandedSend } from "../platform/rpc.ts";
import { err, ERRORS } from "../protocol/errors.ts";
import type { EventOfType } from "../protocol/events.ts";
import { describeError, log } from "../telemetry/log.ts";
import { noteGivingUp } from "./letters.ts";
import { deadNext, retryDelayS } from "./retry.ts";

const TOPIC = "gochat.messages.upstream";

type Send = Message<UpstreamSend>;

export async function upstream(batch: MessageBatch<UpstreamSend>, env: Env): Promise<void> {
  const byRoom = Map.groupBy(batch.messages, (message) => message.body.conversationId);
  await Promise.all([...byRoom].map(([conversationId, messages]) => appendTo(conversationId, messages, env)));
}

/**
 * All sends of a room in one call, in their order. What the room wants later comes again through the bus, before anything behind it:
 * were the sender told to repeat it, it would arrive behind sends that are on the bus already.
 */
async function appendTo(conversationId: string, messages: Send[], env: Env): Promise<void> {
  try {
    const outcomes = await roomOf(env, conversationId).append(messages.map((message) => message.body.command));
    const answered = new Map<string, LandedSend[]>();
    for (const [index, message] of messages.entries()) {
      const { clientMsgId, actor } = message.body.command;
      const outcome = outcomes[index] ?? err({ name: "INTERNAL" });
      if (!outcome.ok && ERRORS[outcome.fault.name].retry === "later") {
        await later(conversationId, message, outcome.fault.name, env);
        continue;
      }
      answered.set(actor.userId, [...(answered.get(actor.userId) ?? []), { clientMsgId, outcome }]);
      message.ack();
    }
    await Promise.all([...answered].map(([userId, landed]) => tell(userId, conversationId, landed, env)));
  } catch (error) {
    log("warn", "upstream sends failed, will be repeated", {
      conversationId,
      count: messages.length,
      error: describeError(error),
    });
    for (const message of messages) {
      await later(conversationId, message, error, env);
    }
  }
}

async function later(conversationId: string, message: Send, reason: unknown, env: Env): Promise<void> {
  if (deadNext(TOPIC, message)) {
    await noteGivingUp(env, TOPIC, message, reason);
    await tellOfFailure(env, { conversationId, command: message.body.command });
  }
  message.retry({ delaySeconds: retryDelayS(message.attempts) });
}

/** The sender's object hands the answers on. It has the message already; without an answer the client asks again, by its key. */
async function tell(userId: string, conversationId: string, landed: LandedSend[], env: Env): Promise<void> {
  try {
    await sessionOf(env, userId).sendsLanded(conversationId, landed);
  } catch (error) {
    log("warn", "a sender was not told of its sends", { userId, conversationId, error: describeError(error) });
  }
}

/** The sender waits for an acknowledgement that does not come any more, unless somebody replays the letter. */
async function tellOfFailure(env: Env, { conversationId, command }: UpstreamSend): Promise<void> {
  const now = systemClock.now();
  const body: EventOfType<"message.send.failed"> = {
    event_id: newId(now),
    event_type: "message.send.failed",
    timestamp: Math.floor(now / 1000),
    conversation_id: conversationId,
    payload: {
      sender_id: command.actor.userId,
      client_msg_id: command.clientMsgId,
      code: ERRORS.UNAVAILABLE.code,
    },
  };
  try {
    await busOf(env).publish("gochat.message-events", [{ key: conversationId, body }]);
  } catch (error) {
    log("warn", "a sender was not told that a send failed", { conversationId, error: describeError(error) });
  }
}

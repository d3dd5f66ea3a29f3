/**
 * `gochat.messages.upstream`: sends that were put on the bus first (UPSTREAM = topic). The room
 * gives the sequence; the sender's session turns the outcome into `message-ack {status:"sent"}`.
 */
import { busOf } from "../bus/index.ts";
import type { SendCommand } from "../domain/commands.ts";
import { messageFor } from "../domain/records.ts";
import { newId } from "../platform/ids.ts";
import { systemClock } from "../platform/clock.ts";
import { roomOf } from "../platform/stubs.ts";
import { ERRORS, errorFrame } from "../protocol/errors.ts";
import type { EventOfType } from "../protocol/events.ts";
import type { ServerFrame } from "../protocol/frames.ts";
import { describeError, log } from "../telemetry/log.ts";
import { pushTo } from "./push.ts";
import { noteGivingUp } from "./letters.ts";
import { deadNext, retryDelayS } from "./retry.ts";

const TOPIC = "gochat.messages.upstream";

/** Body of one upstream message. */
export type UpstreamSend = { conversationId: string; command: SendCommand };

export async function upstream(batch: MessageBatch<UpstreamSend>, env: Env): Promise<void> {
  const byRoom = Map.groupBy(batch.messages, (message) => message.body.conversationId);
  await Promise.all(
    [...byRoom].map(async ([conversationId, messages]) => {
      const sends = messages.map((message) => message.body.command);
      try {
        const outcomes = await roomOf(env, conversationId).append(sends);
        for (const [index, outcome] of outcomes.entries()) {
          const command = sends[index];
          if (command === undefined) {
            continue;
          }
          const { clientMsgId, actor } = command;
          const frame: ServerFrame = outcome.ok
            ? {
                type: "message-ack",
                data: { ...messageFor(outcome.value, actor.userId), clientMsgId, status: "sent" },
              }
            : {
                type: "message-error",
                data: {
                  clientMsgId,
                  conversationId,
                  error: errorFrame(outcome.fault, newId(systemClock.now())).data.error,
                },
              };
          await pushTo(env, [actor.userId], [frame]);
        }
        messages.forEach((message) => message.ack());
      } catch (error) {
        log("warn", "upstream sends failed, will be repeated", {
          conversationId,
          count: sends.length,
          error: describeError(error),
        });
        for (const message of messages) {
          if (deadNext(TOPIC, message)) {
            await noteGivingUp(env, TOPIC, message, error);
            await tellSender(env, message.body);
          }
          message.retry({ delaySeconds: retryDelayS(message.attempts) });
        }
      }
    }),
  );
}

/** The sender waits for an acknowledgement that does not come any more, unless somebody replays the letter. */
async function tellSender(env: Env, { conversationId, command }: UpstreamSend): Promise<void> {
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

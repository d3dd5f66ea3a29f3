/**
 * `gochat.messages.upstream`: sends that were put on the bus first (UPSTREAM = topic). The room
 * gives the sequence; the sender's session turns the outcome into `message-ack {status:"sent"}`.
 */
import type { SendCommand } from "../domain/commands.ts";
import { messageFor } from "../domain/records.ts";
import { newId } from "../platform/ids.ts";
import { systemClock } from "../platform/clock.ts";
import { roomOf } from "../platform/stubs.ts";
import { errorFrame } from "../protocol/errors.ts";
import type { ServerFrame } from "../protocol/frames.ts";
import { describeError, log } from "../telemetry/log.ts";
import { pushTo } from "./push.ts";
import { retryDelayS } from "./retry.ts";

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
        messages.forEach((message) => message.retry({ delaySeconds: retryDelayS(message.attempts) }));
      }
    }),
  );
}

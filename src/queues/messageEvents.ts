/** `gochat.message-events`: receipts to the senders in the range, failures to the sender. */
import { repositories } from "../repo/index.ts";
import { roomOf, sessionOf } from "../platform/stubs.ts";
import { err, ERROR_NAMES, ERRORS } from "../protocol/errors.ts";
import type { EventOf } from "../protocol/events.ts";
import type { EventHandler } from "./events.ts";
import { pushTo } from "./push.ts";

type Event = EventOf<"gochat.message-events">;

/** Messages looked at for their senders; a longer range is older than anybody waits for. */
const RECEIPT_RANGE = 10_000;
/** Senders told of one reader, the latest first: each is a call, and a big group has many readers. */
const RECEIPT_SENDERS = 500;

export const onMessageEvent: EventHandler<"gochat.message-events"> = async (event, env) => {
  const conversationId = event.conversation_id ?? "";
  switch (event.event_type) {
    case "message.read":
      return receipts(event, conversationId, env);
    case "message.persist.failed": {
      const { sender_id, client_msg_id, message_id, seq_id } = event.payload;
      const data = {
        clientMsgId: client_msg_id,
        conversationId,
        messageId: message_id,
        seqId: seq_id,
      };
      return pushTo(env, [sender_id], [{ type: "message-persist-failed", data }]);
    }
    case "message.send.failed":
      return sendFailed(event, conversationId, env);
    case "message.recalled":
    case "message.edited":
      // Readers are told by the fan-out (`messageNotice.ts`), reactions too; these events are for other consumer groups.
      return undefined;
  }
};

/**
 * Each sender in the range once, never the reader: the log knows the newest, SQL who wrote before it begins. A sender who has left
 * the conversation is not told.
 */
async function receipts(
  event: Extract<Event, { event_type: "message.read" }>,
  conversationId: string,
  env: Env,
): Promise<void> {
  const userId = event.user_id ?? "";
  const { from_seq: from, to_seq: to } = event.payload;
  const after = Math.max(from, to - RECEIPT_RANGE);
  const { userIds, firstSeqId } = await roomOf(env, conversationId).senders(after, to, RECEIPT_SENDERS);
  const senders = new Set(userIds);
  if (after + 1 < firstSeqId && senders.size < RECEIPT_SENDERS) {
    const end = Math.min(to, firstSeqId - 1);
    const earlier = await repositories(env).messages.senders(conversationId, after, end, RECEIPT_SENDERS);
    earlier.slice(0, RECEIPT_SENDERS - senders.size).forEach((sender) => senders.add(sender));
  }
  senders.delete(userId);
  const data = { conversationId, userId, readSeqId: to };
  await pushTo(env, [...senders], [{ type: "message-read-receipt", data }]);
}

/** A send that was taken onto the bus and did not reach its room. */
function sendFailed(
  event: Extract<Event, { event_type: "message.send.failed" }>,
  conversationId: string,
  env: Env,
): Promise<void> {
  const { sender_id: senderId, client_msg_id: clientMsgId, code } = event.payload;
  const name = ERROR_NAMES.find((known) => ERRORS[known].code === code) ?? "INTERNAL";
  return sessionOf(env, senderId).sendsLanded(conversationId, [
    { clientMsgId, outcome: err({ name }), requestId: event.event_id },
  ]);
}

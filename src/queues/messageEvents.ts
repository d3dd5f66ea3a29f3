/** `gochat.message-events`: receipts to the senders in the range, failures to the sender. */
import { olderReceiptsUpTo, RECEIPT_SENDERS, receiptsAfter, receiptSenders } from "../domain/receipts.ts";
import { repositories } from "../repo/index.ts";
import { roomOf, sessionOf } from "../platform/stubs.ts";
import { err, ERROR_NAMES, ERRORS } from "../protocol/errors.ts";
import type { EventOf } from "../protocol/events.ts";
import type { EventHandler } from "./events.ts";
import { pushTo } from "./push.ts";

type Event = EventOf<"gochat.message-events">;

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
  const after = receiptsAfter(from, to);
  const logged = await roomOf(env, conversationId).senders(after, to, RECEIPT_SENDERS);
  const end = olderReceiptsUpTo(after, to, logged);
  const older =
    end === undefined ? [] : await repositories(env).messages.senders(conversationId, after, end, RECEIPT_SENDERS);
  const senders = receiptSenders(userId, logged.userIds, older);
  const data = { conversationId, userId, readSeqId: to };
  await pushTo(env, senders, [{ type: "message-read-receipt", data }]);
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

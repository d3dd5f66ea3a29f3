import { WORLD_ROOM_ID, type StoredMessage } from "../records.ts";

/** A message of the world, but for what a test says of it. */
export function storedMessage(seqId: number, fields: Partial<StoredMessage> = {}): StoredMessage {
  return {
    messageId: `m${seqId}`,
    conversationId: WORLD_ROOM_ID,
    seqId,
    senderId: "s",
    messageType: "text",
    content: `content ${seqId}`,
    createdAt: 1_800_000_000_000,
    clientMsgId: `k${seqId}`,
    ...fields,
  };
}

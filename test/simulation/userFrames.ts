/** Frames of a user's object, as objects. */
import type { StoredMessage } from "../../src/domain/records.ts";
import { toWireError, type Fault } from "../../src/protocol/errors.ts";
import type { ServerFrame } from "../../src/protocol/frames.ts";
import type { Message } from "../../src/protocol/things.ts";

/** As src/platform/frameText.ts: nobody but the sender's own sockets learns the sender's key. */
const hidden = new WeakMap<StoredMessage, Message>();

function withoutKey(message: StoredMessage): Message {
  const known = hidden.get(message);
  if (known !== undefined) {
    return known;
  }
  const { clientMsgId: _hidden, ...rest } = message;
  hidden.set(message, rest);
  return rest;
}

export function messagesFrame(messages: readonly StoredMessage[]): ServerFrame {
  const [first] = messages;
  return messages.length === 1 && first !== undefined
    ? { type: "new-message", data: { message: withoutKey(first) } }
    : { type: "new-messages", data: { messages: messages.map(withoutKey) } };
}

export function messageError(clientMsgId: string, conversationId: string, fault: Fault): ServerFrame {
  return { type: "message-error", data: { clientMsgId, conversationId, error: toWireError(fault, "r") } };
}

/** Frames as text, serialised once for many receivers. */
import type { StoredMessage } from "../domain/records.ts";

/** One message's JSON without its sender's key, kept as long as the message itself is. */
const texts = new WeakMap<StoredMessage, string>();

function messageText(message: StoredMessage): string {
  const known = texts.get(message);
  if (known !== undefined) {
    return known;
  }
  // `undefined` fields do not appear in JSON.
  const text = JSON.stringify({ ...message, clientMsgId: undefined });
  texts.set(message, text);
  return text;
}

/** `new-message` for one, `new-messages` for several; in a big room always the latter. */
export function messagesFrame(messages: readonly StoredMessage[], always = false): string {
  const [first] = messages;
  return messages.length === 1 && first !== undefined && !always
    ? `{"type":"new-message","data":{"message":${messageText(first)}}}`
    : `{"type":"new-messages","data":{"messages":[${messages.map(messageText).join(",")}]}}`;
}

/** Events of the core on their way to the application: list, handles of sends, listeners. */
import type { ClientEvent } from "./core/index.ts";
import { ChatError } from "./errors.ts";
import { emitFrame, type Emitter } from "./events.ts";
import type { ConversationList } from "./list.ts";
import type { SentBook } from "./sentBook.ts";

export type RelayPorts = {
  list: ConversationList;
  sends: SentBook;
  emitter: Emitter;
  state(event: Extract<ClientEvent, { type: "state" }>): void;
  synced(): void;
};

export function relay(event: ClientEvent, ports: RelayPorts): void {
  const { list, sends, emitter } = ports;
  list.apply(event);
  switch (event.type) {
    case "message":
      return emitter.emit("message", event);
    case "accepted":
      sends.accepted(event);
      return emitter.emit("accepted", event);
    case "failed": {
      const { clientMsgId, conversationId } = event;
      const error = new ChatError(event.error);
      sends.failed(clientMsgId, error);
      return emitter.emit("failed", { clientMsgId, conversationId, error });
    }
    case "state":
      return ports.state(event);
    case "synced":
      ports.synced();
      return emitter.emit("synced", event);
    case "item": {
      const { conversationId } = event.item.conversation;
      return emitter.emit("conversation", { kind: "synced", conversationId, item: event.item });
    }
    case "removed":
      return emitter.emit("conversation", { kind: "removed", conversationId: event.conversationId });
    case "gap":
      return emitter.emit("gap", event);
    case "frame":
      if (event.frame.type === "message-confirmed") {
        sends.stored(event.frame.data.clientMsgId);
      }
      return emitFrame(emitter, event.frame);
  }
}

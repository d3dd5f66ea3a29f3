/** What an application can listen to, and how listeners are called. */
import type { ConnectionState, StateReason } from "./core/index.ts";
import { ChatError } from "./errors.ts";
import type { Logger } from "./options.ts";
import type {
  Conversation,
  ConversationItem,
  FriendRequest,
  Member,
  Message,
  ServerFrame,
  ServerFrameOf,
  User,
} from "./protocol.ts";

/** How the connection stands. */
export type Connection = {
  state: ConnectionState;
  /** Since when, epoch milliseconds. */
  since: number;
  /** When the next try begins, epoch milliseconds. */
  retryAt?: number;
  reason?: StateReason;
};

type Data<Type extends ServerFrame["type"]> = Extract<ServerFrameOf<Type>, { data: unknown }>["data"];

export type ChatEvents = {
  /** In order and once per conversation. `live`: just pushed, not read back after an absence. */
  message: { message: Message; conversationId: string; live: boolean };
  /** An edit, or a message that changed while this client was away. */
  updated: { message: Message };
  recalled: Data<"message-recalled">;
  reaction: Data<"message-reaction">;
  receipt: Data<"message-read-receipt">;
  typing: Data<"typing">;
  presence: { userId: string; online: boolean; lastSeenAt?: number };
  friend:
    | { kind: "request"; request: FriendRequest; user: User }
    | { kind: "accepted"; request: FriendRequest; user: User; conversation: Conversation }
    | { kind: "rejected"; requestId: string }
    | { kind: "removed"; userId: string };
  conversation:
    | { kind: "created" | "joined" | "updated"; conversationId: string; conversation: Conversation }
    | { kind: "synced"; conversationId: string; item: ConversationItem }
    | { kind: "removed"; conversationId: string; reason?: "removed" | "left" | "dismissed" };
  member:
    | { kind: "added"; conversationId: string; members: Member[]; operatorId: string }
    | { kind: "removed"; conversationId: string; userId: string; operatorId: string }
    | { kind: "role"; conversationId: string; userId: string; role: 1 | 2 | 3 };
  notice: Data<"notification">;
  /** An own send is durable and has its place. */
  accepted: { clientMsgId: string; conversationId: string; messageId: string; seqId: number; createdAt: number };
  /** An own send is in SQL as well. */
  stored: Data<"message-confirmed">;
  /** SQL did not take it for now; it stays accepted and is tried again by the server. */
  storeFailed: Data<"message-persist-failed">;
  failed: { clientMsgId: string; conversationId: string; error: ChatError };
  /** Sequences that the server could not give, neither by push nor by history. */
  gap: { conversationId: string; fromSeqId: number; toSeqId: number };
  /** After each (re)connect: everything that was missed has been asked for. */
  synced: { serverTime: number };
  connection: Connection;
  /** A frame of this client was refused, or the server has something to complain about. */
  error: { error: ChatError; ref?: string };
  /** Every frame that is not a message, an ack or an answer to this client, as it came. */
  frame: ServerFrame;
};

export type ChatEventName = keyof ChatEvents;
export type Listener<Name extends ChatEventName> = (event: ChatEvents[Name]) => void;

type AnyListener = (event: never) => void;

/** Repetitions come within minutes; notifications are few. */
const NOTICED_LIMIT = 100;

export class Emitter {
  readonly #noticed = new Set<string>();
  readonly #listeners = new Map<ChatEventName, Set<AnyListener>>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Answers the way to end it. */
  on<Name extends ChatEventName>(name: Name, listener: Listener<Name>): () => void {
    let listeners = this.#listeners.get(name);
    if (listeners === undefined) {
      listeners = new Set();
      this.#listeners.set(name, listeners);
    }
    const set = listeners;
    set.add(listener);
    return () => {
      set.delete(listener);
    };
  }

  /** The bus may push a notification twice, with the same event id: the application hears of it once. */
  isNews(eventId: string): boolean {
    if (this.#noticed.has(eventId)) {
      return false;
    }
    this.#noticed.add(eventId);
    if (this.#noticed.size > NOTICED_LIMIT) {
      const [oldest] = this.#noticed;
      this.#noticed.delete(oldest ?? "");
    }
    return true;
  }

  /** A listener that throws harms nobody else. */
  emit<Name extends ChatEventName>(name: Name, event: ChatEvents[Name]): void {
    const listeners = this.#listeners.get(name);
    if (listeners === undefined) {
      return;
    }
    for (const listener of listeners) {
      try {
        // `on` put it there under this name.
        (listener as Listener<Name>)(event);
      } catch (error) {
        this.#logger.error(`a listener of "${name}" threw`, error);
      }
    }
  }
}

/** Frames of the socket as events of the application. */
export function emitFrame(emitter: Emitter, frame: ServerFrame): void {
  emitter.emit("frame", frame);
  switch (frame.type) {
    case "message-updated":
      return emitter.emit("updated", frame.data);
    case "message-recalled":
      return emitter.emit("recalled", frame.data);
    case "message-reaction":
      return emitter.emit("reaction", frame.data);
    case "message-read-receipt":
      return emitter.emit("receipt", frame.data);
    case "message-confirmed":
      return emitter.emit("stored", frame.data);
    case "message-persist-failed":
      return emitter.emit("storeFailed", frame.data);
    case "typing":
      return emitter.emit("typing", frame.data);
    case "friend-online":
      return emitter.emit("presence", { userId: frame.data.userId, online: true });
    case "friend-offline":
      return emitter.emit("presence", { ...frame.data, online: false });
    case "friend-request":
      return emitter.emit("friend", { kind: "request", ...frame.data });
    case "friend-accepted":
      return emitter.emit("friend", { kind: "accepted", ...frame.data });
    case "friend-rejected":
      return emitter.emit("friend", { kind: "rejected", ...frame.data });
    case "friend-removed":
      return emitter.emit("friend", { kind: "removed", ...frame.data });
    case "conversation-created":
    case "conversation-joined":
    case "conversation-updated": {
      const { conversation } = frame.data;
      const kind = CONVERSATION_KINDS[frame.type];
      return emitter.emit("conversation", { kind, conversationId: conversation.conversationId, conversation });
    }
    case "conversation-removed":
      return emitter.emit("conversation", { kind: "removed", ...frame.data });
    case "member-added":
      return emitter.emit("member", { kind: "added", ...frame.data });
    case "member-removed":
      return emitter.emit("member", { kind: "removed", ...frame.data });
    case "member-role-changed":
      return emitter.emit("member", { kind: "role", ...frame.data });
    case "notification":
      return emitter.isNews(frame.data.eventId) ? emitter.emit("notice", frame.data) : undefined;
    case "error": {
      const { error, ref } = frame.data;
      return emitter.emit("error", { error: new ChatError(error), ...(ref === undefined ? {} : { ref }) });
    }
    default:
      // The core has used it, or it is of a type that is newer than this client.
      return;
  }
}

const CONVERSATION_KINDS = {
  "conversation-created": "created",
  "conversation-joined": "joined",
  "conversation-updated": "updated",
} as const;

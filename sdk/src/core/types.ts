/** What goes into the client core and what comes out of it: plain data, no runtime. */
import type {
  ClientFrame,
  Content,
  Conversation,
  ConversationItem,
  Message,
  SendData,
  ServerFrame,
  ServerFrameOf,
  WireError,
} from "../protocol.ts";

export type {
  ClientFrame,
  Content,
  Conversation,
  ConversationItem,
  Message,
  SendData,
  ServerFrame,
  ServerFrameOf,
  WireError,
};

/** A send that waits for its acknowledgement. Plain JSON: a store may write it to disk as it is. */
export type PendingRow = {
  /** As its frame says it; `clientMsgId` is its key for ever. */
  readonly data: SendData;
  /** Epoch milliseconds of this client's clock. */
  readonly createdAt: number;
};

/**
 * Where pending rows live. Synchronous, so that a row is in the store before its frame leaves; a store that writes
 * behind must say so to its users. `load` is called once, oldest row first.
 */
export type PendingStore = {
  load(): PendingRow[];
  put(row: PendingRow): void;
  remove(clientMsgId: string): void;
};

/** The user's own socket. Any other link name is the conversation whose room socket it is. */
export const SESSION_LINK = "";

export type ConnectionState = "idle" | "connecting" | "online" | "reconnecting" | "needs-auth" | "stopped";

/** Why a state was entered, where that says more than the state. */
export type StateReason = "closed" | "timeout" | "heartbeat" | "unauthenticated" | "banned" | "session-replaced";

/** Errors that the client itself makes; `code` is 0, since none of them was on the wire. */
export type LocalErrorName = "EXPIRED" | "CANCELLED" | "PENDING_FULL";

/** Why a send failed for good. */
export type SendError = WireError | { code: 0; name: LocalErrorName; message: string; retry: "never" };

/** What the application learns, in this order and once each. */
export type ClientEvent =
  | { type: "state"; state: ConnectionState; reason?: StateReason; retryAt?: number }
  /** In `seqId` order and once per conversation. `live`: pushed, not read back by sync or history. */
  | { type: "message"; conversationId: string; message: Message; live: boolean }
  | {
      type: "accepted";
      clientMsgId: string;
      conversationId: string;
      messageId: string;
      seqId: number;
      createdAt: number;
    }
  | { type: "failed"; clientMsgId: string; conversationId: string; error: SendError }
  /** A conversation as `sync` reported it. */
  | { type: "item"; item: ConversationItem }
  | { type: "removed"; conversationId: string }
  | { type: "synced"; serverTime: number }
  /** Sequences that neither push nor history could give. Should never happen; never hidden. */
  | { type: "gap"; conversationId: string; fromSeqId: number; toSeqId: number }
  /** Every other frame, as it came. */
  | { type: "frame"; frame: ServerFrame };

/** What the adapter must do, in this order. */
export type ClientEffect =
  /** Open a socket for this link; drop an older one of the same link. `since`: room sockets only. */
  | { kind: "open"; link: string; since?: number }
  /** Close and forget the socket: nothing of it may reach the core afterwards. */
  | { kind: "close"; link: string; code: number; reason: string }
  | { kind: "frame"; link: string; frame: ClientFrame }
  /** `GET /conversations/{id}/messages?after=&limit=`, answered by `historyLoaded` or `historyFailed`. */
  | { kind: "loadHistory"; conversationId: string; after: number; limit: number }
  /**
   * `rejected`: the server refused the access token; answer with `tokenRefreshed`, `tokenUnavailable` or `authFailed`.
   * `suspected`: two upgrades failed without a word; ask `GET /users/me`, and call `authFailed` if sign-in is needed.
   */
  | { kind: "refreshToken"; why: "rejected" | "suspected" }
  /** Call `timer` at this time or later. A later effect replaces nothing: too many calls do no harm. */
  | { kind: "timer"; at: number }
  | { kind: "emit"; event: ClientEvent };

export type CoreOptions = {
  /** Uniform in [0, 1). */
  random: () => number;
  /**
   * How much of a conversation without a cursor is delivered as `message` events: all of it, or the newest so many.
   * Default `"all"`.
   */
  backlog?: "all" | number;
  /**
   * Own sends in flight per conversation, default 1, which keeps one sender's order whatever the server refuses. With
   * more, a send refused with RATE_LIMITED or UNAVAILABLE may be overtaken by those already on their way behind it.
   */
  maxInFlight?: number;
  /** Own sends waiting, all conversations together. Default 1,000. */
  maxPending?: number;
  /** Messages kept in memory per conversation for `messages()`. Default 0: none. */
  keepMessages?: number;
  /** Default: memory. */
  store?: PendingStore;
  /** Heads from an earlier life (`cursors()`): sync begins there. */
  cursors?: Readonly<Record<string, number>>;
};

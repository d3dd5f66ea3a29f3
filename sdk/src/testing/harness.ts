/** A core with a clock, its effects sorted into what tests ask about. For tests only. */
import { ClientCore, SESSION_LINK, type ClientEffect, type ClientEvent, type CoreOptions } from "../core/index.ts";
import type {
  ClientFrame,
  Conversation,
  ConversationItem,
  Message,
  SendData,
  ServerFrame,
  SyncedConversation,
  WireError,
} from "../protocol.ts";

export const ME = "01HME00000000000000000000A";
export const OTHER = "01HPEER000000000000000000B";
export const ROOM = "group_01HR0000000000000000000000";
export const WORLD = "world_chat_room";

export class Harness {
  readonly core: ClientCore;
  now = 1_000_000;
  events: ClientEvent[] = [];
  frames: ClientFrame[] = [];
  loads: Extract<ClientEffect, { kind: "loadHistory" }>[] = [];
  /** `open`, `close`, `refreshToken` in order. */
  wishes: ClientEffect[] = [];
  timerAt = Infinity;

  constructor(options: Partial<CoreOptions> = {}) {
    this.core = new ClientCore({ random: () => 0.5, ...options });
  }

  do(effects: readonly ClientEffect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case "emit":
          this.events.push(effect.event);
          break;
        case "frame":
          this.frames.push(effect.frame);
          break;
        case "loadHistory":
          this.loads.push(effect);
          break;
        case "timer":
          this.timerAt = Math.min(this.timerAt, effect.at);
          break;
        default:
          this.wishes.push(effect);
      }
    }
  }

  /** Lets time pass, calling the timer whenever it is due, as an adapter does. */
  pass(ms: number): void {
    const until = this.now + ms;
    for (let calls = 0; this.timerAt <= until; calls++) {
      if (calls > 100_000) {
        throw new Error(`the core asks for its timer again and again at ${this.timerAt}`);
      }
      this.now = Math.max(this.now, this.timerAt);
      this.timerAt = Infinity;
      this.do(this.core.timer(this.now));
    }
    this.now = until;
  }

  receive(frame: ServerFrame, link: string = SESSION_LINK): void {
    this.do(this.core.frame(link, frame, this.now));
  }

  closed(code: number, retryAfterMs?: number): void {
    this.do(this.core.socketClosed(SESSION_LINK, code, this.now, retryAfterMs));
  }

  /** The socket that was asked for opens and greets; sync is left to `synced`. */
  greeted(): void {
    this.do(this.core.socketOpened(SESSION_LINK, this.now));
    this.receive({
      type: "connected",
      data: { userId: ME, deviceId: "device", serverTime: this.now, heartbeatSeconds: 30 },
    });
  }

  synced(...conversations: SyncedConversation[]): void {
    this.receive({
      type: "sync-result",
      data: { conversations, removed: [], nextCursor: null, serverTime: this.now },
    });
  }

  /** Connects, syncs, and forgets what was asked for until here. */
  online(...conversations: SyncedConversation[]): this {
    this.do(this.core.connect(this.now));
    this.greeted();
    this.synced(...conversations);
    this.forget();
    return this;
  }

  forget(): void {
    this.events = [];
    this.frames = [];
    this.loads = [];
    this.wishes = [];
  }

  send(clientMsgId: string, conversationId: string = ROOM): void {
    this.do(this.core.send({ data: sendData(clientMsgId, conversationId), createdAt: this.now }, this.now));
  }

  ack(clientMsgId: string, seqId: number, conversationId: string = ROOM): void {
    this.receive({
      type: "message-ack",
      data: {
        clientMsgId,
        conversationId,
        status: "sent",
        messageId: messageId(seqId),
        seqId,
        createdAt: this.now,
      },
    });
  }

  refuse(clientMsgId: string, error: Partial<WireError>, conversationId: string = ROOM): void {
    this.receive({ type: "message-error", data: { clientMsgId, conversationId, error: wireError(error) } });
  }

  push(...seqIds: number[]): void {
    for (const seqId of seqIds) {
      this.receive({ type: "new-message", data: { message: message(seqId) } });
    }
  }

  page(after: number, ...seqIds: number[]): void {
    this.do(
      this.core.historyLoaded(
        ROOM,
        after,
        seqIds.map((seqId) => message(seqId)),
        this.now,
      ),
    );
  }

  /** Sequences of emitted messages of one conversation. */
  seen(conversationId: string = ROOM): number[] {
    return this.events.flatMap((event) =>
      event.type === "message" && event.conversationId === conversationId ? [event.message.seqId] : [],
    );
  }

  sent(): string[] {
    return this.frames.flatMap((frame) => (frame.type === "send-message" ? [frame.data.clientMsgId] : []));
  }

  of<Type extends ClientEvent["type"]>(type: Type): Extract<ClientEvent, { type: Type }>[] {
    return this.events.filter((event): event is Extract<ClientEvent, { type: Type }> => event.type === type);
  }
}

export function messageId(seqId: number): string {
  return `01HM${String(seqId).padStart(22, "0")}`;
}

export function message(seqId: number, more: Partial<Message> = {}): Message {
  return {
    messageId: messageId(seqId),
    conversationId: ROOM,
    seqId,
    senderId: OTHER,
    messageType: "text",
    content: `message ${seqId}`,
    createdAt: 1_000 + seqId,
    ...more,
  };
}

export function sendData(clientMsgId: string, conversationId: string = ROOM): SendData {
  return { clientMsgId, conversationId, messageType: "text", content: `text of ${clientMsgId}` };
}

export function wireError(more: Partial<WireError>): WireError {
  return { code: 1013, name: "INTERNAL", message: "", requestId: "request", retry: "same", ...more };
}

export function conversation(headSeqId: number, more: Partial<Conversation> = {}): Conversation {
  return {
    conversationId: ROOM,
    type: 2,
    memberCount: 2,
    maxMembers: 500,
    joinApproval: false,
    muteAll: false,
    headSeqId,
    version: 1,
    createdAt: 1,
    updatedAt: 1,
    ...more,
  };
}

export function item(headSeqId: number, more: Partial<ConversationItem> = {}): ConversationItem {
  return {
    conversation: conversation(headSeqId),
    unreadCount: headSeqId,
    readSeqId: 0,
    role: 1,
    muted: false,
    pinned: false,
    ...more,
  };
}

/** A conversation as `sync` answers it: with these messages, of which the last is the head unless told. */
export function syncedItem(seqIds: number[], headSeqId: number = seqIds.at(-1) ?? 0): SyncedConversation {
  return {
    ...item(headSeqId),
    messages: seqIds.map((seqId) => message(seqId)),
    hasMore: (seqIds.at(-1) ?? 0) < headSeqId,
    updated: [],
  };
}

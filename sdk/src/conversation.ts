/** One conversation, as the application holds it. The same object for the same id. */
import type { Chat } from "./chat.ts";
import type { ChatEvents } from "./events.ts";
import { Group } from "./group.ts";
import type {
  AddMembersAnswer,
  ConversationAnswer,
  ConversationItem,
  List,
  Member,
  Message,
  ReadAnswer,
  SendData,
  SettingsAnswer,
  SettingsBody,
  Content,
  Edit,
  Reaction,
  Readers,
} from "./protocol.ts";
import type { Sent } from "./sent.ts";

/** Everybody's room. Source: DESIGN section 4. */
export const WORLD_ROOM_ID = "world_chat_room";
/** Above this a group is delivered through shards, which have sockets of their own. Source: DESIGN section 3. */
const BIG_GROUP_MEMBERS = 500;

export type SendOptions = {
  /** `messageId` of a message of the same conversation. */
  replyTo?: string;
  /** User ids. */
  mentions?: string[];
  /** Default: made here. The same id again is the same message. */
  clientMsgId?: string;
};

/** An image or a file that was uploaded before. */
export type Attachment =
  Extract<SendData, { messageType: "image" | "file" }> extends infer Sendable
    ? Sendable extends { messageType: infer Type; content: infer Body }
      ? { messageType: Type; content: Body }
      : never
    : never;

export type Page = { cursor?: string; limit?: number };

/** What a conversation needs of its client. */
export type ConversationPorts = {
  chat: Chat;
  send(data: SendData): Sent;
  newClientMsgId(): string;
  markRead(conversationId: string, seqId: number): void;
  typing(conversationId: string): void;
  messages(conversationId: string): readonly Message[];
  watch(conversationId: string): () => void;
  item(conversationId: string): ConversationItem | undefined;
  settings(conversationId: string, settings: SettingsAnswer): void;
};

export class ConversationHandle {
  readonly conversationId: string;
  /** What owner and admins do. */
  readonly group: Group;
  readonly #ports: ConversationPorts;

  constructor(conversationId: string, ports: ConversationPorts) {
    this.conversationId = conversationId;
    this.group = new Group(ports.chat, conversationId);
    this.#ports = ports;
  }

  /** As the list has it; undefined when it is not (yet) there. */
  get item(): ConversationItem | undefined {
    return this.#ports.item(this.conversationId);
  }

  /** The newest messages in memory, ascending, up to `keepMessages`. */
  get messages(): readonly Message[] {
    return this.#ports.messages(this.conversationId);
  }

  /**
   * Sends a text or an attachment. Never throws for being offline: it waits, and is sent in order, once, whatever
   * happens to the connection. `await sent.accepted` for its place.
   */
  send(content: string | Attachment, options: SendOptions = {}): Sent {
    const common = {
      clientMsgId: options.clientMsgId ?? this.#ports.newClientMsgId(),
      conversationId: this.conversationId,
      ...(options.replyTo === undefined ? {} : { replyTo: options.replyTo }),
      ...(options.mentions === undefined ? {} : { mentions: options.mentions }),
    };
    return this.#ports.send(
      typeof content === "string" ? { ...common, messageType: "text", content } : { ...common, ...content },
    );
  }

  /** Coalesced, and only grows. Default: up to the newest message known. */
  markRead(seqId?: number): void {
    const upTo = seqId ?? this.item?.conversation.headSeqId;
    if (upTo !== undefined && upTo > 0) {
      this.#ports.markRead(this.conversationId, upTo);
    }
  }

  /** Coalesced; call it with every key. */
  typing(): void {
    this.#ports.typing(this.conversationId);
  }

  /** A page of the log, ascending. `before` and `after` are exclusive sequences; neither: the newest. */
  async history(page: { before?: number; after?: number; limit?: number } = {}): Promise<Message[]> {
    const answer = await this.#call<List<Message>>("GET", "/messages", undefined, page);
    return answer.items;
  }

  /** The whole log, ascending, page by page. */
  async *log(after = 0): AsyncGenerator<Message, void, void> {
    for (let cursor = after; ;) {
      const page = await this.history({ after: cursor, limit: LOG_PAGE });
      yield* page;
      const last = page.at(-1);
      if (last === undefined) {
        return;
      }
      cursor = last.seqId;
    }
  }

  /** Another content for an own message, within a day; the answer is the message as it is now. */
  edit(messageId: string, content: Content): Promise<Message> {
    return this.#about<Message>("PATCH", messageId, "", { content });
  }

  /** Takes an own message back within two minutes; whoever moderates, any message at any time. What is left has no content. */
  recall(messageId: string): Promise<Message> {
    return this.#about<Message>("POST", messageId, "/recall");
  }

  /** Earlier versions, oldest first. */
  async edits(messageId: string): Promise<Edit[]> {
    const edits: Edit[] = [];
    for (let cursor: string | null | undefined; cursor !== null;) {
      const query: Page = { limit: EDITS_PAGE, ...(cursor === undefined ? {} : { cursor }) };
      const page = await this.#call<List<Edit>>(
        "GET",
        `/messages/${encodeURIComponent(messageId)}/edits`,
        undefined,
        query,
      );
      edits.push(...page.items);
      cursor = page.nextCursor;
    }
    return edits;
  }

  /** Puts an emoji to a message; again changes nothing. */
  react(messageId: string, emoji: string): Promise<Reaction> {
    return this.#about<Reaction>("PUT", messageId, `/reactions/${encodeURIComponent(emoji)}`);
  }

  /** Takes one's own back. */
  unreact(messageId: string, emoji: string): Promise<Reaction> {
    return this.#about<Reaction>("DELETE", messageId, `/reactions/${encodeURIComponent(emoji)}`);
  }

  /** Who has read a message, and who has not; above 500 members only the counts. */
  readers(messageId: string): Promise<Readers> {
    return this.#about<Readers>("GET", messageId, "/readers");
  }

  #about<T>(method: CallMethod, messageId: string, path: string, body?: unknown): Promise<T> {
    return this.#call<T>(method, `/messages/${encodeURIComponent(messageId)}${path}`, body);
  }

  /** The read pointer by REST: answers what is left unread. */
  readNow(seqId: number): Promise<ReadAnswer> {
    return this.#call<ReadAnswer>("PUT", "/read", { seqId });
  }

  info(): Promise<ConversationAnswer> {
    return this.#call<ConversationAnswer>("GET", "");
  }

  members(page: Page = {}): Promise<List<Member>> {
    return this.#call<List<Member>>("GET", "/members", undefined, page);
  }

  /** Who could not be added is in `failed`, with the code of the reason. */
  addMembers(userIds: string[]): Promise<AddMembersAnswer> {
    return this.#call<AddMembersAnswer>("POST", "/members", { userIds });
  }

  async removeMember(userId: string): Promise<void> {
    await this.#call("DELETE", `/members/${encodeURIComponent(userId)}`);
  }

  async leave(): Promise<void> {
    const { me } = this.#ports.chat;
    if (me !== undefined) {
      await this.removeMember(me.userId);
    }
  }

  /** Own settings, on all devices: `muted` is for whoever shows notices, `pinned` puts it to the top of the list. */
  async setSettings(settings: SettingsBody): Promise<SettingsAnswer> {
    const answer = await this.#call<SettingsAnswer>("PUT", "/settings", settings);
    this.#ports.settings(this.conversationId, answer);
    return answer;
  }

  /** `message` events of this conversation only. Answers the way to end it. */
  onMessage(listener: (event: ChatEvents["message"]) => void): () => void {
    return this.#ports.chat.on("message", (event) => {
      if (event.conversationId === this.conversationId) {
        listener(event);
      }
    });
  }

  /**
   * Reads a big room (the world, a group of more than 500) through a socket of its own while somebody watches; smaller
   * conversations come with the user's socket anyway. Answers the way to end it.
   */
  watch(): () => void {
    const big = this.conversationId === WORLD_ROOM_ID || (this.item?.conversation.memberCount ?? 0) > BIG_GROUP_MEMBERS;
    return big ? this.#ports.watch(this.conversationId) : () => undefined;
  }

  #call<T>(
    method: CallMethod,
    path: string,
    body?: unknown,
    query?: Record<string, string | number | undefined>,
  ): Promise<T> {
    return this.#ports.chat.call<T>(
      method,
      `/conversations/${encodeURIComponent(this.conversationId)}${path}`,
      body,
      query,
    );
  }
}

type CallMethod = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** The most that one page may hold. Source: WIRE "Things", list answers. */
const LOG_PAGE = 200;
/** Earlier versions in one page; a message has hardly more. */
const EDITS_PAGE = 100;

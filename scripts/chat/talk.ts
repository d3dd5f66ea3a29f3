/** One person at a terminal: what they see of their conversations, and what their lines do. */
import {
  ChatError,
  WORLD_ROOM_ID,
  type Chat,
  type ChatEvents,
  type ConversationHandle,
  type ConversationItem,
  type Message,
  type Sent,
} from "../../sdk/src/index.ts";
import { clockText, contentText, type Screen } from "./screen.ts";

/** Messages shown when a conversation is opened. */
const SHOWN_ON_OPEN = 10;
const HISTORY_DEFAULT = 20;
const HISTORY_MAX = 200;

export class Talk {
  readonly #chat: Chat;
  readonly #screen: Screen;
  readonly #names = new Map<string, string>();
  #open: ConversationHandle;
  /** Names are looked up; what is printed must keep its order all the same. */
  #printed: Promise<void> = Promise.resolve();
  /** Numbers of the last `/list`. */
  #listed: string[] = [];

  constructor(chat: Chat, screen: Screen) {
    this.#chat = chat;
    this.#screen = screen;
    this.#open = chat.conversation(WORLD_ROOM_ID);
    chat.on("message", (event) => this.#onMessage(event));
    chat.on("connection", (connection) => this.#onConnection(connection));
    chat.on("failed", ({ error }) => this.#say(`! not sent: ${error.name}: ${error.message}`));
    chat.on("friend", (event) => this.#onFriend(event));
    chat.on("conversation", (event) => this.#onConversation(event));
    chat.on("gap", ({ fromSeqId, toSeqId }) => this.#say(`! messages ${fromSeqId} to ${toSeqId} are missing`));
  }

  /** A line that is no command. */
  send(text: string): void {
    const sent = this.#open.send(text);
    if (this.#chat.connection.get().state !== "online") {
      this.#say(`… waits for the connection: ${text}`);
    }
    void this.#tick(sent, text);
  }

  /** Shows where lines go. */
  prompt(): void {
    this.#screen.prompt(this.#titleOf(this.#open.conversationId));
  }

  /** Everything that was said so far is on the screen. */
  async printed(): Promise<void> {
    await this.#printed;
  }

  async open(conversationId: string): Promise<void> {
    this.#open = this.#chat.conversation(conversationId);
    this.#say(`-- ${this.#titleOf(conversationId)}`);
    this.prompt();
    await this.history(SHOWN_ON_OPEN);
  }

  async history(count: number = HISTORY_DEFAULT): Promise<void> {
    const conversation = this.#open;
    const messages = await conversation.history({ limit: Math.min(Math.max(1, count), HISTORY_MAX) });
    for (const message of messages) {
      this.#sayLater(async () => await this.#line(message));
    }
    const last = messages.at(-1);
    if (last !== undefined) {
      conversation.markRead(last.seqId);
    }
    await this.printed();
  }

  /** The conversations, numbered for `/open`. */
  list(): void {
    const items = this.#chat.conversations.get();
    this.#listed = items.map((item) => item.conversation.conversationId);
    items.forEach((item, index) => {
      const unread = item.unreadCount > 0 ? `  (${item.unreadCount} unread)` : "";
      this.#say(`${index + 1}. ${this.#title(item)}${unread}`);
    });
    if (items.length === 0) {
      this.#say("no conversations yet: /add NAME asks for friendship, /world is open to all");
    }
  }

  /** By number of `/list`, by id, or by the beginning of a title. */
  find(wish: string): string | undefined {
    const byNumber = this.#listed[Number(wish) - 1];
    const items = this.#chat.conversations.get();
    const byTitle = items.find((item) => this.#title(item).toLowerCase().startsWith(wish.toLowerCase()));
    const byId = items.find((item) => item.conversation.conversationId === wish);
    return (byId ?? byTitle)?.conversation.conversationId ?? byNumber;
  }

  async who(): Promise<void> {
    const { items, nextCursor } = await this.#open.members({ limit: 100 });
    for (const member of items) {
      this.#say(`   ${member.displayName}${["", "", " (admin)", " (owner)"][member.role] ?? ""}`);
    }
    if (items.length === 0) {
      this.#say("   everybody");
    }
    if (nextCursor !== null) {
      this.#say("   …");
    }
  }

  async friends(): Promise<void> {
    const [friends, requests] = await Promise.all([
      this.#chat.friends.list({ limit: 100 }),
      this.#chat.friends.requests({ status: "pending", limit: 100 }),
    ]);
    friends.items.forEach(({ user }) => this.#say(`   ${user.displayName} (${user.username})`));
    requests.items.forEach(({ user, requesterId }) => {
      this.#say(`   ${user?.username ?? requesterId} asks for friendship: /accept ${user?.username ?? ""}`);
    });
    if (friends.items.length + requests.items.length === 0) {
      this.#say("nobody yet: /add NAME");
    }
  }

  async add(name: string): Promise<void> {
    const answer = await this.#chat.friends.request(await this.#userId(name));
    if (answer.conversation === undefined) {
      this.#say(`-- ${name} has been asked`);
    } else {
      await this.open(answer.conversation.conversationId);
    }
  }

  /** Without a name: the only one who asks. */
  async accept(name: string | undefined): Promise<void> {
    const { items } = await this.#chat.friends.requests({ status: "pending", limit: 100 });
    const matching = name === undefined ? items : items.filter(({ user }) => user?.username === name);
    const [request] = matching;
    if (request === undefined || matching.length > 1) {
      this.#say(request === undefined ? "! no such request" : "! several ask: /accept NAME");
      return;
    }
    const { conversation } = await this.#chat.friends.accept(request.requestId);
    if (conversation !== undefined) {
      await this.open(conversation.conversationId);
    }
  }

  async group(name: string, members: string[]): Promise<void> {
    const memberIds = await Promise.all(members.map((member) => this.#userId(member)));
    const group = await this.#chat.createGroup({ name, memberIds });
    await this.open(group.conversationId);
  }

  complain(error: unknown): void {
    const text = error instanceof ChatError ? `${error.name}: ${error.message}` : String(error);
    this.#say(`! ${text}`);
  }

  /** Prints when it is its turn. */
  #say(line: string): void {
    this.#sayLater(() => line);
  }

  #sayLater(line: () => string | Promise<string>): void {
    this.#printed = this.#printed.then(async () => this.#screen.print(await line()));
  }

  async #tick(sent: Sent, text: string): Promise<void> {
    try {
      const { seqId } = await sent.accepted;
      this.#say(`✓ ${seqId} ${text}`);
    } catch {
      // The event `failed` has said why.
    }
  }

  #onMessage({ message, conversationId, live }: ChatEvents["message"]): void {
    const isOpen = conversationId === this.#open.conversationId;
    if (isOpen) {
      this.#open.markRead(message.seqId);
    }
    if (message.senderId === this.#chat.me?.userId && live) {
      return; // Its tick stands for it.
    }
    const label = isOpen ? "" : `(${this.#titleOf(conversationId)}) `;
    this.#sayLater(async () => label + (await this.#line(message)));
  }

  #onConnection({ state, reason, retryAt }: ChatEvents["connection"]): void {
    if (state === "idle") {
      return; // By own wish: nobody has to be told.
    }
    const wait =
      retryAt === undefined ? "" : `, next try in ${(Math.max(0, retryAt - Date.now()) / 1000).toFixed(1)} s`;
    const waiting = this.#chat.pending.get().count;
    const pending = waiting === 0 ? "" : `, ${waiting} waiting`;
    this.#say(`-- ${state}${reason === undefined ? "" : ` (${reason})`}${wait}${pending}`);
  }

  #onFriend(event: ChatEvents["friend"]): void {
    if (event.kind === "request") {
      this.#say(`-- ${event.user.username} asks for friendship: /accept ${event.user.username}`);
    } else if (event.kind === "accepted") {
      this.#say(`-- ${event.user.username} is now a friend: /open ${event.user.displayName}`);
    }
  }

  #onConversation(event: ChatEvents["conversation"]): void {
    if (event.kind === "joined" || (event.kind === "created" && event.conversation.type === 2)) {
      this.#say(`-- new conversation: /open ${this.#titleOf(event.conversationId)}`);
    } else if (event.kind === "removed") {
      this.#say(`-- a conversation is gone${event.reason === undefined ? "" : ` (${event.reason})`}`);
    }
  }

  async #line(message: Message): Promise<string> {
    const name = await this.#nameOf(message.senderId);
    return `${clockText(message.createdAt)} ${name}: ${contentText(message)}`;
  }

  async #nameOf(userId: string): Promise<string> {
    if (userId === this.#chat.me?.userId) {
      return "me";
    }
    let name = this.#names.get(userId);
    if (name === undefined) {
      try {
        name = (await this.#chat.users.get(userId)).displayName;
        this.#names.set(userId, name);
      } catch {
        name = userId.slice(-6); // Tried again with the next message.
      }
    }
    return name;
  }

  async #userId(username: string): Promise<string> {
    const { items } = await this.#chat.users.search(username, { limit: 100 });
    const user = items.find((item) => item.username.toLowerCase() === username.toLowerCase());
    if (user === undefined) {
      throw new Error(`there is no user ${username}`);
    }
    return user.userId;
  }

  #titleOf(conversationId: string): string {
    const item = this.#chat.conversation(conversationId).item;
    return item === undefined ? this.#untitled(conversationId) : this.#title(item);
  }

  #title({ conversation, peer }: ConversationItem): string {
    return conversation.name ?? peer?.displayName ?? this.#untitled(conversation.conversationId);
  }

  #untitled(conversationId: string): string {
    return conversationId === WORLD_ROOM_ID ? "world" : conversationId;
  }
}

/** The client: signs in, keeps a connection, and hands out conversations, friends and events. */
import { ConversationHandle, type ConversationPorts, type Page } from "./conversation.ts";
import { ClientCore, type ClientEvent } from "./core/index.ts";
import { Devices } from "./devices.ts";
import { Driver } from "./driver.ts";
import { closedError } from "./errors.ts";
import { Emitter, type ChatEventName, type ChatEvents, type Connection, type Listener } from "./events.ts";
import { Groups } from "./group.ts";
import { ConversationList } from "./list.ts";
import { systemClock, type ChatOptions, type ClientClock, type DeviceOption } from "./options.ts";
import { Friends, Users } from "./people.ts";
import { PresenceWatch } from "./presenceWatch.ts";
import type {
  AuthAnswer,
  Conversation,
  ConversationBody,
  ConversationItem,
  GuestAnswer,
  List,
  LoginBody,
  ProfileBody,
  RegisterBody,
  SelfUser,
  SendData,
  UpgradeBody,
} from "./protocol.ts";
import { relay, type RelayPorts } from "./relay.ts";
import { Rest, type Method, type Query } from "./rest.ts";
import { SentBook } from "./sentBook.ts";
import { Writable, type Store } from "./store.ts";
import { globalSocket } from "./globalSocket.ts";
import { streamEvents } from "./stream.ts";
import { nextSync, within } from "./waiting.ts";
import { onWakeup } from "./wakeups.ts";
import { Watchers } from "./watchers.ts";

/** What waits to be acknowledged. */
export type Pending = { count: number; oldest?: number };

const KEEP_MESSAGES = 100;
const BACKLOG = 50;
/** How long `close` waits for acknowledgements. */
const FLUSH_MS = 5_000;

export class Chat {
  readonly friends: Friends;
  readonly groups: Groups;
  readonly users: Users;
  readonly devices: Devices;
  readonly #options: ChatOptions;
  readonly #clock: ClientClock;
  readonly #rest: Rest;
  readonly #core: ClientCore;
  readonly #driver: Driver;
  readonly #emitter: Emitter;
  readonly #list: ConversationList;
  readonly #sends: SentBook;
  readonly #connection: Writable<Connection>;
  readonly #pending = new Writable<Pending>({ count: 0 });
  readonly #presence = new PresenceWatch((userIds, wanted) =>
    this.#driver.step((core) => core.subscribePresence(userIds, wanted)),
  );
  readonly #handles = new Map<string, ConversationHandle>();
  readonly #ended = new AbortController();
  readonly #offWakeup: () => void;
  readonly #ports: ConversationPorts;
  #synced = false;

  constructor(options: ChatOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    const logger = options.logger ?? console;
    const url = options.url.replace(/\/+$/, "");
    const random = options.random ?? Math.random;
    const fetcher = options.fetch ?? fetch.bind(globalThis);
    this.#rest = new Rest(url, fetcher, options.auth, this.#clock, () =>
      this.#driver.step((core, now) => core.authFailed(now)),
    );
    this.#core = new ClientCore({
      random,
      backlog: options.backlog ?? BACKLOG,
      keepMessages: options.keepMessages ?? KEEP_MESSAGES,
      ...(options.maxInFlight === undefined ? {} : { maxInFlight: options.maxInFlight }),
      ...(options.maxPending === undefined ? {} : { maxPending: options.maxPending }),
      ...(options.store === undefined ? {} : { store: options.store }),
      ...(options.cursors === undefined ? {} : { cursors: options.cursors }),
    });
    this.#emitter = new Emitter(logger);
    this.#list = new ConversationList(() => this.me?.userId, {
      messages: (conversationId) => this.#core.messages(conversationId),
      readSeqId: (conversationId) => this.#core.readSeqId(conversationId),
    });
    this.#connection = new Writable<Connection>({ state: "idle", since: this.#clock.now() });
    this.#sends = new SentBook({
      send: (row) => this.#driver.step((core, now) => core.send(row, now)),
      cancel: (clientMsgId) => this.#driver.step((core, now) => core.cancel(clientMsgId, now)),
      now: () => this.#clock.now(),
    });
    const relayPorts: RelayPorts = {
      list: this.#list,
      sends: this.#sends,
      emitter: this.#emitter,
      state: (event) => this.#onState(event),
      synced: () => {
        this.#synced = true;
        this.#presence.again();
      },
    };
    this.#driver = new Driver({
      core: this.#core,
      rest: this.#rest,
      socketUrl: url.replace(/^http/, "ws"),
      WebSocket: options.WebSocket ?? globalSocket(),
      clock: this.#clock,
      logger,
      event: (event) => relay(event, relayPorts),
      settled: () => this.#onSettled(),
    });
    const watchers = new Watchers(
      (conversationId) => this.#driver.step((core, now) => core.watch(conversationId, now)),
      (conversationId) => this.#driver.step((core) => core.unwatch(conversationId)),
    );
    this.#ports = {
      chat: this,
      send: (data) => this.#send(data),
      newClientMsgId: () => this.#sends.newId(),
      markRead: (conversationId, seqId) => {
        this.#list.read(conversationId, Math.min(seqId, this.#core.head(conversationId) ?? seqId));
        this.#driver.step((core, now) => core.markRead(conversationId, seqId, now));
      },
      typing: (conversationId) => this.#driver.step((core, now) => core.typing(conversationId, now)),
      messages: (conversationId) => this.#core.messages(conversationId),
      watch: (conversationId) => watchers.watch(conversationId),
      item: (conversationId) => this.#list.item(conversationId),
      settings: (conversationId, settings) => this.#list.settings(conversationId, settings),
    };
    this.friends = new Friends(this);
    this.groups = new Groups(this, (joined) => this.#list.add(joined, undefined, joined.readSeqId));
    this.users = new Users(this);
    this.devices = new Devices(this);
    this.#offWakeup = onWakeup(() => this.retryNow());
    this.#onSettled();
  }

  // ---- who one is

  /** Who is signed in, if anybody. */
  get me(): SelfUser | undefined {
    return this.#rest.tokens.session?.user;
  }

  get deviceId(): string | undefined {
    return this.#rest.tokens.session?.deviceId;
  }

  /** Takes up the session of an earlier life from `auth`. Undefined when there is none. */
  async resume(): Promise<SelfUser | undefined> {
    const session = await this.#rest.tokens.load();
    if (session !== undefined) {
      this.#autoConnect();
    }
    return session?.user;
  }

  /** Comes in without an account; the answer is the guest, who is in the world room. */
  async guest(): Promise<SelfUser> {
    const answer = await this.#rest.open<GuestAnswer>("POST", "/auth/guest", { device: this.#device() });
    this.#list.add(answer.conversation);
    return await this.#signedIn(answer);
  }

  async register(account: Omit<RegisterBody, "device">): Promise<SelfUser> {
    return await this.#signedIn(
      await this.#rest.open("POST", "/auth/register", { ...account, device: this.#device() }),
    );
  }

  async login(login: Omit<LoginBody, "device">): Promise<SelfUser> {
    return await this.#signedIn(await this.#rest.open("POST", "/auth/login", { ...login, device: this.#device() }));
  }

  /** A guest becomes a user and keeps id and history. */
  async upgrade(account: UpgradeBody): Promise<SelfUser> {
    const answer = await this.call<AuthAnswer>("POST", "/auth/upgrade", account);
    // The socket belongs to the guest that was: a new one belongs to the user.
    this.#driver.step((core, now) => core.disconnect(now));
    return await this.#signedIn(answer);
  }

  /** Signs this device out, or all of them. What waits to be sent is given up. */
  async logout(options: { everywhere?: boolean } = {}): Promise<void> {
    try {
      await this.call("POST", "/auth/logout", options);
    } finally {
      this.#driver.step((core, now) => core.disconnect(now));
      for (const row of this.#core.pending()) {
        this.#driver.step((core, now) => core.cancel(row.data.clientMsgId, now));
      }
      this.#list.clear();
      await this.#rest.tokens.signedOut();
    }
  }

  async updateMe(profile: ProfileBody): Promise<SelfUser> {
    const user = await this.call<SelfUser>("PATCH", "/users/me", profile);
    await this.#rest.tokens.userChanged(user);
    return user;
  }

  // ---- connection

  /** How the connection stands. */
  get connection(): Store<Connection> {
    return this.#connection;
  }

  /** What waits to be acknowledged, for "3 waiting" and for asking before a page is left. */
  get pending(): Store<Pending> {
    return this.#pending;
  }

  /** Wants a connection; signing in does it too, unless `autoConnect` is false. */
  connect(): void {
    this.#checkOpen();
    this.#driver.step((core, now) => core.connect(now));
  }

  /** Wants none. Sends wait, cursors stay. */
  disconnect(): void {
    this.#driver.step((core, now) => core.disconnect(now));
  }

  /** Tries at once instead of waiting for the next try. */
  retryNow(): void {
    this.#driver.step((core, now) => core.retryNow(now));
  }

  /** Resolves once connected and synced; rejects when that needs a sign-in, or will never be. */
  ready(): Promise<void> {
    return this.#synced ? Promise.resolve() : nextSync(this.#emitter, this.#connection, this.#ended.signal);
  }

  /** Everything up to these sequences has come as `message` events: `cursors` of the next life. */
  cursors(): Record<string, number> {
    return this.#core.cursors();
  }

  /** Resolves when nothing waits to be acknowledged any more, or after `ms`; answers whether it is so. */
  flush(ms: number = FLUSH_MS): Promise<boolean> {
    return within(ms, this.#pending, () => this.#core.pendingCount === 0, this.#clock);
  }

  /** Waits for acknowledgements as long as `flushMs`, then ends everything. What still waits stays in `store`. */
  async close(options: { flushMs?: number } = {}): Promise<void> {
    if (this.#core.state === "online" || this.#core.state === "reconnecting") {
      await this.flush(options.flushMs ?? FLUSH_MS);
    }
    this.#ended.abort();
    this.#offWakeup();
    this.#driver.step((core, now) => core.disconnect(now));
    this.#driver.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // ---- events

  /** Answers the way to end it. */
  on<Name extends ChatEventName>(name: Name, listener: Listener<Name>): () => void {
    return this.#emitter.on(name, listener);
  }

  /** The same as an async iteration; ends with the signal or with the client. */
  stream<Name extends ChatEventName>(
    name: Name,
    options: { signal?: AbortSignal } = {},
  ): AsyncGenerator<ChatEvents[Name], void, void> {
    return streamEvents(this.#emitter, name, options.signal, this.#ended.signal);
  }

  // ---- conversations

  /** The list: pinned first, then newest activity; unread derived. */
  get conversations(): Store<readonly ConversationItem[]> {
    return this.#list;
  }

  /** The same object for the same id. */
  conversation(conversationId: string): ConversationHandle {
    let handle = this.#handles.get(conversationId);
    if (handle === undefined) {
      handle = new ConversationHandle(conversationId, this.#ports);
      this.#handles.set(conversationId, handle);
    }
    return handle;
  }

  /** The list by REST, without a connection. */
  listConversations(page: Page = {}): Promise<List<ConversationItem>> {
    return this.call("GET", "/conversations", undefined, page);
  }

  /** The caller owns it. Who cannot be a member is left out by the server: look at `members()`. */
  async createGroup(group: Omit<Extract<ConversationBody, { type: 2 }>, "type">): Promise<ConversationHandle> {
    return await this.#create({ type: 2, ...group });
  }

  /** The direct conversation with a friend; friendship makes it as well. */
  async direct(userId: string): Promise<ConversationHandle> {
    return await this.#create({ type: 1, memberIds: [userId] });
  }

  /**
   * Presence of these friends beyond what the server pushes; 200 at most. What is so now comes at once as `presence` events, and
   * again after a reconnect.
   */
  watchPresence(userIds: string[], wanted = true): void {
    this.#presence.watch(userIds, wanted);
  }

  /** Any other REST call, below `/api`, as whoever is signed in. */
  call<T>(method: Method, path: string, body?: unknown, query?: Query): Promise<T> {
    return this.#rest.call<T>(method, path, body, query);
  }

  // ---- inside

  async #create(body: ConversationBody): Promise<ConversationHandle> {
    const conversation = await this.call<Conversation>("POST", "/conversations", body);
    this.#list.add(conversation);
    return this.conversation(conversation.conversationId);
  }

  async #signedIn(answer: AuthAnswer): Promise<SelfUser> {
    this.#checkOpen();
    const { user } = await this.#rest.tokens.signedIn(answer);
    this.#autoConnect();
    return user;
  }

  #autoConnect(): void {
    if (this.#options.autoConnect ?? true) {
      this.connect();
    }
  }

  #device(): DeviceOption | undefined {
    return this.#options.device;
  }

  #send(data: SendData): ReturnType<SentBook["take"]> {
    this.#checkOpen();
    return this.#sends.take(data);
  }

  #onState(event: Extract<ClientEvent, { type: "state" }>): void {
    const { state, reason, retryAt } = event;
    if (state !== "online") {
      this.#synced = false;
    }
    const old = this.#connection.get();
    const since = old.state === state ? old.since : this.#clock.now();
    const connection: Connection = {
      state,
      since,
      ...(reason === undefined ? {} : { reason }),
      ...(retryAt === undefined ? {} : { retryAt }),
    };
    this.#connection.set(connection);
    this.#emitter.emit("connection", connection);
  }

  #onSettled(): void {
    const count = this.#core.pendingCount;
    const oldest = this.#core.oldestPendingAt;
    const old = this.#pending.get();
    if (count !== old.count || oldest !== old.oldest) {
      this.#pending.set(oldest === undefined ? { count } : { count, oldest });
    }
  }

  #checkOpen(): void {
    if (this.#ended.signal.aborted) {
      throw closedError();
    }
  }
}

/** A client for one user of one server. Nothing happens until somebody signs in. */
export function createChat(options: ChatOptions): Chat {
  return new Chat(options);
}

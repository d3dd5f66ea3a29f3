import { describe, test, vi } from "vitest";
import { WebSocket as NodeSocket } from "ws";
import {
  createChat,
  type Chat,
  type ChatOptions,
  type ClientClock,
  type Session,
  type SocketConstructor,
} from "./index.ts";
import { authAnswer, FakeServer, refusal, type Answer, type Call } from "./testing/fakeServer.ts";
import { item, message, ME, messageId, OTHER, ROOM, syncedItem, WORLD } from "./testing/harness.ts";

/** Time that passes when told. */
class FakeClock implements ClientClock {
  #now = 1_000_000;
  #timers: { at: number; run: () => void; keepsAlive: boolean }[] = [];

  now = (): number => this.#now;

  setTimeout = (run: () => void, ms: number, keepsAlive: boolean): unknown => {
    const timer = { at: this.#now + ms, run, keepsAlive };
    this.#timers.push(timer);
    return timer;
  };

  clearTimeout = (handle: unknown): void => {
    this.#timers = this.#timers.filter((timer) => timer !== handle);
  };

  get keepsAlive(): boolean {
    return this.#timers.some((timer) => timer.keepsAlive);
  }

  get waiting(): number {
    return this.#timers.length;
  }

  pass(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const [next] = this.#timers.toSorted((a, b) => a.at - b.at);
      if (next === undefined || next.at > until) {
        break;
      }
      this.clearTimeout(next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
    }
    this.#now = until;
  }
}

/** A server that signs everybody in and knows nothing else, unless told. */
function setUp(answers: (call: Call) => Answer | undefined = () => undefined, options: Partial<ChatOptions> = {}) {
  let tokens = 0;
  const server = new FakeServer((call) => {
    const answer = answers(call);
    if (answer !== undefined) {
      return answer;
    }
    return call.path.startsWith("/auth/")
      ? { status: 200, body: authAnswer(++tokens) }
      : { status: 200, body: { items: [], nextCursor: null } };
  });
  const clock = new FakeClock();
  const logged: string[] = [];
  const chat = createChat({
    url: "http://chat.test/",
    WebSocket: server.WebSocket,
    fetch: server.fetch,
    clock,
    random: () => 0.5,
    logger: { warn: (text) => logged.push(text), error: (text) => logged.push(text) },
    ...options,
  });
  return { server, clock, chat, logged };
}

async function online(answers?: (call: Call) => Answer | undefined, options?: Partial<ChatOptions>) {
  const all = setUp(answers, options);
  await all.chat.login({ username: "ana", password: "correct horse" });
  const ready = all.chat.ready();
  all.server.socket.greets();
  await ready;
  return all;
}

function ackOf(clientMsgId: string, seqId: number) {
  const data = { clientMsgId, conversationId: ROOM, status: "sent", messageId: messageId(seqId), seqId, createdAt: 5 };
  return { type: "message-ack", data } as const;
}

describe("connecting", () => {
  test("signing in opens a socket with the token as a subprotocol", async ({ expect }) => {
    const { server, chat } = await online();
    expect(server.calls[0]).toMatchObject({ method: "POST", path: "/auth/login", token: undefined });
    expect(server.socket.url).toBe("ws://chat.test/ws");
    expect(server.socket.protocols).toEqual(["gochat.v1", "gochat.bearer.access-1"]);
    expect(chat.connection.get().state).toBe("online");
    expect(chat.me?.userId).toBe(ME);
  });

  test("without autoConnect nothing is opened until it is asked for", async ({ expect }) => {
    const { server, chat } = setUp(undefined, { autoConnect: false });
    await chat.guest().catch(() => undefined);
    await chat.login({ username: "ana", password: "correct horse" });
    expect(server.sockets).toHaveLength(0);
    chat.connect();
    expect(server.sockets).toHaveLength(1);
  });

  test("comes back by itself, and keeps the process alive only while it must", async ({ expect }) => {
    const { server, chat, clock } = await online();
    expect(clock.keepsAlive).toBe(false);
    server.socket.closes(1006);
    expect(chat.connection.get()).toMatchObject({ state: "reconnecting", retryAt: clock.now() + 150 });
    expect(clock.keepsAlive).toBe(true);
    clock.pass(150);
    expect(server.sockets).toHaveLength(2);
    server.socket.greets();
    expect(chat.connection.get().state).toBe("online");
    expect(clock.keepsAlive).toBe(false);
  });

  test("what an older socket still says is not heard", async ({ expect }) => {
    const { server, chat, clock } = await online();
    const seen: number[] = [];
    chat.on("message", ({ message: { seqId } }) => seen.push(seqId));
    const [first] = server.sockets;
    clock.pass(41_000);
    expect(first?.closedBy).toBe("client");
    clock.pass(1_000);
    server.socket.greets();
    first?.says({ type: "new-message", data: { message: message(1) } });
    first?.closes(1006);
    expect(seen).toEqual([]);
    expect(chat.connection.get().state).toBe("online");
  });

  test("a token near its end is refreshed before it is used to connect", async ({ expect }) => {
    const { server, clock } = await online();
    clock.pass(850_000);
    await vi.waitFor(() => expect(server.socket.protocols[1]).toBe("gochat.bearer.access-2"));
    expect(server.calls.at(-1)).toMatchObject({ path: "/auth/refresh", body: { refreshToken: "refresh-1" } });
  });

  test("4006 refreshes and connects; a dead session needs a sign-in", async ({ expect }) => {
    let dead = false;
    const { server, chat } = await online(({ path }) =>
      dead && path === "/auth/refresh" ? refusal(401, "UNAUTHENTICATED") : undefined,
    );
    server.socket.closes(4006);
    await vi.waitFor(() => expect(server.sockets).toHaveLength(2));
    server.socket.greets();
    dead = true;
    server.socket.closes(4006);
    await vi.waitFor(() => expect(chat.connection.get().state).toBe("needs-auth"));
    expect(chat.me).toBeUndefined();
    await expect(chat.ready()).rejects.toMatchObject({ name: "NOT_SIGNED_IN" });
  });

  test("two silent refusals of the upgrade ask an ordinary call", async ({ expect }) => {
    const { server, chat, clock } = setUp(({ path }) =>
      path === "/users/me" || path === "/auth/refresh" ? refusal(401, "UNAUTHENTICATED") : undefined,
    );
    await chat.login({ username: "ana", password: "correct horse" });
    server.socket.closes(1006);
    clock.pass(1_000);
    server.socket.closes(1006);
    await vi.waitFor(() => expect(chat.connection.get().state).toBe("needs-auth"));
  });

  test("an unreachable server is tried again, without a socket while the token cannot be had", async ({ expect }) => {
    const { server, chat, clock } = await online(({ path }) => (path === "/auth/refresh" ? "unreachable" : undefined));
    server.socket.closes(4006);
    await vi.waitFor(() => expect(chat.connection.get().state).toBe("reconnecting"));
    await vi.waitFor(() => {
      clock.pass(500);
      expect(server.sockets).toHaveLength(2);
    });
  });
});

describe("sending", () => {
  test("accepted says where; stored comes later", async ({ expect }) => {
    const { server, chat } = await online();
    const sent = chat.conversation(ROOM).send("hi");
    expect(server.socket.sent.at(-1)).toEqual({
      type: "send-message",
      data: { clientMsgId: sent.clientMsgId, conversationId: ROOM, messageType: "text", content: "hi" },
    });
    expect(chat.pending.get().count).toBe(1);
    server.socket.says(ackOf(sent.clientMsgId, 1));
    await expect(sent.accepted).resolves.toEqual({ messageId: messageId(1), seqId: 1, createdAt: 5 });
    expect(sent.state.get()).toBe("sent");
    expect(chat.pending.get()).toEqual({ count: 0 });
    const { clientMsgId } = sent;
    const confirmed = { clientMsgId, conversationId: ROOM, messageId: messageId(1), seqId: 1 };
    server.socket.says({ type: "message-confirmed", data: confirmed });
    expect(sent.state.get()).toBe("stored");
  });

  test("offline it waits, and the own message is an event in its place", async ({ expect }) => {
    const { server, chat, clock } = await online();
    const seen: string[] = [];
    chat
      .conversation(ROOM)
      .onMessage(({ message: { content } }) => seen.push(typeof content === "string" ? content : ""));
    server.socket.closes(1006);
    const conversation = chat.conversation(ROOM);
    const keys = ["a", "b"].map((text) => conversation.send(text).clientMsgId);
    clock.pass(150);
    server.socket.greets();
    expect(server.socket.sends()).toEqual([keys[0]]);
    server.socket.says(ackOf(keys[0] ?? "", 1));
    server.socket.says(ackOf(keys[1] ?? "", 2));
    expect(seen).toEqual(["a", "b"]);
  });

  test("a refused one rejects with the server's reason, and may be sent again", async ({ expect }) => {
    const { server, chat } = await online();
    const sent = chat.conversation(ROOM).send("rude");
    const error = {
      code: 1008,
      name: "CONTENT_REJECTED",
      message: "The content is not accepted here.",
      requestId: "r1",
      retry: "never",
    };
    server.socket.says({
      type: "message-error",
      data: { clientMsgId: sent.clientMsgId, conversationId: ROOM, error },
    });
    await expect(sent.accepted).rejects.toMatchObject({ name: "CONTENT_REJECTED", code: 1008, requestId: "r1" });
    const again = sent.retry();
    expect(again).not.toBe(sent);
    expect(again.clientMsgId).toBe(sent.clientMsgId);
    expect(server.socket.sends()).toEqual([sent.clientMsgId, sent.clientMsgId]);
    again.cancel();
    expect(again.state.get()).toBe("failed");
  });

  test("close waits for what is on its way", async ({ expect }) => {
    const { server, chat, clock } = await online();
    const { clientMsgId } = chat.conversation(ROOM).send("last words");
    let closed = false;
    const closing = chat.close().then(() => {
      closed = true;
    });
    expect(clock.keepsAlive).toBe(true);
    await Promise.resolve();
    expect(closed).toBe(false);
    server.socket.says(ackOf(clientMsgId, 1));
    await closing;
    expect(server.socket.closedBy).toBe("client");
    expect(clock.waiting).toBe(0);
    expect(() => chat.conversation(ROOM).send("too late")).toThrow("closed");
  });

  test("close gives up after its time", async ({ expect }) => {
    const { chat, clock } = await online();
    chat.conversation(ROOM).send("nobody answers");
    const closing = chat.close({ flushMs: 1_000 });
    clock.pass(1_000);
    await closing;
    expect(chat.pending.get().count).toBe(1);
  });
});

describe("receiving", () => {
  test("a gap is read from the history, with the token", async ({ expect }) => {
    const history = { items: [message(1), message(2)], nextCursor: null };
    const { server, chat, clock } = await online(({ path }) =>
      path.includes("/messages") ? { status: 200, body: history } : undefined,
    );
    const seen: number[] = [];
    chat.on("message", (event) => seen.push(event.message.seqId));
    server.socket.says({ type: "conversation-joined", data: { conversation: item(0).conversation } });
    server.socket.says({ type: "new-message", data: { message: message(3) } });
    clock.pass(150);
    await vi.waitFor(() => expect(seen).toEqual([1, 2, 3]));
    expect(server.calls.at(-1)).toMatchObject({
      path: `/conversations/${ROOM}/messages?after=0&limit=200`,
      token: "access-1",
    });
    expect(chat.conversation(ROOM).messages.map((row) => row.seqId)).toEqual([1, 2, 3]);
  });

  test("listeners may send, throw and leave without harm", async ({ expect }) => {
    const { server, chat, logged } = await online();
    const seen: number[] = [];
    chat.on("message", () => {
      throw new Error("a bug of the application");
    });
    const off = chat.on("message", ({ message: { seqId } }) => {
      chat.conversation(ROOM).send(`answer to ${seqId}`);
      seen.push(seqId);
      off();
    });
    server.socket.says({ type: "new-messages", data: { messages: [message(1), message(2)] } });
    expect(seen).toEqual([1]);
    expect(server.socket.sends()).toHaveLength(1);
    expect(logged).toEqual(['a listener of "message" threw', 'a listener of "message" threw']);
  });

  test("text that is no frame and frames of a later version change nothing", async ({ expect }) => {
    const { server, chat, logged } = await online();
    server.socket.saysText("{");
    server.socket.says({ type: "from-the-future", data: { any: "thing" } });
    expect(logged).toHaveLength(1);
    expect(chat.connection.get().state).toBe("online");
  });

  test("a stream gives events in order and ends with the client", async ({ expect }) => {
    const { server, chat } = await online();
    const seen: number[] = [];
    const reading = (async () => {
      for await (const event of chat.stream("message")) {
        seen.push(event.message.seqId);
      }
    })();
    await Promise.resolve();
    server.socket.says({ type: "new-messages", data: { messages: [message(1), message(2)] } });
    await chat.close();
    await reading;
    expect(seen).toEqual([1, 2]);
  });

  test("the list follows sync, messages, pointers and removals", async ({ expect }) => {
    const { server, chat, clock } = await online();
    const unread = (): number[] => chat.conversations.get().map((row) => row.unreadCount);
    server.socket.says({
      type: "sync-result",
      data: { conversations: [syncedItem([1, 2])], removed: [], nextCursor: null, serverTime: 1 },
    });
    expect(unread()).toEqual([2]);
    server.socket.says({ type: "new-message", data: { message: message(3) } });
    expect(unread()).toEqual([3]);
    expect(chat.conversations.get()[0]?.lastMessage?.seqId).toBe(3);
    chat.conversation(ROOM).markRead();
    expect(unread()).toEqual([0]);
    expect(server.socket.sent.at(-1)).toEqual({ type: "mark-read", data: { conversationId: ROOM, seqId: 3 } });
    const { clientMsgId } = chat.conversation(ROOM).send("mine");
    server.socket.says(ackOf(clientMsgId, 4));
    expect(unread()).toEqual([0]);
    clock.pass(1_000);
    server.socket.says({ type: "conversation-removed", data: { conversationId: ROOM, reason: "left" } });
    expect(chat.conversations.get()).toEqual([]);
  });

  test("a watched world room has a socket of its own while somebody watches", async ({ expect }) => {
    const { server, chat } = await online();
    const world = chat.conversation(WORLD);
    const offs = [world.watch(), world.watch()];
    expect(server.socket.url).toBe(`ws://chat.test/ws/rooms/${WORLD}`);
    offs[0]?.();
    offs[0]?.();
    expect(server.socket.closedBy).toBeUndefined();
    offs[1]?.();
    expect(server.socket.closedBy).toBe("client");
    expect(chat.conversation(ROOM).watch()).toBeTypeOf("function");
    expect(server.sockets).toHaveLength(2);
  });
});

describe("calls", () => {
  test("many refused calls refresh once, and are repeated with the new token", async ({ expect }) => {
    const { server, chat } = await online(({ path, token }) =>
      path === "/users/me" && token === "access-1" ? refusal(401, "UNAUTHENTICATED") : undefined,
    );
    await Promise.all([1, 2, 3].map(() => chat.call("GET", "/users/me")));
    expect(server.calls.filter(({ path }) => path === "/auth/refresh")).toHaveLength(1);
    expect(server.calls.filter(({ token }) => token === "access-2")).toHaveLength(3);
  });

  test("a new token is stored before it is used", async ({ expect }) => {
    const order: string[] = [];
    let saved: Session | undefined;
    const auth = {
      load: () => saved,
      save: async (session: Session | undefined) => {
        await Promise.resolve();
        saved = session;
        order.push(`saved ${session?.accessToken}`);
      },
    };
    const answers = ({ path, token }: Call): Answer | undefined => {
      if (path === "/users/me") {
        order.push(`used ${token}`);
        return token === "access-1" ? refusal(401, "UNAUTHENTICATED") : { status: 200, body: {} };
      }
      return undefined;
    };
    const { chat } = await online(answers, { auth });
    await chat.call("GET", "/users/me");
    expect(order).toEqual(["saved access-1", "used access-1", "saved access-2", "used access-2"]);
    const next = setUp(undefined, { auth });
    expect((await next.chat.resume())?.username).toBe("ana");
    expect(next.server.socket.protocols[1]).toBe("gochat.bearer.access-2");
    await next.chat.logout();
    expect(saved).toBeUndefined();
  });

  test("errors of the server, of the network, and of nobody being there", async ({ expect }) => {
    const { chat } = await online(({ path }) => {
      if (path.startsWith("/users?")) {
        return {
          status: 400,
          body: {
            error: {
              code: 1000,
              name: "INVALID_INPUT",
              message: "no",
              requestId: "r",
              retry: "never",
              fields: [{ path: "q", message: "must not be empty" }],
            },
          },
        };
      }
      return path.startsWith("/friends") ? "unreachable" : undefined;
    });
    await expect(chat.users.search("")).rejects.toMatchObject({ name: "INVALID_INPUT", fields: [{ path: "q" }] });
    await expect(chat.friends.list()).rejects.toMatchObject({ name: "NETWORK", code: 0, retry: "same" });
    await expect(setUp().chat.friends.list()).rejects.toMatchObject({ name: "NOT_SIGNED_IN" });
  });

  test("paths and bodies of the other calls", async ({ expect }) => {
    const { server, chat } = await online(({ path }) =>
      path === "/conversations" ? { status: 201, body: item(0).conversation } : undefined,
    );
    const group = await chat.createGroup({ name: "Team", memberIds: [OTHER] });
    expect(chat.conversation(ROOM)).toBe(group);
    await group.addMembers([OTHER]);
    await group.removeMember(OTHER);
    await group.members({ limit: 5 });
    await group.history({ before: 9, limit: 3 });
    await chat.friends.request(OTHER, "hello");
    await chat.friends.accept("request");
    await chat.users.search("an a", { limit: 2 });
    expect(server.calls.slice(1).map(({ method, path, body }) => [method, path, body])).toEqual([
      ["POST", "/conversations", { type: 2, name: "Team", memberIds: [OTHER] }],
      ["POST", `/conversations/${ROOM}/members`, { userIds: [OTHER] }],
      ["DELETE", `/conversations/${ROOM}/members/${OTHER}`, undefined],
      ["GET", `/conversations/${ROOM}/members?limit=5`, undefined],
      ["GET", `/conversations/${ROOM}/messages?before=9&limit=3`, undefined],
      ["POST", "/friends/requests", { targetUserId: OTHER, message: "hello" }],
      ["PUT", "/friends/requests/request", { action: "accept" }],
      ["GET", "/users?q=an%20a&limit=2", undefined],
    ]);
  });
});

test("sockets of `ws`, of a subclass with options, and of the platform fit", ({ expect }) => {
  class Plain extends NodeSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols, { perMessageDeflate: false });
    }
  }
  const fitting: SocketConstructor[] = [NodeSocket, Plain, globalThis.WebSocket];
  const chats: Chat[] = fitting.map((WebSocket) => createChat({ url: "http://127.0.0.1:1", WebSocket }));
  expect(chats).toHaveLength(3);
});

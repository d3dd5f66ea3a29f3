import { describe, test, vi } from "vitest";
import type { Session } from "./index.ts";
import { refusal, type Answer, type Call } from "./testing/fakeServer.ts";
import { item, ME, message, OTHER, ROOM, syncedItem, WORLD } from "./testing/harness.ts";
import { ackOf, online, setUp } from "./testing/setUp.ts";

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
    // Presence was late: the client asks once more.
    server.socket.says({
      type: "connected",
      data: { userId: ME, deviceId: "device", serverTime: 1, heartbeatSeconds: 30 },
    });
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
    expect(server.socket.sent.at(-1)).toMatchObject({ type: "mark-read", data: { conversationId: ROOM, seqId: 3 } });
    const { clientMsgId } = chat.conversation(ROOM).send("mine");
    server.socket.says(ackOf(clientMsgId, 4));
    expect(unread()).toEqual([0]);
    clock.pass(1_000);
    server.socket.says({ type: "conversation-removed", data: { conversationId: ROOM, reason: "left" } });
    expect(chat.conversations.get()).toEqual([]);
  });

  test("a notification that comes twice is told once", async ({ expect }) => {
    const { server, chat } = await online();
    const told: string[] = [];
    chat.on("notice", (notice) => told.push(notice.eventId));
    for (const eventId of ["a", "b", "a"]) {
      server.socket.says({ type: "notification", data: { kind: "announcement", eventId, text: "hello" } });
    }
    expect(told).toEqual(["a", "b"]);
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

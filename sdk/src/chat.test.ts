import { describe, test, vi } from "vitest";
import { WebSocket as NodeSocket } from "ws";
import { createChat, type Chat, type SocketConstructor } from "./index.ts";
import { refusal } from "./testing/fakeServer.ts";
import { message, ME, messageId, ROOM } from "./testing/harness.ts";
import { ackOf, online, setUp } from "./testing/setUp.ts";

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

  test("a socket that fails without a close event, as Node's do, counts as closed, once", async ({ expect }) => {
    const { server, chat, clock } = await online();
    server.socket.closes(1006);
    clock.pass(150);
    const refused = server.socket;
    refused.isRefused();
    const { retryAt } = chat.connection.get();
    expect(chat.connection.get()).toMatchObject({ state: "reconnecting" });
    expect((retryAt ?? 0) - clock.now()).toBeLessThan(2_000);
    // Where one comes after all, it says nothing new.
    refused.closes(1006);
    expect(chat.connection.get().retryAt).toBe(retryAt);
    clock.pass(2_000);
    expect(server.sockets).toHaveLength(3);
    // Of a socket that was open, only the close event tells.
    server.socket.greets();
    server.socket.isRefused();
    expect(chat.connection.get().state).toBe("online");
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

  test("a refused one that has arrived nevertheless is sent after all", async ({ expect }) => {
    const { server, chat } = await online();
    const sent = chat.conversation(ROOM).send("twice on its way");
    const { clientMsgId } = sent;
    const error = { code: 1003, name: "PERMISSION_DENIED", message: "Not allowed.", requestId: "r1", retry: "never" };
    server.socket.says({ type: "message-error", data: { clientMsgId, conversationId: ROOM, error } });
    await expect(sent.accepted).rejects.toMatchObject({ name: "PERMISSION_DENIED" });
    server.socket.says(ackOf(clientMsgId, 1));
    expect([sent.state.get(), sent.error]).toEqual(["sent", undefined]);
    expect(await sent.accepted).toMatchObject({ seqId: 1 });
    expect(sent.retry()).toBe(sent);
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

test("the earlier versions of a message are all of them, however many pages they are", async ({ expect }) => {
  const edits = [1, 2, 3].map((editedAt) => ({ content: `version ${editedAt}`, editedAt }));
  const { chat, server } = await online((call) => {
    if (!call.path.includes("/edits")) {
      return undefined;
    }
    const at = Number(new URLSearchParams(call.path.split("?")[1]).get("cursor") ?? 0);
    return { status: 200, body: { items: edits.slice(at, at + 1), nextCursor: at < 2 ? String(at + 1) : null } };
  });
  expect(await chat.conversation(ROOM).edits(messageId(1))).toEqual(edits);
  expect(server.calls.filter((call) => call.path.includes("/edits"))).toHaveLength(3);
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

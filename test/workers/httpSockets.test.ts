import { afterEach, describe, it } from "vitest";
import { env } from "cloudflare:workers";
import { sessionOf } from "../../src/platform/stubs.ts";
import type { AuthAnswer } from "../../src/protocol/rest.ts";
import type { ListItem } from "../../src/protocol/things.ts";
import { advance, resetClock } from "./support/harness.ts";
import { expectStatus, guest, register, request } from "./support/http.ts";
import { TestSocket } from "./support/socket.ts";

afterEach(resetClock);

const UPGRADE = { Upgrade: "websocket" };

function upgrade(path: string, headers: Record<string, string>) {
  return request("GET", path, { headers: { ...UPGRADE, ...headers } });
}

function withToken(person: AuthAnswer) {
  return { Authorization: `Bearer ${person.accessToken}` };
}

/** A socket of a response that has to be an upgrade. */
function opened(response: Response): TestSocket {
  if (response.webSocket === null) {
    throw new Error(`no upgrade: ${response.status}`);
  }
  return new TestSocket(response.webSocket);
}

describe("/ws", () => {
  it("opens with the token in the header", async ({ expect }) => {
    const me = await register();
    const { response } = await upgrade("/ws", withToken(me));
    expect(response.status).toBe(101);
    expect(response.headers.get("Sec-WebSocket-Protocol")).toBeNull();
    const socket = opened(response);
    const connected = await socket.next("connected");
    expect(connected.data).toMatchObject({ userId: me.user.userId, deviceId: me.deviceId });
    socket.close();
  });

  it("opens with the token as a subprotocol, and answers only ours", async ({ expect }) => {
    const me = await guest();
    const { response } = await upgrade("/ws", {
      "Sec-WebSocket-Protocol": `gochat.v1, gochat.bearer.${me.accessToken}`,
    });
    expect(response.status).toBe(101);
    expect(response.headers.get("Sec-WebSocket-Protocol")).toBe("gochat.v1");
    const socket = opened(response);
    expect((await socket.next("connected")).data.userId).toBe(me.user.userId);
    socket.close();
  });

  it("stays shut without a good token, and says so before any upgrade", async ({ expect }) => {
    const me = await register();
    for (const headers of [
      {},
      { Authorization: "Bearer x.y.z" },
      { "Sec-WebSocket-Protocol": "gochat.v1" },
      { "Sec-WebSocket-Protocol": "gochat.v1, gochat.bearer.x.y.z" },
      { "x-gochat-device": me.deviceId, "x-gochat-user": me.user.userId },
    ]) {
      const { response, error } = await upgrade("/ws", headers as Record<string, string>);
      expect([response.status, error?.code, response.webSocket]).toEqual([401, 1006, null]);
    }
    advance(16 * 60_000);
    expect((await upgrade("/ws", withToken(me))).response.status).toBe(401);
  });

  it("is only for upgrades", async ({ expect }) => {
    const me = await register();
    const { response, error } = await request("GET", "/ws", { token: me.accessToken });
    expect([response.status, error?.name]).toEqual([400, "INVALID_INPUT"]);
  });

  it("tells the object who asks by itself, whatever the client claims", async ({ expect }) => {
    const [me, other] = [await guest(), await register()];
    const { response } = await upgrade("/ws", {
      ...withToken(me),
      "x-gochat-device": other.deviceId,
      "x-gochat-user": other.user.userId,
      "X-GoChat-Role": "admin",
      "x-gochat-guest": "0",
    });
    const socket = opened(response);
    expect((await socket.next("connected")).data).toMatchObject({ userId: me.user.userId, deviceId: me.deviceId });
    // A system message is for admins: the forged role does not count.
    socket.send({
      type: "send-message",
      data: { clientMsgId: "x", conversationId: "world_chat_room", messageType: "system", content: "I am admin" },
    });
    expect((await socket.next("message-error")).data.error.name).toBe("PERMISSION_DENIED");
    socket.close();
  });

  it("closes at once when its device is signed out, and opens no more", async ({ expect }) => {
    const me = await register();
    const socket = opened((await upgrade("/ws", withToken(me))).response);
    await socket.next("connected");
    await expectStatus(200, request("POST", "/api/auth/logout", { token: me.accessToken }));
    expect((await socket.untilClosed()).code).toBe(4006);
    expect((await upgrade("/ws", withToken(me))).response.status).toBe(401);
  });
});

describe("/ws/rooms/{id}", () => {
  it("shows a big room to whoever is in it, from where they left", async ({ expect }) => {
    const me = await register();
    const body = { clientMsgId: "first", messageType: "text", content: "in the world" };
    const path = "/api/conversations/world_chat_room/messages";
    await expectStatus(201, request("POST", path, { token: me.accessToken, body }));
    const { response } = await upgrade("/ws/rooms/world_chat_room?since=0", withToken(me));
    expect(response.status).toBe(101);
    const socket = opened(response);
    const room = await socket.next("room");
    expect(room.data).toMatchObject({ conversationId: "world_chat_room" });
    // The shard's head is what it has served; a message on its way to it comes with the next window.
    const missed = await socket.next("new-messages");
    expect(missed.data.messages.at(-1)).toMatchObject({ content: "in the world", senderId: me.user.userId });
    socket.close();
  });

  it("closes when its device is signed out, and only then", async ({ expect }) => {
    const [me, other] = [await register(), await register()];
    const open = async (person: AuthAnswer) => {
      const socket = opened((await upgrade("/ws/rooms/world_chat_room", withToken(person))).response);
      await socket.next("room");
      return socket;
    };
    const [mine, theirs] = [await open(me), await open(other)];
    await sessionOf(env, me.user.userId).removeDevice(me.deviceId);
    expect((await mine.untilClosed()).code).toBe(4006);
    expect(theirs.closed).toBeUndefined();
    theirs.close();
  });

  it("is only for the world: a group's messages come to the own socket", async ({ expect }) => {
    const owner = await register();
    const { body } = await request("POST", "/api/conversations", {
      token: owner.accessToken,
      body: { type: 2, memberIds: [] },
    });
    const { conversationId } = body as { conversationId: string };
    const { response, error } = await upgrade(`/ws/rooms/${conversationId}`, withToken(owner));
    expect([response.status, error?.name]).toEqual([400, "INVALID_INPUT"]);
  });

  it("is not there for strangers, and shut without a token", async ({ expect }) => {
    const [owner, stranger] = [await register(), await register()];
    const { body } = await request("POST", "/api/conversations", {
      token: owner.accessToken,
      body: { type: 2, memberIds: [] },
    });
    const { conversationId } = body as { conversationId: string };
    const stay = async (path: string, headers: Record<string, string>) => {
      const { response, error } = await upgrade(path, headers);
      return [response.status, error?.name];
    };
    const unknown = "group_01ARZ3NDEKTSV4RRFFQ69G5FAV";
    expect(await stay(`/ws/rooms/${conversationId}`, withToken(stranger))).toEqual([404, "CONVERSATION_NOT_FOUND"]);
    expect(await stay(`/ws/rooms/${unknown}`, withToken(owner))).toEqual([404, "CONVERSATION_NOT_FOUND"]);
    expect(await stay("/ws/rooms/nonsense", withToken(owner))).toEqual([404, "CONVERSATION_NOT_FOUND"]);
    expect(await stay(`/ws/rooms/${conversationId}`, {})).toEqual([401, "UNAUTHENTICATED"]);
    expect(await stay("/ws/rooms/world_chat_room?since=-1", withToken(owner))).toEqual([400, "INVALID_INPUT"]);
    expect(await stay("/ws/rooms/world_chat_room?since=x", withToken(owner))).toEqual([400, "INVALID_INPUT"]);
    expect(await stay("/ws/rooms/world_chat_room?since=1&since=2", withToken(owner))).toEqual([400, "INVALID_INPUT"]);
    await sessionOf(env, owner.user.userId).removeDevice(owner.deviceId);
    expect(await stay("/ws/rooms/world_chat_room", withToken(owner))).toEqual([401, "UNAUTHENTICATED"]);
  });
});

describe("right after an acknowledgement", () => {
  /** A group of two with a socket each, and its entry in everything that shows unread counts. */
  async function pair() {
    const [a, b] = [await register(), await register()];
    const made = await expectStatus<{ conversationId: string }>(
      201,
      request("POST", "/api/conversations", {
        token: a.accessToken,
        body: { type: 2, name: "pair", memberIds: [b.user.userId] },
      }),
    );
    const { conversationId } = made;
    const socketOf = async (who: AuthAnswer) => {
      const socket = opened((await upgrade("/ws", withToken(who))).response);
      await socket.next("connected");
      return socket;
    };
    const say = async (socket: TestSocket, clientMsgId: string, to = conversationId) => {
      const data = { clientMsgId, conversationId: to, messageType: "text", content: clientMsgId } as const;
      socket.send({ type: "send-message", data });
      await socket.next("message-ack");
    };
    const shown = async (who: AuthAnswer, id = conversationId) => {
      const get = <T>(path: string) => expectStatus<T>(200, request("GET", path, { token: who.accessToken }));
      const [list, sync, one] = await Promise.all([
        get<{ items: ListItem[] }>("/api/conversations"),
        get<{ conversations: ListItem[] }>("/api/sync"),
        get<{ unreadCount: number; readSeqId: number }>(`/api/conversations/${id}`),
      ]);
      const entryOf = (items: ListItem[]) => items.find((item) => item.conversation.conversationId === id);
      const entries = [entryOf(list.items), entryOf(sync.conversations)];
      return {
        unread: [...entries.map((entry) => entry?.unreadCount), one.unreadCount],
        last: entries.map((entry) => entry?.lastMessage?.seqId),
      };
    };
    return { a, b, conversationId, socketOf, say, shown };
  }

  it("list, sync and conversation agree about what is unread, and show the newest message", async ({ expect }) => {
    const { a, b, conversationId, socketOf, say, shown } = await pair();
    const [forA, forB] = [await socketOf(a), await socketOf(b)];
    await say(forA, "one");
    await say(forB, "two");
    expect(await shown(a)).toEqual({ unread: [1, 1, 1], last: [2, 2] });
    expect(await shown(b)).toEqual({ unread: [0, 0, 0], last: [2, 2] });
    forA.send({ type: "mark-read", data: { conversationId, seqId: 2 } });
    await forA.settle();
    expect((await shown(a)).unread).toEqual([0, 0, 0]);
    await say(forA, "here", "world_chat_room");
    expect((await shown(a, "world_chat_room")).unread).toEqual([0, 0, 0]);
    forA.close();
    forB.close();
  });

  it("answers carry the frame's own id, acknowledgements and refused sends too", async ({ expect }) => {
    const { a, conversationId, socketOf } = await pair();
    const socket = await socketOf(a);
    const data = { clientMsgId: "r", conversationId, messageType: "text", content: "x" } as const;
    socket.send({ type: "send-message", id: "ack", data });
    expect((await socket.next("message-ack")).data.ref).toBe("ack");
    socket.send({ type: "send-message", id: "other", data: { ...data, content: "y" } });
    socket.send({ type: "send-message", id: "form", data: { ...data, conversationId: "group_nope" } });
    const refused = [(await socket.next("message-error")).data, (await socket.next("message-error")).data];
    expect(refused.map(({ ref, error }) => [ref, error.name])).toEqual(
      expect.arrayContaining([
        ["other", "DUPLICATE_MESSAGE"],
        ["form", "INVALID_INPUT"],
      ]),
    );
    socket.send({ type: "sync", id: "sync", data: { heads: {} } });
    expect((await socket.next("sync-result")).data.ref).toBe("sync");
    socket.send({ type: "ping", id: "ping" });
    expect((await socket.next("pong")).ref).toBe("ping");
    socket.close();
  });

  it("another tab of the same device follows the read pointer", async ({ expect }) => {
    const { a, conversationId, socketOf, say } = await pair();
    const [one, two] = [await socketOf(a), await socketOf(a)];
    await say(one, "one");
    one.send({ type: "mark-read", data: { conversationId, seqId: 1 } });
    expect((await two.next("message-read-receipt")).data).toMatchObject({ conversationId, readSeqId: 1 });
    one.close();
    two.close();
  });

  it("a client's close is answered with its own code", async ({ expect }) => {
    const { a, socketOf } = await pair();
    const room = opened((await upgrade("/ws/rooms/world_chat_room", withToken(a))).response);
    for (const socket of [await socketOf(a), room]) {
      socket.close(1000);
      expect((await socket.untilClosed()).code).toBe(1000);
    }
  });
});

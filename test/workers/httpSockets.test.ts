import { afterEach, describe, it } from "vitest";
import { env } from "cloudflare:workers";
import { sessionOf } from "../../src/platform/stubs.ts";
import type { AuthAnswer } from "../../src/protocol/rest.ts";
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
    expect(room.data.headSeqId).toBeGreaterThan(0);
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
    await sessionOf(env, owner.user.userId).removeDevice(owner.deviceId);
    expect(await stay("/ws/rooms/world_chat_room", withToken(owner))).toEqual([401, "UNAUTHENTICATED"]);
  });
});

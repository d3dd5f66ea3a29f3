import { env } from "cloudflare:workers";
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, it, vi } from "vitest";
import { CACHE_KEYS } from "../../src/cache/types.ts";
import { FanoutShard } from "../../src/objects/FanoutShard.ts";
import { UserSession } from "../../src/objects/UserSession.ts";
import { shardNumber } from "../../src/domain/sharding.ts";
import { settingsOf } from "../../src/platform/settings.ts";
import { sessionOf } from "../../src/platform/stubs.ts";
import { PING_TEXT } from "../../src/protocol/frames.ts";
import {
  advance,
  append,
  appendOne,
  eventually,
  HeldBus,
  must,
  nameOf,
  newDirect,
  newUserId,
  resetClock,
  signIn,
  text,
} from "./support/harness.ts";
import { connect, upgrade } from "./support/socket.ts";

/** Issue time of a token that is newer than any sign-in: the clock of a test stands still between its calls. */
const LATER_MS = Date.now() + 3_600_000;

let bus: HeldBus;
beforeEach(() => {
  bus = new HeldBus();
});
afterEach(() => {
  resetClock();
  vi.restoreAllMocks();
});

const stubOf = (userId: string) => env.SESSIONS.getByName(userId);

/** The object in memory: another one after its constructor has run again. */
async function incarnation(userId: string): Promise<UserSession> {
  return await runInDurableObject(stubOf(userId), (instance) => instance);
}

async function isOnline(userId: string): Promise<boolean> {
  const [value] = await env.CACHE_STORE.getByName("cache-0").pipeline([["GET", CACHE_KEYS.online(userId)]]);
  return value !== null;
}

describe("hibernation", () => {
  it("delivers to a socket that hibernated, with one run of the constructor and what the socket was", async ({
    expect,
  }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const { deviceId } = await signIn(b);
    const bob = await connect(b, deviceId);
    const before = await incarnation(b);
    await evictDurableObject(stubOf(b), { webSockets: "hibernate" });
    await append(id, [text(a, "1")]);
    expect((await bob.next("new-message")).data.message.seqId).toBe(1);
    const after = await incarnation(b);
    expect(after).not.toBe(before);

    // The attachment tells the object which device this is.
    bob.send({
      type: "send-message",
      data: { clientMsgId: "r", conversationId: id, messageType: "text", content: "hi" },
    });
    expect((await bob.next("message-ack")).data).toMatchObject({ status: "sent", seqId: 2 });
    expect(await incarnation(b)).toBe(after);
    expect(await sessionOf(env, b).devices(deviceId)).toMatchObject([{ deviceId, online: true, current: true }]);
  });

  it("answers the ping without waking, and a ping of other bytes by itself", async ({ expect }) => {
    const userId = newUserId();
    const socket = await connect(userId);
    await evictDurableObject(stubOf(userId), { webSockets: "hibernate" });
    const handler = vi.spyOn(UserSession.prototype, "webSocketMessage");
    for (let n = 1; n <= 3; n++) {
      socket.sendRaw(PING_TEXT);
      await socket.until("pong", () => socket.all("pong").length === n);
    }
    expect(handler).not.toHaveBeenCalled();
    // There is nothing to evict: the object is still not there.
    await expect(evictDurableObject(stubOf(userId))).rejects.toThrow(/not currently running/);
    await socket.settle();
    expect(handler).toHaveBeenCalledTimes(1);
  });

  it("keeps an unsubscription of a big room across it", async ({ expect }) => {
    const userId = newUserId();
    const [quiet, loud] = [await connect(userId), await connect(userId)];
    quiet.send({ type: "unsubscribe", data: { conversationId: "world_chat_room" } });
    await quiet.settle();
    await evictDurableObject(stubOf(userId), { webSockets: "hibernate" });
    const frame = JSON.stringify({ type: "new-messages", data: { messages: [] } });
    expect(await sessionOf(env, userId).deliverBigRoom("world_chat_room", [frame])).toBe(1);
    await loud.next("new-messages");
    await quiet.settle();
    expect(quiet.all("new-messages")).toEqual([]);
    quiet.send({ type: "subscribe", data: { conversationId: "world_chat_room" } });
    await quiet.settle();
    expect(await sessionOf(env, userId).deliverBigRoom("world_chat_room", [frame])).toBe(2);
  });
});

describe("deliveries", () => {
  it("shows a batch that a room repeats to nobody twice, and one that it has not seen to everybody", async ({
    expect,
  }) => {
    const userId = newUserId();
    const socket = await connect(userId);
    const session = sessionOf(env, userId);
    const typing = ['{"type":"typing"}'];
    const range = { conversationId: "world_chat_room", from: 3, to: 5 };
    expect(await session.deliver(typing, range)).toBe(1);
    expect(await session.deliver(typing, range)).toBe(1);
    expect(await session.deliver(typing, { ...range, from: 4 })).toBe(1);
    expect(await session.deliver(typing, { ...range, to: 6 })).toBe(1);
    await socket.settle();
    expect(socket.all("typing")).toHaveLength(2);
    expect(await session.heads()).toEqual({ world_chat_room: 6 });
  });
});

describe("devices and tabs", () => {
  it("serves several devices at once, each by its own name", async ({ expect }) => {
    const userId = newUserId();
    const [phone, laptop] = [await signIn(userId, { kind: "ios" }), await signIn(userId, { name: "laptop" })];
    const sockets = [await connect(userId, phone.deviceId), await connect(userId, laptop.deviceId)];
    expect(await sessionOf(env, userId).deliver([PING_TEXT])).toBe(2);
    expect(await sessionOf(env, userId).deliverToOthers(phone.deviceId, ['{"type":"typing"}'])).toBe(1);
    await sockets[1]?.next("typing");
    const devices = await sessionOf(env, userId).devices(laptop.deviceId);
    expect(devices.map(({ kind, name, online, current }) => ({ kind, name, online, current }))).toEqual([
      { kind: "ios", name: undefined, online: true, current: false },
      { kind: "web", name: "laptop", online: true, current: true },
    ]);
  });

  it("refuses the upgrade of a device that is not signed in", async ({ expect }) => {
    const userId = newUserId();
    const { deviceId } = await signIn(userId);
    expect((await upgrade(userId, "01JZZZZZZZZZZZZZZZZZZZZZZZ")).status).toBe(401);
    must(await sessionOf(env, userId).signOut(deviceId));
    expect((await upgrade(userId, deviceId)).status).toBe(401);
  });

  it("answers the subprotocol to those who offered it, and to no others", async ({ expect }) => {
    const userId = newUserId();
    const { deviceId } = await signIn(userId);
    const offered = await upgrade(userId, deviceId, { "Sec-WebSocket-Protocol": "gochat.v1, gochat.bearer.x" });
    expect(offered.headers.get("Sec-WebSocket-Protocol")).toBe("gochat.v1");
    expect((await upgrade(userId, deviceId)).headers.get("Sec-WebSocket-Protocol")).toBeNull();
  });

  it("holds eight tabs of a device; the ninth takes the place of the oldest", async ({ expect }) => {
    const userId = newUserId();
    const { deviceId } = await signIn(userId);
    const other = await connect(userId);
    const tabs = [];
    for (let n = 0; n < 9; n++) {
      tabs.push(await connect(userId, deviceId));
      // Which one is the oldest is told by the clock.
      advance(1);
    }
    expect((await tabs[0]?.untilClosed())?.code).toBe(4018);
    expect(tabs.slice(1).every((tab) => tab.closed === undefined)).toBe(true);
    await other.settle();
    expect(other.closed).toBeUndefined();
    expect(await sessionOf(env, userId).deliver([PING_TEXT])).toBe(9);
  });

  it("signs the longest unused of a kind out when a sixth comes, and tells it", async ({ expect }) => {
    const userId = newUserId();
    const phones = [];
    for (let n = 0; n < 5; n++) {
      phones.push(await signIn(userId, { kind: "ios" }));
      advance(1_000);
    }
    const [oldest, second] = phones;
    const web = await connect(userId);
    const socket = await connect(userId, oldest?.deviceId);
    // All are open and so in use: the one that was made first goes.
    for (const phone of phones.slice(1)) {
      await connect(userId, phone.deviceId);
    }
    const sixth = await signIn(userId, { kind: "ios" });
    await socket.next("session-replaced");
    expect((await socket.untilClosed()).code).toBe(4018);
    const session = sessionOf(env, userId);
    expect(nameOf(await session.admit(oldest?.deviceId ?? "", LATER_MS))).toBe("UNAUTHENTICATED");
    expect(nameOf(await session.refresh(oldest?.refreshToken ?? ""))).toBe("UNAUTHENTICATED");
    expect(nameOf(await session.admit(second?.deviceId ?? "", LATER_MS))).toBe("ok");
    expect(nameOf(await session.admit(sixth.deviceId, LATER_MS))).toBe("ok");
    // Other kinds have a limit of their own.
    await web.settle();
    expect(web.closed).toBeUndefined();
  });

  it("spares a device that is in use, by calls or by an open socket, whenever it signed in", async ({ expect }) => {
    const userId = newUserId();
    const phones = [];
    for (let n = 0; n < 5; n++) {
      phones.push(await signIn(userId, { kind: "ios" }));
      advance(1_000);
    }
    const [calls, open, idle] = phones.map((phone) => phone.deviceId);
    const session = sessionOf(env, userId);
    await session.admit(calls ?? "", LATER_MS);
    const socket = await connect(userId, open);
    advance(1_000);
    await signIn(userId, { kind: "ios" });
    expect(nameOf(await session.admit(idle ?? "", LATER_MS))).toBe("UNAUTHENTICATED");
    expect(nameOf(await session.admit(calls ?? "", LATER_MS))).toBe("ok");
    expect(nameOf(await session.admit(open ?? "", LATER_MS))).toBe("ok");
    await socket.settle();
    expect(socket.closed).toBeUndefined();
  });

  it("loses no new socket by the late close of an old one", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const { deviceId } = await signIn(b);
    const old = await connect(b, deviceId);
    const fresh = await connect(b, deviceId);
    const handled = vi.spyOn(UserSession.prototype, "webSocketClose");
    old.close();
    // Sockets of other tests may close late as well.
    const session = await incarnation(b);
    const call = (): number => handled.mock.contexts.indexOf(session);
    await eventually("the close of the old socket", () => call() >= 0);
    await handled.mock.results[call()]?.value;
    expect(await isOnline(b)).toBe(true);
    await append(id, [text(a, "1")]);
    expect((await fresh.next("new-message")).data.message.seqId).toBe(1);
    advance(31_000);
    await runDurableObjectAlarm(stubOf(b));
    expect(bus.of("gochat.user-events", b)).toMatchObject([{ event_type: "user.online" }]);
  });
});

describe("presence", () => {
  it("is a lease set before `connected`, renewed by the alarm, given back by the last close", async ({ expect }) => {
    const userId = newUserId();
    const { deviceId } = await signIn(userId);
    const socket = await connect(userId, deviceId);
    expect(await isOnline(userId)).toBe(true);
    const [online] = await bus.next("gochat.user-events", userId);
    expect(online).toMatchObject({ event_type: "user.online", user_id: userId });
    // As its consumer does; without that it would be published again.
    await stubOf(userId).presenceTold(String(online?.event_id));

    advance(4 * 60_000);
    await socket.settle();
    socket.sendRaw(PING_TEXT);
    socket.close();
    await eventually("absence in the cache", async () => !(await isOnline(userId)));
    // A quick reconnect is seen by nobody.
    advance(10_000);
    await runDurableObjectAlarm(stubOf(userId));
    expect(bus.of("gochat.user-events", userId)).toEqual([]);
    const back = await connect(userId, deviceId);
    expect(bus.of("gochat.user-events", userId)).toEqual([]);
    back.close();
    await eventually("absence in the cache", async () => !(await isOnline(userId)));
    advance(31_000);
    await runDurableObjectAlarm(stubOf(userId));
    expect(await bus.next("gochat.user-events", userId)).toMatchObject([{ event_type: "user.offline" }]);
  });

  it("outlives the close of an old socket that comes while a new one is on its way", async ({ expect }) => {
    const userId = newUserId();
    const { deviceId } = await signIn(userId);
    const old = await connect(userId, deviceId);
    old.send({ type: "unsubscribe", data: { conversationId: "world_chat_room" } });
    await old.settle();
    // The new one has to be registered with the world's shard first, which takes a while.
    const held = Promise.withResolvers<number>();
    const register = vi.spyOn(FanoutShard.prototype, "register").mockReturnValueOnce(held.promise);
    const coming = connect(userId, deviceId);
    await eventually("the registration that hangs", () => register.mock.calls.length === 1);
    const handled = vi.spyOn(UserSession.prototype, "webSocketClose");
    old.close();
    await old.untilClosed();
    await eventually("the close of the old socket", () => handled.mock.calls.length === 1);
    held.resolve(0);
    const socket = await coming;
    await socket.settle();
    expect(await isOnline(userId)).toBe(true);
    const { worldShards } = settingsOf(env);
    const shard = env.SHARDS.getByName(`world_chat_room#${shardNumber(userId, worldShards)}`);
    await eventually("the registration with the world's shard", () =>
      runInDurableObject(
        shard,
        (_shard, state) =>
          state.storage.sql.exec("SELECT 1 FROM sessions WHERE user_id = ?", userId).toArray().length === 1,
      ),
    );
  });

  it("is not for a device that was signed out while its socket was on its way", async ({ expect }) => {
    const userId = newUserId();
    const { deviceId } = await signIn(userId);
    const held = Promise.withResolvers<number>();
    const register = vi.spyOn(FanoutShard.prototype, "register").mockReturnValueOnce(held.promise);
    const coming = upgrade(userId, deviceId);
    await eventually("the registration that hangs", () => register.mock.calls.length === 1);
    must(await sessionOf(env, userId).removeDevice(deviceId));
    held.resolve(0);
    expect((await coming).status).toBe(401);
    expect(await isOnline(userId)).toBe(false);
  });

  it("does not sweep a socket that talks instead of pinging", async ({ expect }) => {
    const userId = newUserId();
    const talker = await connect(userId);
    advance(60_000);
    await talker.settle();
    await evictDurableObject(stubOf(userId), { webSockets: "hibernate" });
    advance(60_000);
    await runDurableObjectAlarm(stubOf(userId));
    await talker.settle();
    expect(talker.closed).toBeUndefined();
  });

  it("sweeps a socket whose client has not pinged for long", async ({ expect }) => {
    const userId = newUserId();
    const ghost = await connect(userId);
    ghost.sendRaw(PING_TEXT);
    await ghost.next("pong");
    advance(101_000);
    await runDurableObjectAlarm(stubOf(userId));
    expect((await ghost.untilClosed()).code).toBe(4019);
  });

  it("bears a client that only listens for much longer", async ({ expect }) => {
    const userId = newUserId();
    const listener = await connect(userId);
    advance(101_000);
    await runDurableObjectAlarm(stubOf(userId));
    await listener.settle();
    expect(listener.closed).toBeUndefined();
    advance(15 * 60_000 + 1_000);
    await runDurableObjectAlarm(stubOf(userId));
    expect((await listener.untilClosed()).code).toBe(4019);
  });

  it("clears what a crash left: a room that thinks us here is told otherwise", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    await connect(b);
    await evictDurableObject(stubOf(b), { webSockets: "close" });
    // As after a kill: the lease stands, the socket is gone.
    await env.CACHE_STORE.getByName("cache-0").pipeline([["SET", CACHE_KEYS.online(b), "1", 300_000]]);
    await appendOne(id, text(a, "1"));
    await eventually("absence in the cache", async () => !(await isOnline(b)));
    expect(await isOnline(b)).toBe(false);
  });
});

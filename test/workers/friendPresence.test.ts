/** Who hears that a user has come or gone, from the socket through the bus to the friends' sockets. */
import { env } from "cloudflare:workers";
import { evictDurableObject } from "cloudflare:test";
import { afterEach, describe, it, vi } from "vitest";
import { readPresence } from "../../src/cache/presence.ts";
import { CACHE_KEYS } from "../../src/cache/types.ts";
import { WATCHED_LIMIT } from "../../src/domain/audience.ts";
import { CacheStore } from "../../src/objects/CacheStore.ts";
import { UserSession } from "../../src/objects/UserSession.ts";
import { newId } from "../../src/platform/ids.ts";
import { sessionOf } from "../../src/platform/stubs.ts";
import { PING_TEXT } from "../../src/protocol/frames.ts";
import { advance, deliver, eventually, HeldBus, must, newUserId, resetClock, signIn } from "./support/harness.ts";
import { alarmOf, cache, friends, goOffline, leave, newAccount, repo, told, USER_EVENTS } from "./support/presence.ts";
import { connect } from "./support/socket.ts";

afterEach(() => {
  resetClock();
  vi.restoreAllMocks();
});

describe("through the queue", () => {
  it("friends hear of the first socket, and of the absence that lasts, once each; nobody else does", async ({
    expect,
  }) => {
    const [a, b] = await friends();
    const [onB, stranger] = [await connect(b), await connect(await newAccount())];
    const { deviceId } = await signIn(a);
    const onA = await connect(a, deviceId);
    expect((await onB.next("friend-online")).data).toEqual({ userId: a });
    const second = await connect(a);
    second.close();
    await second.untilClosed();
    const before = Date.now();
    await goOffline(a, onA);
    const { data } = await onB.next("friend-offline");
    expect(data.userId).toBe(a);
    expect(data.lastSeenAt).toBeGreaterThanOrEqual(before);
    expect(data.lastSeenAt).toBeLessThan(before + 10_000);
    await connect(a, deviceId);
    await onB.next("friend-online");
    expect(told(onB)).toEqual(["online", "offline", "online"]);
    await stranger.settle();
    expect(told(stranger)).toEqual([]);
    expect((await repo.friends.friends(b, { limit: 10 })).ok).toBe(true);
  });

  it("two who become friends see that the other is here", async ({ expect }) => {
    const [a, b] = [await newAccount(), await newAccount()];
    const [onA, onB] = [await connect(a), await connect(b)];
    for (const [userId, targetUserId] of [
      [a, b],
      [b, a],
    ] as const) {
      const row = await repo.users.byId(userId);
      const now = Date.now();
      const requester = {
        userId,
        username: "x",
        displayName: "x",
        isGuest: false,
        role: "user" as const,
        createdAt: 0,
      };
      expect(row).not.toBeNull();
      must(await repo.friends.request({ requester, targetUserId, requestId: newId(now), eventId: newId(now), now }));
      await sessionOf(env, userId).watchOutbox();
      await alarmOf(userId);
    }
    expect((await onA.next("friend-online")).data).toEqual({ userId: b });
    expect((await onB.next("friend-online")).data).toEqual({ userId: a });
  });
});

describe("a quick reconnect", () => {
  it("is seen by nobody: not by push, not in the lists", async ({ expect }) => {
    const [a, b] = await friends();
    const onB = await connect(b);
    const { deviceId } = await signIn(a);
    let socket = await connect(a, deviceId);
    await onB.next("friend-online");
    for (let n = 0; n < 3; n++) {
      await leave(a, socket);
      advance(25_000);
      await alarmOf(a);
      expect((await readPresence(cache, [a], Date.now())).get(a)).toBe(true);
      expect((await sessionOf(env, a).presence()).online).toBe(true);
      socket = await connect(a, deviceId);
    }
    await onB.settle();
    expect(told(onB)).toEqual(["online"]);
    await goOffline(a, socket);
    await onB.next("friend-offline");
    expect((await readPresence(cache, [a], Date.now())).get(a)).toBe(false);
  });

  it("may also be that of a client whose server died; who stays away is gone after the while, not for ever here", async ({
    expect,
  }) => {
    const [a, b] = await friends();
    const onB = await connect(b);
    const { deviceId } = await signIn(a);
    await connect(a, deviceId);
    await onB.next("friend-online");
    await evictDurableObject(env.SESSIONS.getByName(a), { webSockets: "close" });
    advance(121_000);
    // The alarm that was to renew the lease finds nobody, and no word of a farewell.
    await alarmOf(a);
    expect((await sessionOf(env, a).presence()).online).toBe(true);
    advance(20_000);
    await connect(a, deviceId);
    await onB.settle();
    expect(told(onB)).toEqual(["online"]);

    await evictDurableObject(env.SESSIONS.getByName(a), { webSockets: "close" });
    await alarmOf(a);
    advance(30_001);
    await alarmOf(a);
    await onB.next("friend-offline");
    expect((await sessionOf(env, a).presence()).online).toBe(false);
  });

  it("is not what a client makes that was silent until it was swept", async ({ expect }) => {
    const [a, b] = await friends();
    const onB = await connect(b);
    const ghost = await connect(a);
    await onB.next("friend-online");
    ghost.sendRaw(PING_TEXT);
    await ghost.next("pong");
    const heardAt = Date.now();
    advance(101_000);
    await alarmOf(a);
    const { data } = await onB.next("friend-offline");
    expect(Math.abs((data.lastSeenAt ?? 0) - heardAt)).toBeLessThan(5_000);
    expect((await ghost.untilClosed()).code).toBe(4019);
    // The close that comes in late is no other leaving.
    await alarmOf(a);
    await onB.settle();
    expect(told(onB)).toEqual(["online", "offline"]);
  });

  it("is not what a device makes that was signed out: nobody waits for its answer to the close", async ({ expect }) => {
    const [a, b] = await friends();
    const onB = await connect(b);
    const { deviceId } = await signIn(a);
    await connect(a, deviceId);
    await onB.next("friend-online");
    must(await sessionOf(env, a).removeDevice(deviceId));
    await eventually("absence in the cache", async () => {
      const [lease] = await cache.pipeline([["GET", CACHE_KEYS.online(a)]]);
      return lease === null;
    });
    advance(30_001);
    await alarmOf(a);
    expect((await onB.next("friend-offline")).data.userId).toBe(a);
  });
});

describe("after the end of a friendship", () => {
  it("neither hears of the other, also not who had asked for it", async ({ expect }) => {
    const [a, b] = await friends();
    const onB = await connect(b);
    const onA = await connect(a);
    await onB.next("friend-online");
    onB.send({ type: "subscribe", data: { presence: [a] } });
    await onB.next("friend-online");
    expect(await repo.friends.remove(a, b, newId(Date.now()), Date.now())).toBe(true);
    await goOffline(a, onA);
    const left = async () => (await sessionOf(env, a).presence()).watchers;
    await eventually("the watcher to be forgotten", async () => (await left()).length === 0);
    await onB.settle();
    expect(told(onB)).toEqual(["online", "online"]);
    onB.send({ type: "subscribe", data: { presence: [a] } });
    await onB.settle();
    expect(told(onB)).toEqual(["online", "online"]);
    expect(await left()).toEqual([]);
  });
});

describe("asked for", () => {
  it("is what is so now, and every change of it, on the socket that asked; hibernation and all", async ({ expect }) => {
    const [a, b] = await friends();
    const { deviceId } = await signIn(b);
    const [asks, other] = [await connect(b, deviceId), await connect(b)];
    asks.send({ type: "subscribe", data: { presence: [a, b, newUserId()] } });
    // Never here, and so never seen.
    expect((await asks.next("friend-offline")).data).toEqual({ userId: a });
    expect((await sessionOf(env, a).presence()).watchers).toEqual([b]);
    await evictDurableObject(env.SESSIONS.getByName(b), { webSockets: "hibernate" });
    const bus = new HeldBus();
    const onA = await connect(a);
    // As if this friend were beyond those who are told anyway: not known to be here.
    await cache.pipeline([["DEL", CACHE_KEYS.online(b)]]);
    await deliver(USER_EVENTS, await bus.next(USER_EVENTS, a));
    expect((await asks.next("friend-online")).data).toEqual({ userId: a });
    await other.settle();
    expect(told(other)).toEqual([]);

    asks.send({ type: "unsubscribe", data: { presence: [a] } });
    await asks.settle();
    expect((await sessionOf(env, a).presence()).watchers).toEqual([]);
    await goOffline(a, onA);
    await deliver(USER_EVENTS, await bus.next(USER_EVENTS, a));
    await asks.settle();
    expect(told(asks)).toEqual(["offline", "online"]);
  });

  it("is forgotten when the one who asked has gone", async ({ expect }) => {
    const [a, b] = await friends();
    const asks = await connect(b);
    asks.send({ type: "subscribe", data: { presence: [a] } });
    await asks.next("friend-offline");
    await leave(b, asks);
    const bus = new HeldBus();
    await connect(a);
    await deliver(USER_EVENTS, await bus.next(USER_EVENTS, a));
    expect((await sessionOf(env, a).presence()).watchers).toEqual([]);
  });

  it("is bounded on each socket", async ({ expect }) => {
    const b = await newAccount();
    const ids = Array.from({ length: WATCHED_LIMIT + 1 }, () => newUserId());
    const insert = env.DB.prepare("INSERT INTO friendships SELECT ?, value, 1 FROM json_each(?)");
    await insert.bind(b, JSON.stringify(ids)).run();
    const socket = await connect(b);
    const watched = vi.spyOn(UserSession.prototype, "watch");
    socket.send({ type: "subscribe", id: "many", data: { presence: ids } });
    expect((await socket.next("error")).data).toMatchObject({ ref: "many", error: { name: "INVALID_INPUT" } });
    expect(watched).not.toHaveBeenCalled();
    socket.send({ type: "subscribe", data: { presence: ids.slice(0, 3) } });
    await socket.until("all three", () => told(socket).length === 3);
    // What each costs is limited as well: every user asked for is a call to another object.
    watched.mockResolvedValue({ online: false, at: 0, watchers: [] });
    for (let n = 0; n < 15; n++) {
      socket.send({ type: "subscribe", id: "again", data: { presence: ids.slice(0, WATCHED_LIMIT) } });
    }
    const refused = await socket.next("error");
    expect(refused.data).toMatchObject({ ref: "again", error: { name: "RATE_LIMITED" } });
  });
});

describe("lists without the cache", () => {
  it("say nothing about presence", async ({ expect }) => {
    const [a, b] = await friends();
    await connect(a);
    expect(await readPresence(cache, [a, b], Date.now())).toEqual(
      new Map([
        [a, true],
        [b, false],
      ]),
    );
    vi.spyOn(CacheStore.prototype, "pipeline").mockRejectedValue(new Error("away"));
    expect(await readPresence(cache, [a, b], Date.now())).toEqual(new Map());
    const emptied = { pipeline: () => Promise.resolve([String(Date.now() - 1_000), ["1", null], [null, null]]) };
    expect(await readPresence(emptied, [a, b], Date.now())).toEqual(new Map([[a, true]]));
  });
});

/** Who hears that a user has come or gone, from the socket through the bus to the friends' sockets. */
import { env } from "cloudflare:workers";
import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, describe, it, vi } from "vitest";
import { readPresence } from "../../src/cache/presence.ts";
import { CACHE_KEYS } from "../../src/cache/types.ts";
import { PRESENCE_PUSHES, WATCHED_LIMIT } from "../../src/domain/audience.ts";
import { CacheStore } from "../../src/objects/CacheStore.ts";
import { UserSession } from "../../src/objects/UserSession.ts";
import { newId } from "../../src/platform/ids.ts";
import { cacheAt, sessionOf } from "../../src/platform/stubs.ts";
import { PING_TEXT } from "../../src/protocol/frames.ts";
import { repositories } from "../../src/repo/index.ts";
import { advance, deliver, eventually, HeldBus, must, newUserId, resetClock, signIn } from "./support/harness.ts";
import { connect, type TestSocket } from "./support/socket.ts";

const repo = repositories(env);
const cache = cacheAt(env, 0);
const USER_EVENTS = "gochat.user-events";

afterEach(() => {
  resetClock();
  vi.restoreAllMocks();
});

type Event = { event_id: string; event_type: string; payload: { last_seen_at: number } };

async function newAccount(): Promise<string> {
  const userId = newUserId();
  const username = `p-${userId.slice(-12).toLowerCase()}`;
  must(
    await repo.users.create({
      userId,
      username,
      displayName: username,
      passwordHash: null,
      isGuest: false,
      eventId: newUserId(),
      now: Date.now(),
    }),
  );
  return userId;
}

async function befriend(a: string, b: string): Promise<void> {
  const now = Date.now();
  const rows = [
    [a, b],
    [b, a],
  ].map(([userId, friendId]) =>
    env.DB.prepare("INSERT INTO friendships VALUES (?, ?, ?)").bind(userId ?? "", friendId ?? "", now),
  );
  await env.DB.batch(rows);
}

async function friends(): Promise<[string, string]> {
  const [a, b] = [await newAccount(), await newAccount()];
  await befriend(a, b);
  return [a, b];
}

const alarmOf = (userId: string) => runDurableObjectAlarm(env.SESSIONS.getByName(userId));

/** Closes the last socket of a user, and waits until the user's object knows. */
async function leave(userId: string, socket: TestSocket): Promise<void> {
  socket.close();
  await eventually("absence in the cache", async () => {
    const [lease] = await cache.pipeline([["GET", CACHE_KEYS.online(userId)]]);
    return lease === null;
  });
}

/** The user is away for so long that it is news. */
async function goOffline(userId: string, socket: TestSocket): Promise<void> {
  await leave(userId, socket);
  advance(30_001);
  await alarmOf(userId);
}

/** What this socket was told of others' presence. */
function told(socket: TestSocket): string[] {
  return socket.frames.flatMap((frame) =>
    frame.type === "friend-online" ? ["online"] : frame.type === "friend-offline" ? ["offline"] : [],
  );
}

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

describe("an event", () => {
  it("only says that something changed: what is no longer so is told to nobody, in whatever order it comes", async ({
    expect,
  }) => {
    const [a, b] = await friends();
    const onB = await connect(b);
    const bus = new HeldBus();
    const { deviceId } = await signIn(a);
    const first = await connect(a, deviceId);
    const [online] = await bus.next<Event>(USER_EVENTS, a);
    await goOffline(a, first);
    const [offline] = await bus.next<Event>(USER_EVENTS, a);
    // Here once more before anybody has handled either.
    const again = await connect(a, deviceId);
    const [back] = await bus.next<Event>(USER_EVENTS, a);
    expect([online, offline, back].map((event) => event?.event_type)).toEqual([
      "user.online",
      "user.offline",
      "user.online",
    ]);
    expect((await deliver(USER_EVENTS, [offline, back, online])).acked).toHaveLength(3);
    await onB.settle();
    expect(told(onB)).toEqual(["online"]);
    // All of them once more: nothing new, nothing shown.
    await deliver(USER_EVENTS, [online, offline, back, offline]);
    await onB.settle();
    expect(told(onB)).toEqual(["online"]);
    await goOffline(a, again);
    const late = await bus.next<Event>(USER_EVENTS, a);
    await deliver(USER_EVENTS, [online, ...late, back]);
    await onB.settle();
    expect(told(onB)).toEqual(["online", "offline"]);
  });

  it("that the bus refuses is repeated by the alarm, under the same id; what came after it is what counts", async ({
    expect,
  }) => {
    const [a] = await friends();
    const bus = new HeldBus();
    bus.refuse = true;
    const socket = await connect(a);
    await eventually("the refusal", () => bus.refusals > 0);
    const refused = bus.refusals;
    await alarmOf(a);
    expect(bus.refusals).toBe(refused + 1);
    bus.refuse = false;
    await alarmOf(a);
    const [online] = bus.take<Event>(USER_EVENTS, a);
    expect(online?.event_type).toBe("user.online");
    await alarmOf(a);
    expect(bus.take(USER_EVENTS, a)).toEqual([]);
    bus.refuse = true;
    await goOffline(a, socket);
    bus.refuse = false;
    await connect(a);
    expect(await bus.next<Event>(USER_EVENTS, a)).toMatchObject([{ event_type: "user.online" }]);
    await alarmOf(a);
    expect(bus.take(USER_EVENTS, a)).toEqual([]);
  });

  it("that died in a killed queue is published again, under the same id, until a consumer has told it", async ({
    expect,
  }) => {
    const [a, b] = await friends();
    const onB = await connect(b);
    const bus = new HeldBus();
    const { deviceId } = await signIn(a);
    const socket = await connect(a, deviceId);
    const [lost] = await bus.next<Event>(USER_EVENTS, a);
    // A moment later there is nothing more to say, also not for who only comes back.
    await alarmOf(a);
    await leave(a, socket);
    const back = await connect(a, deviceId);
    await back.settle();
    expect(bus.take(USER_EVENTS, a)).toEqual([]);
    advance(120_001);
    await alarmOf(a);
    const again = bus.take<Event>(USER_EVENTS, a);
    expect(again.map((event) => event.event_id)).toEqual([lost?.event_id]);
    await deliver(USER_EVENTS, again);
    expect((await onB.next("friend-online")).data).toEqual({ userId: a });
    // The first one was not lost after all: nobody is told twice, and nothing is left to publish.
    await deliver(USER_EVENTS, [lost]);
    advance(240_000);
    await alarmOf(a);
    await onB.settle();
    expect(told(onB)).toEqual(["online"]);
    expect(bus.take(USER_EVENTS, a)).toEqual([]);
  });

  it("is known to be unconfirmed by the next life of the object, and given up after an hour", async ({ expect }) => {
    const [a] = await friends();
    const bus = new HeldBus();
    await goOffline(a, await connect(a));
    const first = (await bus.next<Event>(USER_EVENTS, a)).at(-1);
    expect(first?.event_type).toBe("user.offline");
    await evictDurableObject(env.SESSIONS.getByName(a), { webSockets: "close" });
    const published: number[] = [];
    for (const minutes of [0, 1, 29, 1, 31, 1]) {
      advance(minutes * 60_000);
      await alarmOf(a);
      const events = bus.take<Event>(USER_EVENTS, a);
      expect(events.every((event) => event.event_id === first?.event_id)).toBe(true);
      published.push(events.length);
    }
    // Each time it is twice as old, and a last time when its hour is over.
    expect(published).toEqual([1, 0, 1, 0, 1, 0]);
  });

  it("is handled again when a friend could not be told, and shows those who were nothing twice", async ({ expect }) => {
    const [a, b] = await friends();
    const c = await newAccount();
    await befriend(a, c);
    const [onB, onC] = [await connect(b), await connect(c)];
    const bus = new HeldBus();
    await connect(a);
    const events = await bus.next(USER_EVENTS, a);
    const real = UserSession.prototype.showPresence;
    const one = vi.spyOn(UserSession.prototype, "showPresence").mockImplementationOnce(() => {
      throw new Error("away");
    });
    expect((await deliver(USER_EVENTS, events)).retried).toHaveLength(1);
    one.mockImplementation(real);
    expect((await deliver(USER_EVENTS, events)).acked).toHaveLength(1);
    await Promise.all([onB.settle(), onC.settle()]);
    expect([told(onB), told(onC)]).toEqual([["online"], ["online"]]);
  });

  it("costs a bounded number of pushes, however many friends are here", async ({ expect }) => {
    const a = await newAccount();
    const now = Date.now();
    const ids = Array.from({ length: PRESENCE_PUSHES + 60 }, () => newUserId());
    const insert = env.DB.prepare("INSERT INTO friendships SELECT ?, value, ? FROM json_each(?)");
    await insert.bind(a, now, JSON.stringify(ids)).run();
    await cache.pipeline(ids.map((id) => ["SET", CACHE_KEYS.online(id), "1", 300_000]));
    const shown = vi.fn<() => Promise<number>>().mockResolvedValue(1);
    const presence = () => Promise.resolve({ online: true, at: 1, watchers: [] });
    const presenceTold = () => Promise.resolve();
    // As many objects as friends would only take their time.
    vi.spyOn(env.SESSIONS, "get").mockReturnValue({ presence, showPresence: shown, presenceTold } as never);
    const event = { event_id: newId(now), event_type: "user.online", timestamp: 1, user_id: a };
    await deliver(USER_EVENTS, [{ ...event, payload: { last_seen_at: now } }]);
    expect(shown.mock.calls.length).toBe(PRESENCE_PUSHES);
  });
});

describe("a batch of events", () => {
  it("looks all friends up with one statement, however many have come at once", async ({ expect }) => {
    const [a, b] = await friends();
    const bus = new HeldBus();
    const onB = await connect(b);
    const others = await Promise.all(Array.from({ length: 20 }, () => newAccount()));
    await Promise.all([a, ...others].map((userId) => connect(userId)));
    const events = [];
    for (const userId of [a, ...others]) {
      events.push(...(await bus.next(USER_EVENTS, userId)));
    }
    // Of this batch alone: the real queue may still bring events of those who came in the tests before.
    const prepare = vi.fn<D1Database["prepare"]>((statement) => env.DB.prepare(statement));
    const counted = { ...env, DB: { prepare } as unknown as D1Database };
    expect((await deliver(USER_EVENTS, events, 1, counted)).acked).toHaveLength(21);
    await onB.next("friend-online");
    // Friends; and that nothing of these events waits in the outbox.
    expect(prepare).toHaveBeenCalledTimes(2);
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

/** Events of users who came or went: late, twice, refused, lost, and many at once. */
import { env } from "cloudflare:workers";
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, it, vi } from "vitest";
import { CACHE_KEYS } from "../../src/cache/types.ts";
import { PRESENCE_PUSHES } from "../../src/domain/audience.ts";
import type { PresenceFact } from "../../src/domain/comings.ts";
import type { Attachment } from "../../src/objects/SessionSockets.ts";
import { UserSession } from "../../src/objects/UserSession.ts";
import { newId } from "../../src/platform/ids.ts";
import { advance, deliver, envWith, eventually, HeldBus, newUserId, resetClock, signIn } from "./support/harness.ts";
import {
  alarmOf,
  befriend,
  cache,
  friends,
  goOffline,
  leave,
  newAccount,
  told,
  USER_EVENTS,
  type Event,
} from "./support/presence.ts";
import { connect } from "./support/socket.ts";

afterEach(() => {
  resetClock();
  vi.restoreAllMocks();
});

/** Two friends, of whom one listens; the other has come, and nobody has handled the event of that yet. */
async function coming() {
  const [a, b] = await friends();
  const onB = await connect(b);
  const bus = new HeldBus();
  const { deviceId } = await signIn(a);
  const socket = await connect(a, deviceId);
  const [online] = await bus.next<Event>(USER_EVENTS, a);
  return { a, onB, bus, deviceId, socket, online };
}

/** The event that the object would publish, were its memory and its sockets gone. */
async function newsOnDisk(userId: string): Promise<string | undefined> {
  return runInDurableObject(env.SESSIONS.getByName(userId), (_, { storage }) => {
    const [fact] = storage.sql.exec<{ value: string }>("SELECT value FROM facts WHERE name = 'presence'").toArray();
    return (JSON.parse(fact?.value ?? "{}") as PresenceFact).news?.eventId;
  });
}

/** Does its only socket remember that this was told? */
async function knows(userId: string, eventId = ""): Promise<boolean> {
  return runInDurableObject(env.SESSIONS.getByName(userId), (_, ctx) => {
    const [socket, ...more] = ctx.getWebSockets().filter(({ readyState }) => readyState === WebSocket.OPEN);
    const attachment = socket?.deserializeAttachment() as Attachment | undefined;
    return more.length === 0 && attachment?.told === eventId;
  });
}

describe("an event", () => {
  it("only says that something changed: what is no longer so is told to nobody, in whatever order it comes", async ({
    expect,
  }) => {
    const { a, onB, bus, deviceId, socket, online } = await coming();
    await goOffline(a, socket);
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
    const { a, onB, bus, deviceId, socket, online: lost } = await coming();
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

  it("that was told leaves the disk with the next alarm; until then a socket knows, also of an object that slept", async ({
    expect,
  }) => {
    const { a, bus, deviceId, socket, online } = await coming();
    await deliver(USER_EVENTS, [online]);
    expect(await newsOnDisk(a)).toBe(online?.event_id);
    await evictDurableObject(env.SESSIONS.getByName(a));
    // One that comes now does not know; the one that does goes, and leaves it to the other.
    const second = await connect(a, deviceId);
    socket.close();
    await eventually("the other socket's knowledge", () => knows(a, online?.event_id));
    await evictDurableObject(env.SESSIONS.getByName(a));
    expect(await newsOnDisk(a)).toBe(online?.event_id);
    advance(240_000);
    await alarmOf(a);
    expect(await newsOnDisk(a)).toBeUndefined();
    await evictDurableObject(env.SESSIONS.getByName(a));
    advance(240_000);
    await alarmOf(a);
    expect(bus.take(USER_EVENTS, a)).toEqual([]);
    await goOffline(a, second);
    expect((await bus.next<Event>(USER_EVENTS, a)).map((event) => event.event_type)).toEqual(["user.offline"]);
  });

  it("is known to have been told by a socket that this side has closed, too", async ({ expect }) => {
    const { a, bus, deviceId, online } = await coming();
    await deliver(USER_EVENTS, [online]);
    await evictDurableObject(env.SESSIONS.getByName(a));
    await connect(a, deviceId);
    await runInDurableObject(env.SESSIONS.getByName(a), (_, ctx) => {
      const [first] = ctx
        .getWebSockets()
        .filter((one) => (one.deserializeAttachment() as Attachment).told !== undefined);
      first?.close(4000, "its client does not answer");
    });
    advance(240_000);
    await alarmOf(a);
    expect(bus.take(USER_EVENTS, a)).toEqual([]);
    expect(await newsOnDisk(a)).toBeUndefined();
  });

  it("that was told just before the server died is told once more, under the same id, and is no news to who is awake", async ({
    expect,
  }) => {
    const { a, onB, bus, online } = await coming();
    await deliver(USER_EVENTS, [online]);
    await evictDurableObject(env.SESSIONS.getByName(a), { webSockets: "close" });
    await alarmOf(a);
    const again = await bus.next<Event>(USER_EVENTS, a);
    expect(again.map((event) => event.event_id)).toEqual([online?.event_id]);
    await deliver(USER_EVENTS, again);
    expect(await newsOnDisk(a)).toBeUndefined();
    await onB.settle();
    expect(told(onB)).toEqual(["online"]);
  });

  it("of somebody without friends counts as told when nobody else has asked, and costs one call", async ({
    expect,
  }) => {
    const a = await newAccount();
    const bus = new HeldBus();
    const calls = [vi.spyOn(UserSession.prototype, "presence"), vi.spyOn(UserSession.prototype, "presenceTold")];
    await connect(a);
    await deliver(USER_EVENTS, await bus.next(USER_EVENTS, a));
    expect(calls.map((call) => call.mock.calls.length)).toEqual([1, 0]);
    advance(240_000);
    await alarmOf(a);
    expect(await newsOnDisk(a)).toBeUndefined();
    expect(bus.take(USER_EVENTS, a)).toEqual([]);
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
    const session = { presence, showPresence: shown, presenceTold };
    const SESSIONS = { idFromName: (name: string) => env.SESSIONS.idFromName(name), get: () => session };
    const event = { event_id: newId(now), event_type: "user.online", timestamp: 1, user_id: a };
    await deliver(USER_EVENTS, [{ ...event, payload: { last_seen_at: now } }], 1, envWith({ SESSIONS }));
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
    expect((await deliver(USER_EVENTS, events, 1, envWith({ DB: { prepare } }))).acked).toHaveLength(21);
    await onB.next("friend-online");
    // Nothing of these events stands in the outbox of SQL, so nothing is deleted there.
    expect(prepare).toHaveBeenCalledTimes(1);
  });
});

import { afterEach, beforeEach, describe, it, vi } from "vitest";
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { SYSTEM_USER_ID } from "../../src/domain/systemUser.ts";
import type { FanoutShard } from "../../src/objects/FanoutShard.ts";
import { UserSession } from "../../src/objects/UserSession.ts";
import { settingsOf } from "../../src/platform/settings.ts";
import { shardOf } from "../../src/platform/stubs.ts";
import { asKey, auditAbout, newAdmin } from "./support/admins.ts";
import {
  advance,
  appendOne,
  deliver,
  HeldBus,
  newDirect,
  newGroup,
  newUserId,
  resetClock,
  text,
  WORLD_ROOM_ID,
} from "./support/harness.ts";
import { expectStatus, guest, register, request } from "./support/http.ts";
import { connect, type TestSocket } from "./support/socket.ts";

const TOPIC = "gochat.notifications";

let bus: HeldBus;
beforeEach(() => {
  bus = new HeldBus();
});
afterEach(() => {
  resetClock();
  vi.restoreAllMocks();
});

const announcements = (socket: TestSocket) =>
  socket.all("notification").flatMap(({ data }) => (data.kind === "announcement" ? [data] : []));

/** Announces, and answers the events on the bus. */
async function announce(body: { text: string; conversationId?: string }) {
  const { eventId } = await expectStatus<{ eventId: string }>(200, asKey("POST", "/announcements", body));
  const events = (await bus.next(TOPIC, body.conversationId ?? WORLD_ROOM_ID)).filter(
    (event) => event["event_id"] === eventId,
  );
  return { eventId, events };
}

describe("an announcement", () => {
  it("to everyone comes to every socket, of who has unsubscribed from the world as well, with one id", async ({
    expect,
  }) => {
    const people = await Promise.all([newUserId(), newUserId(), newUserId()].map((userId) => connect(userId)));
    const [, quiet] = people;
    quiet?.send({ type: "unsubscribe", data: { conversationId: WORLD_ROOM_ID } });
    await quiet?.settle();
    const { eventId, events } = await announce({ text: "We close at ten." });
    expect(events).toMatchObject([{ operator_id: SYSTEM_USER_ID, payload: { text: "We close at ten." } }]);
    await deliver(TOPIC, events);
    const [{ payload } = { payload: {} }] = events as { payload?: { at?: number } }[];
    const createdAt = payload?.at;
    expect(createdAt).toBeGreaterThan(Date.now() - 60_000);
    for (const socket of people) {
      await socket.next("notification");
      expect(announcements(socket)).toEqual([{ kind: "announcement", eventId, text: "We close at ten.", createdAt }]);
    }
    // Again: the same id, so that a client can tell. Nothing is left to be published.
    await deliver(TOPIC, events);
    await quiet?.until("the repetition", () => announcements(quiet).length === 2);
    expect(new Set(quiet === undefined ? [] : announcements(quiet).map((notice) => notice.eventId))).toEqual(
      new Set([eventId]),
    );
    const left = await env.DB.prepare("SELECT count(*) AS n FROM outbox_events WHERE event_id = ?")
      .bind(eventId)
      .first("n");
    expect(left).toBe(0);
    expect((await auditAbout(WORLD_ROOM_ID))[0]).toMatchObject({ action: "announcement", actor: "key" });
  });

  it("is for listeners across a sleep of the shard, until they have gone", async ({ expect }) => {
    const userId = newUserId();
    const socket = await connect(userId);
    socket.send({ type: "unsubscribe", data: { conversationId: WORLD_ROOM_ID } });
    await socket.settle();
    const shard = shardOf(env, WORLD_ROOM_ID, userId, settingsOf(env).worldShards);
    const listeners = () =>
      runInDurableObject(shard as DurableObjectStub<FanoutShard>, (_object, state) =>
        state.storage.sql.exec("SELECT user_id FROM listeners").toArray(),
      );
    expect(await listeners()).toContainEqual({ user_id: userId });
    socket.close();
    await vi.waitFor(async () => expect(await listeners()).not.toContainEqual({ user_id: userId }));
  });

  it("to a conversation comes to its members alone, in a group of more than 500 to those online", async ({
    expect,
  }) => {
    const [a, b, stranger] = [newUserId(), newUserId(), newUserId()];
    const others = Array.from({ length: 505 }, newUserId);
    const [ann, ben, sam] = [await connect(a), await connect(b), await connect(stranger)];
    for (const conversationId of [
      await newDirect(a, b),
      await newGroup([a, b]),
      await newGroup([a, b, ...others], 1_000),
    ]) {
      const called = vi.spyOn(UserSession.prototype, "deliver");
      const { eventId, events } = await announce({ text: "to you", conversationId });
      called.mockClear();
      await deliver(TOPIC, events);
      for (const socket of [ann, ben]) {
        await socket.until("it", () => announcements(socket).some((notice) => notice.eventId === eventId));
        expect(announcements(socket).at(-1)).toMatchObject({ text: "to you", conversationId });
      }
      expect(called.mock.calls.length).toBe(2);
    }
    await sam.settle();
    expect(announcements(sam)).toEqual([]);
  });

  it("is refused without text, in no conversation, in a dismissed one", async ({ expect }) => {
    for (const body of [
      {},
      { text: "" },
      { text: " \n" },
      { text: "x".repeat(2_001) },
      { text: "x", conversationId: "none" },
    ]) {
      expect((await asKey("POST", "/announcements", body)).error?.name).toBe("INVALID_INPUT");
    }
    const nothing = `group_${newUserId()}`;
    const id = await newGroup([newUserId(), newUserId()]);
    await expectStatus(200, asKey("DELETE", `/conversations/${id}`));
    for (const conversationId of [nothing, id]) {
      const answer = await asKey("POST", "/announcements", { text: "x", conversationId });
      expect(answer.error?.name).toBe("CONVERSATION_NOT_FOUND");
    }
    expect(await auditAbout(nothing)).toEqual([]);
  });

  it("that a group's settings took away is not pushed", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newGroup([a, b]);
    const socket = await connect(a);
    const event = {
      event_id: `${id}:7`,
      event_type: "group.announcement",
      timestamp: 1,
      conversation_id: id,
      operator_id: b,
      payload: { text: "" },
    };
    expect((await deliver(TOPIC, [event])).acked).toHaveLength(1);
    await socket.settle();
    expect(announcements(socket)).toEqual([]);
  });
});

describe("the welcome", () => {
  it("waits for the first socket, and comes once, whatever is repeated", async ({ expect }) => {
    for (const person of [await register(), await guest()]) {
      const { userId } = person.user;
      const events = await bus.next(TOPIC, userId);
      expect(events).toMatchObject([{ event_type: "welcome", user_id: userId }]);
      await deliver(TOPIC, events);
      await deliver(TOPIC, events);
      const first = await connect(userId, person.deviceId);
      const { data } = await first.next("notification");
      // In milliseconds, as everything on the wire, though events count seconds.
      const { createdAt } = person.user;
      expect(data).toEqual({ kind: "welcome", eventId: events[0]?.["event_id"], createdAt });
      await deliver(TOPIC, events);
      const second = await connect(userId, person.deviceId);
      await Promise.all([first.settle(), second.settle()]);
      expect([first.all("notification"), second.all("notification")].map((all) => all.length)).toEqual([1, 0]);
    }
  });

  it("comes to a socket that is faster than the bus", async ({ expect }) => {
    const person = await register();
    const { userId } = person.user;
    const socket = await connect(userId, person.deviceId);
    await deliver(TOPIC, await bus.next(TOPIC, userId));
    expect((await socket.next("notification")).data.kind).toBe("welcome");
  });

  it("is published again when the queue lost it", async ({ expect }) => {
    const person = await register();
    const { userId } = person.user;
    await bus.next(TOPIC, userId);
    await runInDurableObject(env.SESSIONS.getByName(userId), (session: UserSession) => session.alarm());
    expect(await bus.next(TOPIC, userId)).toMatchObject([{ event_type: "welcome" }]);
  });
});

describe("a conversation", () => {
  it("is inspected by who is no member, and that stands in the audit", async ({ expect }) => {
    const admin = await newAdmin();
    const [owner, member] = [await register(), await register()];
    const body = { type: 2, name: "Group", memberIds: [member.user.userId] };
    const made = await expectStatus<{ conversationId: string }>(
      201,
      request("POST", "/api/conversations", { token: owner.accessToken, body }),
    );
    const id = made.conversationId;
    const seen = await request("GET", `/api/admin/conversations/${id}`, { token: admin.accessToken });
    expect(seen.body).toMatchObject({
      conversation: { conversationId: id, name: "Group", memberCount: 2, headSeqId: 0 },
      members: expect.arrayContaining([
        expect.objectContaining({ userId: owner.user.userId, role: 3, displayName: owner.user.displayName }),
        expect.objectContaining({ userId: member.user.userId, role: 1 }),
      ]),
      persistedSeqId: 0,
      outbox: expect.any(Number),
    });
    expect(await auditAbout(id)).toMatchObject([{ action: "conversation.inspect", actor: admin.user.userId }]);
    expect((await asKey("GET", `/conversations/${WORLD_ROOM_ID}`)).body).toMatchObject({ conversation: { type: 3 } });
  });

  it("is dismissed: gone for its members, still there for admins", async ({ expect }) => {
    const [owner, member] = [await register(), await register()];
    const body = { type: 2, name: "Group", memberIds: [member.user.userId] };
    const { accessToken: token } = owner;
    const made = request("POST", "/api/conversations", { token, body });
    const id = (await expectStatus<{ conversationId: string }>(201, made)).conversationId;
    await expectStatus(200, asKey("DELETE", `/conversations/${id}`, { reason: "abuse" }));
    expect((await request("GET", `/api/conversations/${id}`, { token })).error?.name).toBe("CONVERSATION_NOT_FOUND");
    const list = await request("GET", "/api/conversations", { token });
    expect(list.text).not.toContain(id);
    expect((await asKey("GET", `/conversations/${id}`)).body).toMatchObject({
      conversation: { dismissedAt: expect.any(Number) },
    });
    expect((await asKey("DELETE", `/conversations/${id}`)).error?.name).toBe("CONVERSATION_NOT_FOUND");
    const acts = (await auditAbout(id)).map(({ action, reason }) => ({ action, reason }));
    expect(acts).toEqual([{ action: "conversation.inspect" }, { action: "conversation.dismiss", reason: "abuse" }]);
  });

  it("loses a message at any age: for members, in the direct ones too, and once in the audit", async ({ expect }) => {
    const [a, b] = [await register(), await register()];
    const ids = [a.user.userId, b.user.userId] as const;
    for (const id of [await newDirect(...ids), await newGroup([...ids]), WORLD_ROOM_ID]) {
      const sent = await appendOne(id, text(ids[0], newUserId(), "a secret"));
      advance(3 * 60_000);
      const path = `/conversations/${id}/messages/${sent.messageId}`;
      const gone = await asKey("DELETE", path, { reason: "leak" });
      expect(gone.body).toMatchObject({ messageId: sent.messageId, seqId: sent.seqId, recalledAt: expect.any(Number) });
      const history = await request("GET", `/api/conversations/${id}/messages`, { token: b.accessToken });
      expect(history.text).toContain(sent.messageId);
      expect(history.text).not.toContain("a secret");
      expect(await auditAbout(sent.messageId)).toMatchObject([
        { action: "message.remove", actor: "key", reason: "leak" },
      ]);
    }
    const id = await newGroup([...ids]);
    for (const [path, name] of [
      [`/conversations/${id}/messages/${newUserId()}`, "MESSAGE_NOT_FOUND"],
      [`/conversations/${id}/messages/nonsense`, "MESSAGE_NOT_FOUND"],
      [`/conversations/group_${newUserId()}/messages/${newUserId()}`, "CONVERSATION_NOT_FOUND"],
    ] as const) {
      expect((await asKey("DELETE", path)).error?.name, path).toBe(name);
    }
  });

  it("that is none, direct or the world is not dismissed, and nothing stands in the audit", async ({ expect }) => {
    const direct = await newDirect(newUserId(), newUserId());
    const none = `group_${newUserId()}`;
    for (const [id, name] of [
      [direct, "PERMISSION_DENIED"],
      [WORLD_ROOM_ID, "PERMISSION_DENIED"],
      [none, "CONVERSATION_NOT_FOUND"],
      ["nonsense", "CONVERSATION_NOT_FOUND"],
    ] as const) {
      expect((await asKey("DELETE", `/conversations/${id}`)).error?.name, id).toBe(name);
      expect((await auditAbout(id)).filter((entry) => entry.action === "conversation.dismiss")).toEqual([]);
    }
    expect((await asKey("GET", `/conversations/${none}`)).error?.name).toBe("CONVERSATION_NOT_FOUND");
  });
});

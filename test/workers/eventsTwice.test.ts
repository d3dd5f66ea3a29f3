import { afterEach, beforeAll, beforeEach, describe, it, vi } from "vitest";
import { env } from "cloudflare:workers";
import { SYSTEM_USER_ID } from "../../src/domain/systemUser.ts";
import { sessionOf } from "../../src/platform/stubs.ts";
import { EVENT_TOPICS, EVENTS, topicOf, type EventType } from "../../src/protocol/events.ts";
import { repositories } from "../../src/repo/index.ts";
import { appendOne, deliver, HeldBus, newGroup, newUserId, resetClock, text, viewOf } from "./support/harness.ts";
import { expectStatus, register, request } from "./support/http.ts";
import { connect, type TestSocket } from "./support/socket.ts";

/** Every event of the bus, and its consumer: the second time changes nothing and says nothing that the first did not say. */

let bus: HeldBus;
beforeEach(() => {
  bus = new HeldBus();
});
afterEach(() => {
  resetClock();
  vi.restoreAllMocks();
});

/** Two friends, their direct conversation, a group of both and one message in it; a request of `a` to a third. */
type Cast = {
  a: string;
  b: string;
  group: string;
  messageId: string;
  conversation: unknown;
  user: unknown;
  request: unknown;
};

let cast: Cast;
beforeAll(async () => {
  const [ana, ben, eve] = [await register(), await register(), await register()];
  const ask = (targetUserId: string) =>
    request("POST", "/api/friends/requests", { token: ana.accessToken, body: { targetUserId } });
  const { requestId } = await expectStatus<{ requestId: string }>(201, ask(ben.user.userId));
  const accept = { token: ben.accessToken, body: { action: "accept" } };
  await expectStatus(200, request("PUT", `/api/friends/requests/${requestId}`, accept));
  const [a, b] = [ana.user.userId, ben.user.userId];
  const group = await newGroup([a, b]);
  const { messageId } = await appendOne(group, text(a, "1"));
  const { conversation, headSeqId } = await viewOf(group, a);
  cast = {
    a,
    b,
    group,
    messageId,
    conversation: { ...conversation, headSeqId },
    user: (({ userId, username, displayName, isGuest, role, createdAt }) => ({
      userId,
      username,
      displayName,
      isGuest,
      role,
      createdAt,
    }))(ana.user),
    request: await expectStatus(201, ask(eve.user.userId)),
  };
});

type Parts = Record<string, unknown> & { payload: Record<string, unknown> };

/** What each event is about. An event of the table in src/protocol that is missing here does not compile. */
const PARTS: { [Type in EventType]: (people: Cast) => Parts } = {
  "user.online": ({ a }) => ({ user_id: a, payload: { last_seen_at: 1 } }),
  "user.offline": ({ a }) => ({ user_id: a, payload: { last_seen_at: 1 } }),
  "user.profile.updated": ({ a, user }) => ({ user_id: a, payload: { user } }),
  "user.banned": () => ({ user_id: newUserId(), operator_id: SYSTEM_USER_ID, payload: { at: 5 } }),
  "user.unbanned": ({ a }) => ({ user_id: a, operator_id: SYSTEM_USER_ID, payload: { at: 5 } }),
  "friend.request.sent": ({ a, b, request: asked, user }) => ({
    user_id: a,
    target_user_id: b,
    payload: { request: asked, user },
  }),
  "friend.request.accepted": ({ a, b, request: asked, user }) => ({
    user_id: b,
    target_user_id: a,
    payload: { request: { ...(asked as object), requesterId: a, targetUserId: b, status: "accepted" }, user },
  }),
  "friend.request.rejected": ({ a, b, request: asked }) => ({
    user_id: b,
    target_user_id: a,
    payload: { request: asked },
  }),
  "friend.removed": ({ a, b }) => ({ user_id: a, target_user_id: b, payload: { user_ids: [a, b] } }),
  "conversation.created": ({ a, b, conversation }) => byOperator({ conversation, member_ids: [a, b] }),
  "conversation.updated": ({ conversation }) => byOperator({ conversation }),
  "conversation.dismissed": ({ conversation }) => byOperator({ conversation }),
  "conversation.member.added": ({ b, conversation }) =>
    byOperator({ conversation, members: [{ user_id: b, role: 1, joined_at: 1 }] }),
  "conversation.member.removed": () => byOperator({ user_id: newUserId(), reason: "removed" }),
  "conversation.member.role.updated": ({ b }) => byOperator({ user_id: b, role: 1 }),
  "conversation.joined.requested": () => byOperator({ user_id: newUserId(), request_id: newUserId() }),
  "message.read": ({ group, b }) => ({ conversation_id: group, user_id: b, payload: { from_seq: 0, to_seq: 1 } }),
  "message.recalled": ({ messageId }) => byOperator({ message_id: messageId, seq_id: 1 }),
  "message.edited": ({ messageId }) => byOperator({ message_id: messageId, seq_id: 1, content: "x", edited_at: 1 }),
  "message.send.failed": ({ a, group }) => ({
    conversation_id: group,
    payload: { sender_id: a, client_msg_id: "c", code: 1012 },
  }),
  "message.persist.failed": ({ a, group, messageId }) => ({
    conversation_id: group,
    payload: { sender_id: a, client_msg_id: "1", message_id: messageId, seq_id: 1 },
  }),
  "friend.request.new": ({ a, b, request: asked }) => ({ user_id: a, target_user_id: b, payload: { request: asked } }),
  "conversation.invited": ({ b }) => byOperator({ user_ids: [b] }),
  "group.announcement": () => byOperator({ text: "hear, hear" }),
  welcome: ({ a }) => ({ user_id: a, payload: {} }),
};

function byOperator(payload: Record<string, unknown>): Parts {
  return { conversation_id: cast.group, operator_id: cast.a, payload };
}

/** Frames that nobody sends twice, since they are shown once (src/domain/notices.ts). */
const SHOWN_ONCE: ReadonlySet<EventType> = new Set(["welcome"]);

/** Everything that a consumer could have changed in SQL. */
async function rowsInSql(): Promise<unknown> {
  const tables = ["users", "friendships", "friendship_requests", "conversations", "conversation_members", "messages"];
  const counts = await env.DB.batch([
    ...tables.map((table) => env.DB.prepare(`SELECT count(*) AS n FROM ${table}`)),
    env.DB.prepare("SELECT count(*) AS n, sum(log_id) AS logs, sum(version) AS versions FROM conversations"),
    env.DB.prepare("SELECT count(*) AS n FROM outbox_events"),
    env.DB.prepare("SELECT count(*) AS n FROM dead_letters"),
  ]);
  return counts.map((result) => result.results);
}

/** What these sockets have got since the last look, in no order. */
async function said(sockets: readonly TestSocket[], from: number[]): Promise<string[][]> {
  await Promise.all(sockets.map((socket) => socket.settle()));
  return sockets.map((socket, index) => {
    const frames = socket.frames.slice(from[index]).filter((frame) => frame.type !== "pong");
    from[index] = socket.frames.length;
    return frames.map((frame) => JSON.stringify(frame)).toSorted();
  });
}

describe("an event that comes twice", () => {
  const all = EVENT_TOPICS.flatMap((topic) => EVENTS[topic].options.map((option) => option.shape.event_type.value));

  it.for(all)("%s", async (type, { expect }) => {
    const { a, b } = cast;
    const sockets = [await connect(a), await connect(b)];
    const from = [0, 0];
    await said(sockets, from);
    const id = newUserId();
    const event = { event_id: id, event_type: type, timestamp: 1_700_000_000, ...PARTS[type](cast) };
    const topic = topicOf(type);
    expect(EVENTS[topic].safeParse(event).error).toBeUndefined();

    expect((await deliver(topic, [event])).acked).toHaveLength(1);
    const first = await said(sockets, from);
    const [sql, sent] = [await rowsInSql(), bus.sent.length];

    expect((await deliver(topic, [event, event])).acked).toHaveLength(2);
    const again = await said(sockets, from);
    // The same frames or none, a notification with the same id: never one that the first time did not have.
    again.forEach((frames, index) => expect(first[index]).toEqual(expect.arrayContaining([...new Set(frames)])));
    expect(SHOWN_ONCE.has(type) ? again : []).toEqual(SHOWN_ONCE.has(type) ? [[], []] : []);
    expect(await rowsInSql()).toEqual(sql);
    expect(bus.sent.length).toBe(sent);
    sockets.forEach((socket) => socket.close());
  });

  it("is not remembered for ever to be recognised: what it changes is guarded where it is stored", async ({
    expect,
  }) => {
    // A ban that is told again after its repeal changes nothing, however late.
    const userId = newUserId();
    await sessionOf(env, userId).setBan({ banned: false, at: 10 });
    const event = {
      event_id: newUserId(),
      event_type: "user.banned",
      timestamp: 1,
      user_id: userId,
      operator_id: SYSTEM_USER_ID,
      payload: { at: 5 },
    };
    await deliver("gochat.user-events", [event]);
    const socket = await connect(userId);
    expect(socket.closed).toBeUndefined();
    expect(await repositories(env).users.byId(userId)).toBeNull();
  });
});

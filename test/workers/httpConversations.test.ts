import { env } from "cloudflare:workers";
import { describe, it } from "vitest";
import { repositories } from "../../src/repo/index.ts";
import { roomOf } from "../../src/platform/stubs.ts";
import {
  AddMembersAnswer,
  type AuthAnswer,
  ConversationAnswer,
  ConversationList,
  FriendList,
  FriendRequestAnswer,
  FriendRequestList,
  MemberList,
  MessageList,
  ReadAnswer,
  SyncAnswer,
} from "../../src/protocol/rest.ts";
import { type ListItem, Message } from "../../src/protocol/things.ts";
import { append, eventually, must, text as textSend } from "./support/harness.ts";
import { expectStatus, guest, register, request } from "./support/http.ts";

const NOBODY = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

type Person = AuthAnswer;

/** A call as this person. */
function as(person: Person, method: string, path: string, body?: unknown) {
  return request(method, path, { token: person.accessToken, body });
}

/** Name of the error of a call as this person, or its status. */
async function refusal(person: Person, method: string, path: string, body?: unknown): Promise<string> {
  const { response, error } = await as(person, method, path, body);
  return error?.name ?? String(response.status);
}

async function people(count: number): Promise<Person[]> {
  const all = [];
  for (let i = 0; i < count; i++) {
    all.push(await register());
  }
  return all;
}

async function befriend(a: Person, b: Person): Promise<ConversationAnswer> {
  await expectStatus(201, as(a, "POST", "/api/friends/requests", { targetUserId: b.user.userId }));
  const accepted = await expectStatus<FriendRequestAnswer>(
    201,
    as(b, "POST", "/api/friends/requests", { targetUserId: a.user.userId }),
  );
  if (accepted.conversation === undefined) {
    throw new Error("a crossing request made no conversation");
  }
  return accepted.conversation;
}

async function newGroup(owner: Person, ...others: Person[]): Promise<ConversationAnswer> {
  const body = { type: 2, name: "Group", memberIds: others.map((other) => other.user.userId) };
  return ConversationAnswer.strict().parse(await expectStatus(201, as(owner, "POST", "/api/conversations", body)));
}

let keys = 0;

async function send(person: Person, conversationId: string, content: string): Promise<Message> {
  keys += 1;
  const body = { clientMsgId: `c-${keys}`, messageType: "text", content };
  const sent = await expectStatus(201, as(person, "POST", `/api/conversations/${conversationId}/messages`, body));
  return Message.strict().parse(sent);
}

async function listOf(person: Person, query = ""): Promise<ConversationList> {
  return ConversationList.strict().parse(await expectStatus(200, as(person, "GET", `/api/conversations${query}`)));
}

async function itemOf(person: Person, conversationId: string): Promise<ListItem | undefined> {
  return (await listOf(person)).items.find((item) => item.conversation.conversationId === conversationId);
}

describe("friendship", () => {
  it("begins with a request and an acceptance, which makes the conversation", async ({ expect }) => {
    const [a, b, c] = (await people(3)) as [Person, Person, Person];
    const body = { targetUserId: b.user.userId, message: "hello" };
    const asked = FriendRequestAnswer.strict().parse(
      await expectStatus(201, as(a, "POST", "/api/friends/requests", body)),
    );
    expect(asked).toMatchObject({ requesterId: a.user.userId, status: "pending", message: "hello" });
    expect(await expectStatus(201, as(a, "POST", "/api/friends/requests", body))).toEqual(asked);

    const incoming = FriendRequestList.strict().parse(await expectStatus(200, as(b, "GET", "/api/friends/requests")));
    expect(incoming.items).toMatchObject([{ requestId: asked.requestId, user: { userId: a.user.userId } }]);
    const outgoing = await as(a, "GET", "/api/friends/requests?direction=outgoing&status=pending");
    expect(outgoing.body).toMatchObject({ items: [{ requestId: asked.requestId, user: { userId: b.user.userId } }] });

    const path = `/api/friends/requests/${asked.requestId}`;
    expect(await refusal(a, "PUT", path, { action: "accept" })).toBe("NOT_FOUND");
    expect(await refusal(c, "PUT", path, { action: "accept" })).toBe("NOT_FOUND");
    expect(await refusal(b, "PUT", path, { action: "maybe" })).toBe("INVALID_INPUT");
    const accepted = FriendRequestAnswer.strict().parse(
      await expectStatus(200, as(b, "PUT", path, { action: "accept" })),
    );
    const conversationId = `single_${[a.user.userId, b.user.userId].toSorted().join("_")}`;
    expect(accepted).toMatchObject({ status: "accepted", conversation: { conversationId, type: 1, memberCount: 2 } });
    expect(await refusal(b, "PUT", path, { action: "reject" })).toBe("CONFLICT");
    expect(await refusal(a, "POST", "/api/friends/requests", body)).toBe("CONFLICT");

    for (const [person, friend] of [
      [a, b],
      [b, a],
    ] as const) {
      const list = FriendList.strict().parse(await expectStatus(200, as(person, "GET", "/api/friends")));
      expect(list.items.map((item) => item.user.userId)).toEqual([friend.user.userId]);
      const item = await itemOf(person, conversationId);
      expect(item).toMatchObject({ role: 1, unreadCount: 0, peer: { userId: friend.user.userId } });
    }
    const made = await as(a, "POST", "/api/conversations", { type: 1, memberIds: [b.user.userId] });
    expect([made.response.status, (made.body as ConversationAnswer).conversationId]).toEqual([201, conversationId]);
    expect(await refusal(a, "POST", "/api/conversations", { type: 1, memberIds: [c.user.userId] })).toBe(
      "PERMISSION_DENIED",
    );
    expect(await refusal(a, "POST", "/api/conversations", { type: 1, memberIds: [a.user.userId] })).toBe(
      "PERMISSION_DENIED",
    );
    expect(await refusal(c, "GET", `/api/conversations/${conversationId}`)).toBe("CONVERSATION_NOT_FOUND");
    expect(await refusal(c, "GET", `/api/conversations/${conversationId}/messages`)).toBe("CONVERSATION_NOT_FOUND");

    await expectStatus(200, as(a, "DELETE", `/api/friends/${b.user.userId}`));
    expect(await refusal(a, "DELETE", `/api/friends/${b.user.userId}`)).toBe("NOT_FOUND");
    expect((await as(b, "GET", "/api/friends")).body).toMatchObject({ items: [] });
  });

  it("is made once by requests at the same moment", async ({ expect }) => {
    const [a, b] = (await people(2)) as [Person, Person];
    const ask = (from: Person, to: Person) =>
      as(from, "POST", "/api/friends/requests", { targetUserId: to.user.userId });
    const answers = await Promise.all([ask(a, b), ask(b, a)]);
    const statuses = answers.map(({ body }) => (body as FriendRequestAnswer).status);
    expect(statuses.toSorted()).toEqual(["accepted", "pending"]);
    expect((await as(a, "GET", "/api/friends")).body).toMatchObject({ items: [{ user: { userId: b.user.userId } }] });
  });

  it("is not for guests, nor with oneself or nobody", async ({ expect }) => {
    const [a, visitor] = [await register(), await guest()];
    const ask = (from: Person, targetUserId: string, more = {}) =>
      refusal(from, "POST", "/api/friends/requests", { targetUserId, ...more });
    expect(await ask(visitor, a.user.userId)).toBe("PERMISSION_DENIED");
    expect(await ask(a, visitor.user.userId)).toBe("PERMISSION_DENIED");
    expect(await ask(a, a.user.userId)).toBe("INVALID_INPUT");
    expect(await ask(a, NOBODY)).toBe("USER_NOT_FOUND");
    expect(await ask(a, "x")).toBe("INVALID_INPUT");
    expect(await ask(a, NOBODY, { message: "x".repeat(201) })).toBe("INVALID_INPUT");
  });
});

describe("groups", () => {
  it("are made, listed and left", async ({ expect }) => {
    const [owner, b, c] = (await people(3)) as [Person, Person, Person];
    const group = await newGroup(owner, b, b);
    expect(group).toMatchObject({ type: 2, name: "Group", ownerId: owner.user.userId, memberCount: 2, role: 3 });
    const path = `/api/conversations/${group.conversationId}`;
    expect(await itemOf(b, group.conversationId)).toMatchObject({ role: 1, conversation: { name: "Group" } });
    expect(await itemOf(c, group.conversationId)).toBeUndefined();
    expect(await refusal(c, "GET", path)).toBe("CONVERSATION_NOT_FOUND");

    const visitor = await guest();
    const userIds = [c.user.userId, visitor.user.userId, NOBODY, c.user.userId];
    expect(await refusal(b, "POST", `${path}/members`, { userIds })).toBe("PERMISSION_DENIED");
    expect(await refusal(c, "POST", `${path}/members`, { userIds })).toBe("CONVERSATION_NOT_FOUND");
    const added = AddMembersAnswer.strict().parse(
      await expectStatus(200, as(owner, "POST", `${path}/members`, { userIds })),
    );
    expect(added.added).toMatchObject([{ userId: c.user.userId, displayName: c.user.displayName, role: 1 }]);
    expect(added.failed).toEqual([
      { userId: visitor.user.userId, code: 1002 },
      { userId: NOBODY, code: 1001 },
    ]);
    expect(await itemOf(c, group.conversationId)).toMatchObject({ conversation: { memberCount: 3 } });

    const members = MemberList.strict().parse(await expectStatus(200, as(c, "GET", `${path}/members?limit=2`)));
    const rest = await as(c, "GET", `${path}/members?limit=2&cursor=${members.nextCursor}`);
    const exact = await as(c, "GET", `${path}/members?limit=3`);
    expect(MemberList.strict().parse(exact.body).nextCursor).toBeNull();
    const all = [...members.items, ...MemberList.strict().parse(rest.body).items].map((member) => member.userId);
    expect(all).toEqual([owner, b, c].map((person) => person.user.userId).toSorted());

    expect(await refusal(b, "DELETE", `${path}/members/${c.user.userId}`)).toBe("PERMISSION_DENIED");
    expect(await refusal(owner, "DELETE", `${path}/members/${owner.user.userId}`)).toBe("CONFLICT");
    expect(await refusal(owner, "DELETE", `${path}/members/${NOBODY}`)).toBe("USER_NOT_FOUND");
    await expectStatus(200, as(owner, "DELETE", `${path}/members/${c.user.userId}`));
    await expectStatus(200, as(b, "DELETE", `${path}/members/${b.user.userId}`));
    for (const gone of [b, c]) {
      expect(await itemOf(gone, group.conversationId)).toBeUndefined();
      for (const [method, where, body] of [
        ["GET", "", undefined],
        ["GET", "/messages", undefined],
        ["GET", "/members", undefined],
        ["PUT", "/read", { seqId: 1 }],
        ["POST", "/messages", { clientMsgId: "x", messageType: "text", content: "x" }],
      ] as const) {
        expect(await refusal(gone, method, path + where, body), where).toBe("CONVERSATION_NOT_FOUND");
      }
    }
    await expectStatus(200, as(owner, "DELETE", `${path}/members/${owner.user.userId}`));
    expect(await itemOf(owner, group.conversationId)).toBeUndefined();
  });

  it("are not made by guests, nor with them, nor with more than fit", async ({ expect }) => {
    const [owner, visitor] = [await register(), await guest()];
    const make = (person: Person, body: object) => refusal(person, "POST", "/api/conversations", { type: 2, ...body });
    expect(await make(visitor, { memberIds: [] })).toBe("PERMISSION_DENIED");
    expect(await make(owner, { memberIds: [visitor.user.userId] })).toBe("PERMISSION_DENIED");
    expect(await make(owner, { memberIds: [NOBODY] })).toBe("USER_NOT_FOUND");
    const [b, c] = (await people(2)) as [Person, Person];
    expect(await make(owner, { memberIds: [b.user.userId, c.user.userId], maxMembers: 2 })).toBe("GROUP_FULL");
    for (const bad of [
      { type: 3 },
      { type: "2" },
      { maxMembers: 1 },
      { maxMembers: 1e9 },
      { name: "\n" },
      { memberIds: 1 },
    ]) {
      expect(await make(owner, { memberIds: [], ...bad }), JSON.stringify(bad)).toBe("INVALID_INPUT");
    }
  });

  it("keep those apart who have blocked one another", async ({ expect }) => {
    const [owner, b] = (await people(2)) as [Person, Person];
    await env.DB.prepare("INSERT INTO blocks VALUES (?, ?, 0)").bind(b.user.userId, owner.user.userId).run();
    const body = { type: 2, memberIds: [b.user.userId] };
    expect(await refusal(owner, "POST", "/api/conversations", body)).toBe("PERMISSION_DENIED");
  });
});

describe("messages", () => {
  it("are sent, paged and answered the same when sent again", async ({ expect }) => {
    const [a, b] = (await people(2)) as [Person, Person];
    const { conversationId } = await befriend(a, b);
    const path = `/api/conversations/${conversationId}/messages`;
    const texts = ["one", "two \u{1F600}", " three ", "four\nlines", "five"];
    const sent = [];
    for (const text of texts) {
      sent.push(await send(a, conversationId, text));
    }
    expect(sent.map((message) => message.seqId)).toEqual([1, 2, 3, 4, 5]);
    const page = async (person: Person, query: string) =>
      MessageList.strict().parse(await expectStatus(200, as(person, "GET", path + query))).items;
    expect((await page(b, "")).map((message) => message.content)).toEqual(texts);
    expect((await page(b, "?limit=2")).map((message) => message.seqId)).toEqual([4, 5]);
    expect((await page(b, "?before=4&limit=2")).map((message) => message.seqId)).toEqual([2, 3]);
    expect((await page(b, "?after=2&limit=2")).map((message) => message.seqId)).toEqual([3, 4]);
    const walk = async (query: string): Promise<number[][]> => {
      const pages = [];
      for (let cursor: string | null = ""; cursor !== null;) {
        const asked: string = cursor === "" ? query : `${query}&cursor=${cursor}`;
        const { items, nextCursor } = MessageList.parse(await expectStatus(200, as(b, "GET", path + asked)));
        pages.push(items.map((message) => message.seqId));
        cursor = nextCursor;
      }
      return pages;
    };
    expect(await walk("?limit=2")).toEqual([[4, 5], [2, 3], [1]]);
    expect(await walk("?limit=2&after=0")).toEqual([[1, 2], [3, 4], [5]]);
    expect(await walk("?limit=2&after=0&before=5")).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(await refusal(b, "GET", `${path}?cursor=x`)).toBe("INVALID_INPUT");
    expect((await page(a, "?limit=1"))[0]).toHaveProperty("clientMsgId");
    expect((await page(b, "?limit=1"))[0]).not.toHaveProperty("clientMsgId");

    const { clientMsgId, messageType, content } = sent[0] as Message;
    const again = { clientMsgId, messageType, content };
    expect(await expectStatus(201, as(a, "POST", path, again))).toEqual(sent[0]);
    expect(await refusal(a, "POST", path, { ...again, content: "other" })).toBe("DUPLICATE_MESSAGE");
    expect(await page(a, "")).toHaveLength(5);
  });

  it("are refused when they are nonsense, and store nothing", async ({ expect }) => {
    const owner = await register();
    const { conversationId } = await newGroup(owner);
    const path = `/api/conversations/${conversationId}/messages`;
    const good = { clientMsgId: "k", messageType: "text", content: "x" };
    for (const bad of [
      { content: "" },
      { content: " \n\t" },
      { content: "\ud800" },
      { content: "x".repeat(8001) },
      { content: 7 },
      { content: null },
      { messageType: "video" },
      { messageType: "image", content: { key: "../x" } },
      { clientMsgId: "" },
      { clientMsgId: "a b" },
      { clientMsgId: "x".repeat(65) },
      { replyTo: "nothing" },
      { mentions: "everybody" },
      { mentions: Array.from({ length: 51 }, () => NOBODY) },
    ]) {
      expect(await refusal(owner, "POST", path, { ...good, ...bad }), JSON.stringify(bad).slice(0, 60)).toBe(
        "INVALID_INPUT",
      );
    }
    expect(await refusal(owner, "POST", path, { ...good, messageType: "system" })).toBe("PERMISSION_DENIED");
    expect(await refusal(owner, "POST", path, { ...good, replyTo: NOBODY })).toBe("MESSAGE_NOT_FOUND");
    expect((await as(owner, "GET", path)).body).toMatchObject({ items: [] });
  });
});

describe("reading", () => {
  it("moves the pointer forward, never back nor past the head", async ({ expect }) => {
    const [a, b] = (await people(2)) as [Person, Person];
    const { conversationId } = await befriend(a, b);
    for (const text of ["one", "two", "three"]) {
      await send(a, conversationId, text);
    }
    expect(await itemOf(b, conversationId)).toMatchObject({
      unreadCount: 3,
      readSeqId: 0,
      conversation: { headSeqId: 3 },
      lastMessage: { seqId: 3, content: "three" },
    });
    expect(await itemOf(a, conversationId)).toMatchObject({ unreadCount: 0, readSeqId: 3 });
    const read = async (method: string, seqId: number) =>
      ReadAnswer.parse(await expectStatus(200, as(b, method, `/api/conversations/${conversationId}/read`, { seqId })));
    expect(await read("PUT", 2)).toMatchObject({ readSeqId: 2, unreadCount: 1 });
    expect(await itemOf(b, conversationId)).toMatchObject({ readSeqId: 2, unreadCount: 1 });
    expect(await read("POST", 1)).toMatchObject({ readSeqId: 2, unreadCount: 1 });
    expect(await read("PUT", 99)).toMatchObject({ readSeqId: 3, unreadCount: 0 });
    expect((await as(b, "GET", `/api/conversations/${conversationId}`)).body).toMatchObject({
      readSeqId: 3,
      unreadCount: 0,
    });
    for (const seqId of [-1, 1.5, "1", null, 2 ** 60]) {
      expect(await refusal(b, "PUT", `/api/conversations/${conversationId}/read`, { seqId }), String(seqId)).toBe(
        "INVALID_INPUT",
      );
    }
  });
});

describe("the world room", () => {
  it("begins for a new account where it stands", async ({ expect }) => {
    const early = await register();
    const sent = await send(early, "world_chat_room", "before your time");
    const late = await register();
    const visitor = await guest();
    for (const person of [late, visitor]) {
      // The list takes heads from the cache, which may be a moment behind: never more than what is read.
      expect(await itemOf(person, "world_chat_room")).toMatchObject({ unreadCount: 0 });
      const view = await as(person, "GET", "/api/conversations/world_chat_room");
      expect(view.body).toMatchObject({ readSeqId: sent.seqId, unreadCount: 0 });
    }
  });

  it("has everybody in it, page by page", async ({ expect }) => {
    const asking = await register();
    const all = [asking, await register(), await guest()];
    const path = "/api/conversations/world_chat_room/members?limit=2";
    const seen: { userId: string; displayName: string; role: number; joinedAt: number }[] = [];
    for (let cursor: string | null = ""; cursor !== null;) {
      const { body } = await as(asking, "GET", cursor === "" ? path : `${path}&cursor=${cursor}`);
      const page = body as { items: typeof seen; nextCursor: string | null };
      expect(page.items.length).toBeLessThanOrEqual(2);
      seen.push(...page.items);
      cursor = page.nextCursor;
    }
    const ids = seen.map(({ userId }) => userId);
    expect(ids).toEqual([...new Set(ids)].toSorted());
    for (const { user } of all) {
      const { userId, displayName, createdAt } = user;
      expect(seen.find((member) => member.userId === userId)).toEqual({
        userId,
        displayName,
        role: 1,
        joinedAt: createdAt,
      });
    }
    expect((await as(asking, "GET", `${path}&cursor=z`)).body).toEqual({ items: [], nextCursor: null });
  });

  it("has everybody in it, guests too, each with a pointer of their own", async ({ expect }) => {
    const [a, visitor] = [await register(), await guest()];
    const sent = await send(visitor, "world_chat_room", "hello world");
    for (const person of [a, visitor]) {
      const view = await as(person, "GET", "/api/conversations/world_chat_room");
      expect(view.body).toMatchObject({ type: 3, name: "World", headSeqId: sent.seqId, role: 1 });
      expect((view.body as ConversationAnswer).memberCount).toBeGreaterThan(1);
    }
    expect(await itemOf(a, "world_chat_room")).toMatchObject({ lastMessage: { content: "hello world" } });
    const path = "/api/conversations/world_chat_room";
    expect((await as(a, "PUT", `${path}/read`, { seqId: sent.seqId })).body).toEqual({
      readSeqId: sent.seqId,
      unreadCount: 0,
    });
    expect(await itemOf(a, "world_chat_room")).toMatchObject({ readSeqId: sent.seqId, unreadCount: 0 });
    const history = MessageList.strict().parse((await as(a, "GET", `${path}/messages`)).body);
    expect(history.items.at(-1)).toMatchObject({ messageId: sent.messageId, senderId: visitor.user.userId });
    expect(await refusal(a, "POST", `${path}/members`, { userIds: [visitor.user.userId] })).toBe("PERMISSION_DENIED");
    expect(await refusal(a, "DELETE", `${path}/members/${a.user.userId}`)).toBe("PERMISSION_DENIED");
  });
});

describe("lists", () => {
  it("are paged and newest first", async ({ expect }) => {
    const owner = await register();
    const groups = [await newGroup(owner), await newGroup(owner), await newGroup(owner)].map(
      (group) => group.conversationId,
    );
    await send(owner, groups[0] ?? "", "newest");
    const history = await roomOf(env, groups[0] ?? "").readLog(0, 1);
    const [message] = history.messages;
    if (message !== undefined) {
      const record = { kind: "message" as const, conversationId: message.conversationId, logId: 50, message };
      await repositories(env).persistence.applyRoomRecords([record]);
    }
    const seen: string[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const page: ConversationList = await listOf(owner, `?limit=2${cursor === "" ? "" : `&cursor=${cursor}`}`);
      expect(page.items.length).toBeLessThanOrEqual(2);
      seen.push(...page.items.map((item) => item.conversation.conversationId));
      cursor = page.nextCursor;
    }
    expect(new Set(seen)).toEqual(new Set([...groups, "world_chat_room"]));
    expect(seen).toHaveLength(4);
    expect(seen.filter((id) => id !== "world_chat_room")[0]).toBe(groups[0]);
  });
});

describe("sync", () => {
  it("gives what the client did not name, and nothing that it knows", async ({ expect }) => {
    const [a, b] = (await people(2)) as [Person, Person];
    const { conversationId } = await befriend(a, b);
    await send(a, conversationId, "one");
    const sync = async (heads: object) =>
      SyncAnswer.parse(
        await expectStatus(200, as(b, "GET", `/api/sync?heads=${encodeURIComponent(JSON.stringify(heads))}`)),
      );
    const everything = await sync({});
    const mine = everything.conversations.find((one) => one.conversation.conversationId === conversationId);
    expect(mine).toMatchObject({ unreadCount: 1, messages: [{ content: "one" }], hasMore: false });
    const heads = Object.fromEntries(
      everything.conversations.map((one) => [one.conversation.conversationId, one.conversation.headSeqId]),
    );
    expect((await sync(heads)).conversations).toEqual([]);
    await send(a, conversationId, "two");
    // The cache has the head a moment after the sender has the acknowledgement.
    await eventually("the second message", async () => (await sync(heads)).conversations.length > 0);
    expect((await sync(heads)).conversations).toMatchObject([{ messages: [{ content: "two" }] }]);
    const gone = `group_${NOBODY}`;
    expect((await sync({ ...heads, [gone]: 5 })).removed).toEqual([gone]);
  });
});

describe("sync of long messages", () => {
  it("ends before it would look like a slow reader, and says that there is more", async ({ expect }) => {
    const [a, b] = (await people(2)) as [Person, Person];
    const { conversationId } = await befriend(a, b);
    const long = "\u{1F600}".repeat(8_000);
    const sends = Array.from({ length: 20 }, (_, n) => textSend(a.user.userId, `long-${n}`, long));
    (await append(conversationId, sends)).forEach(must);
    const answer = await expectStatus(200, as(b, "GET", "/api/sync?heads={}"));
    expect(JSON.stringify(answer).length).toBeLessThan(600_000);
    const synced = SyncAnswer.parse(answer).conversations.find(
      (one) => one.conversation.conversationId === conversationId,
    );
    expect(synced).toMatchObject({ hasMore: true, unreadCount: 20, conversation: { headSeqId: 20 } });
    const got = synced?.messages.map((message) => message.seqId) ?? [];
    expect(got).toEqual(got.map((_, index) => index + 1));
    expect(got.length).toBeGreaterThan(5);
    const rest = await expectStatus<{ items: unknown[] }>(
      200,
      as(b, "GET", `/api/conversations/${conversationId}/messages?after=${got.length}`),
    );
    expect(got.length + rest.items.length).toBe(20);
  });
});

describe("with SQL away", () => {
  it("sends, history and changes of rooms go on, marked as degraded", async ({ expect }) => {
    const [owner, b] = (await people(2)) as [Person, Person];
    const { conversationId } = await newGroup(owner, b);
    const fails = () => Promise.reject(new Error("D1_ERROR: Network connection lost."));
    const statement = { bind: () => statement, all: fails, raw: fails, run: fails, first: fails };
    const broken = { ...env, DB: { prepare: () => statement, batch: fails } } as unknown as Env;
    const call = (method: string, path: string, body?: unknown) =>
      request(method, `/api/conversations/${conversationId}${path}`, { token: owner.accessToken, body, env: broken });
    const body = { clientMsgId: "while-away", messageType: "text", content: "still here" };
    expect((await call("POST", "/messages", body)).response.status).toBe(201);
    expect((await call("GET", "/messages")).body).toMatchObject({ items: [{ content: "still here" }] });
    expect((await call("PUT", "/read", { seqId: 1 })).body).toMatchObject({ readSeqId: 1 });
    const removed = await call("DELETE", `/members/${b.user.userId}`);
    expect([removed.response.status, removed.body]).toEqual([200, { degraded: true }]);
    expect(await refusal(b, "GET", `/api/conversations/${conversationId}`)).toBe("CONVERSATION_NOT_FOUND");
    const list = await request("GET", "/api/conversations", { token: owner.accessToken, env: broken });
    expect([list.response.status, list.error?.name]).toEqual([503, "UNAVAILABLE"]);
  });
});

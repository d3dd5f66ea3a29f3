/** Messages over REST: sent, read, and caught up with. */
import { describe, it } from "vitest";
import { MessageList, ReadAnswer, SyncAnswer } from "../../src/protocol/rest.ts";
import type { Message } from "../../src/protocol/things.ts";
import { befriend, itemOf, newGroup, NOBODY, send } from "./support/conversations.ts";
import { append, envWithoutSql, eventually, must, text as textSend } from "./support/harness.ts";
import { as, expectStatus, people, type Person, refusal, register, request } from "./support/http.ts";

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
    const broken = envWithoutSql("D1_ERROR: Network connection lost.");
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

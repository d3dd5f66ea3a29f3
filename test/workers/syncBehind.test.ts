/** What somebody is told who comes back while SQL is behind the rooms: neither what is not theirs any more, nor too little. */
import { env } from "cloudflare:workers";
import { describe, it } from "vitest";
import { embeddedCache } from "../../src/cache/embedded.ts";
import { CACHE_KEYS } from "../../src/cache/types.ts";
import { ConversationAnswer, type AuthAnswer } from "../../src/protocol/rest.ts";
import { actorOf, append, eventually, must, roomStub, text } from "./support/harness.ts";
import { as, expectStatus, register } from "./support/http.ts";
import { syncOf } from "./support/talk.ts";

const SECRET = "not for those who have gone";

async function group(): Promise<{ owner: AuthAnswer; other: AuthAnswer; id: string; version: number }> {
  const [owner, other] = [await register(), await register()];
  const body = { type: 2, name: "G", memberIds: [other.user.userId] };
  const made = ConversationAnswer.parse(await expectStatus(201, as(owner, "POST", "/api/conversations", body)));
  return { owner, other, id: made.conversationId, version: made.version };
}

/** The newest message of a conversation stands in the cache. */
function cached(id: string, content: string): Promise<void> {
  return eventually("the message in the cache", async () => {
    const [hot] = await embeddedCache(env, 1).pipeline([["ZRANGE", CACHE_KEYS.hotMessages(id), -1, -1]]);
    return JSON.stringify(hot).includes(content);
  });
}

describe("while SQL does not know of a removal", () => {
  it("neither the list nor a sync shows what was said since", async ({ expect }) => {
    const { owner, other, id, version } = await group();
    // The room has decided, and nobody has written it through yet.
    must(await roomStub(id).removeMember(actorOf(owner.user.userId), other.user.userId));
    await append(id, [text(owner.user.userId, "k", SECRET)]);
    await cached(id, SECRET);
    const list = await as(other, "GET", "/api/conversations");
    expect(list.response.status).toBe(200);
    expect(list.text).not.toContain(SECRET);
    expect(list.text).not.toContain(id);
    for (const heads of [{}, { [id]: { seqId: 0, version } }]) {
      const synced = await syncOf(other, heads);
      expect(JSON.stringify(synced.conversations)).not.toContain(SECRET);
      expect(synced.removed).toEqual([id]);
    }
    expect(JSON.stringify(await syncOf(owner, {}))).toContain(SECRET);
  });

  it("a sync that has read the head before it shows nothing behind that head", async ({ expect }) => {
    const { owner, other, id, version } = await group();
    await append(id, [text(owner.user.userId, "k", "before")]);
    await cached(id, "before");
    await expectStatus(200, as(other, "PUT", `/api/conversations/${id}/read`, { seqId: 1 }));
    must(await roomStub(id).removeMember(actorOf(owner.user.userId), other.user.userId));
    await append(id, [text(owner.user.userId, "l", SECRET)]);
    await cached(id, SECRET);
    // As it was then.
    await embeddedCache(env, 1).pipeline([
      ["DEL", CACHE_KEYS.headSeqId(id), CACHE_KEYS.version(id)],
      ["SETMAX", CACHE_KEYS.headSeqId(id), "1"],
    ]);
    // Whatever the client says it has.
    for (const seqId of [1, 2, 1_000_000]) {
      const { conversations } = await syncOf(other, { [id]: { seqId, version, readSeqId: 0 } });
      const item = conversations.find((one) => one.conversation.conversationId === id);
      expect(item).toMatchObject({ readSeqId: 1, messages: [], lastMessage: { content: "before" }, hasMore: false });
      expect(item?.conversation.headSeqId).toBe(1);
    }
  });

  it("the next change that is written through takes it along", async ({ expect }) => {
    const { owner, other, id } = await group();
    must(await roomStub(id).removeMember(actorOf(owner.user.userId), other.user.userId));
    const changed = must(await roomStub(id).update(actorOf(owner.user.userId), { name: "H" }));
    expect(changed.records.map((record) => record.kind)).toEqual(["conversation", "memberRemoved", "conversation"]);
  });
});

describe("a cache that was emptied", () => {
  const emptied = async (id: string): Promise<void> => {
    await embeddedCache(env, 1).pipeline([["DEL", CACHE_KEYS.headSeqId(id), CACHE_KEYS.version(id)]]);
  };

  it("learns the heads again from the first who asks, by a list or a sync", async () => {
    const { owner, other, id } = await group();
    await append(id, [text(owner.user.userId, "k", "hello")]);
    await cached(id, "hello");
    for (const ask of [() => syncOf(other, {}), () => as(owner, "GET", "/api/conversations")]) {
      await emptied(id);
      await ask();
      await eventually("the head in the cache", async () => {
        const [found] = await embeddedCache(env, 1).pipeline([["MGET", CACHE_KEYS.headSeqId(id)]]);
        return JSON.stringify(found) === '["1"]';
      });
    }
  });

  it("hides no change that SQL does not know yet, however often one asks", async ({ expect }) => {
    const { owner, other, id, version } = await group();
    await append(id, [text(owner.user.userId, "k", "hello")]);
    await cached(id, "hello");
    must(await roomStub(id).update(actorOf(owner.user.userId), { name: "H" }));
    await emptied(id);
    for (let time = 1; time <= 3; time++) {
      const { conversations } = await syncOf(other, { [id]: { seqId: 1, version } });
      expect(conversations.find((item) => item.conversation.conversationId === id)?.conversation.name).toBe("H");
    }
  });
});

describe("what was read on another device", () => {
  it("is in a sync of a client that says how far it knows", async ({ expect }) => {
    const { owner, other, id, version } = await group();
    await append(id, [text(owner.user.userId, "one"), text(owner.user.userId, "two")]);
    const head = { seqId: 2, version, readSeqId: 0 };
    expect(
      (await syncOf(other, { [id]: head })).conversations.map((item) => item.conversation.conversationId),
    ).not.toContain(id);
    await expectStatus(200, as(other, "PUT", `/api/conversations/${id}/read`, { seqId: 2 }));
    const synced = await syncOf(other, { [id]: head });
    const item = synced.conversations.find(({ conversation }) => conversation.conversationId === id);
    expect(item).toMatchObject({ readSeqId: 2, unreadCount: 0 });
    const again = await syncOf(other, { [id]: { ...head, readSeqId: 2 } });
    expect(again.conversations.some(({ conversation }) => conversation.conversationId === id)).toBe(false);
  });
});

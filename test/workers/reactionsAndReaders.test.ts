/** What others do with a message: reactions to it, and who has read it. */
import { env } from "cloudflare:workers";
import { describe, it } from "vitest";
import { ReactionAnswer, Readers, type AuthAnswer } from "../../src/protocol/rest.ts";
import type { Message } from "../../src/protocol/things.ts";
import {
  actorOf,
  append,
  appendOne,
  must,
  newGroup,
  newUserId,
  roomStub,
  text,
  WORLD_ROOM_ID,
} from "./support/harness.ts";
import { as, expectStatus, refusal, register } from "./support/http.ts";
import { connect } from "./support/socket.ts";
import { historyOf, settledOf, syncOf, talk } from "./support/talk.ts";

describe("reactions", () => {
  it("are counted, told, and seen by each reader as their own or not", async ({ expect }) => {
    const { owner, sender, reader, id, path } = await talk();
    const socket = await connect(sender.user.userId);
    const put = async (person: AuthAnswer, method = "PUT") =>
      ReactionAnswer.parse(
        await expectStatus(200, as(person, method, `${path}/reactions/${encodeURIComponent("❤️")}`)),
      );
    expect(await put(reader)).toEqual({ emoji: "❤️", count: 1, mine: true });
    expect(await put(reader)).toEqual({ emoji: "❤️", count: 1, mine: true });
    expect(await put(owner)).toEqual({ emoji: "❤️", count: 2, mine: true });
    await socket.until("both", () => socket.all("message-reaction").length === 2);
    const told = socket.all("message-reaction").map(({ data }) => [data.userId, data.added, data.count]);
    expect(told.toSorted((a, b) => Number(a[2]) - Number(b[2]))).toEqual([
      [reader.user.userId, true, 1],
      [owner.user.userId, true, 2],
    ]);
    expect((await historyOf(reader, id))[0]?.reactions).toEqual([{ emoji: "❤️", count: 2, mine: true }]);
    expect((await historyOf(sender, id))[0]?.reactions).toEqual([{ emoji: "❤️", count: 2, mine: false }]);
    const fresh = await syncOf(sender, {});
    const synced = fresh.conversations.find((item) => item.conversation.conversationId === id);
    expect(synced?.messages[0]?.reactions).toEqual([{ emoji: "❤️", count: 2, mine: false }]);
    expect(await put(reader, "DELETE")).toEqual({ emoji: "❤️", count: 1, mine: false });
    await settledOf(id);
    const { results } = await env.DB.prepare(
      "SELECT user_id, removed_at IS NULL AS there FROM message_reactions WHERE conversation_id = ? ORDER BY there",
    )
      .bind(id)
      .all();
    expect(results).toEqual([
      { user_id: reader.user.userId, there: 0 },
      { user_id: owner.user.userId, there: 1 },
    ]);
  });

  it("must be one emoji", async ({ expect }) => {
    const { reader, path } = await talk();
    for (const [emoji, answer] of [
      ["👩‍👩‍👧‍👦", "200"],
      ["🇨🇭", "200"],
      ["1️⃣", "200"],
      ["a", "INVALID_INPUT"],
      ["👍👍", "INVALID_INPUT"],
      ["👍".repeat(40), "INVALID_INPUT"],
      ["%00", "INVALID_INPUT"],
    ] as const) {
      expect([emoji, await refusal(reader, "PUT", `${path}/reactions/${encodeURIComponent(emoji)}`)]).toEqual([
        emoji,
        answer,
      ]);
    }
  });

  it("to the world go to its readers through the shards", async ({ expect }) => {
    const [author, fan] = [await register(), await register()];
    const socket = await connect(author.user.userId);
    const body = { clientMsgId: "w", messageType: "text", content: "hello, world" };
    const path = `/api/conversations/${WORLD_ROOM_ID}/messages`;
    const message = await expectStatus<Message>(201, as(author, "POST", path, body));
    await expectStatus(200, as(fan, "PUT", `${path}/${message.messageId}/reactions/%F0%9F%91%8D`));
    const { data } = await socket.next("message-reaction");
    expect(data).toMatchObject({ seqId: message.seqId, userId: fan.user.userId, added: true, count: 1 });
    await expectStatus(200, as(author, "POST", `${path}/${message.messageId}/recall`));
    expect((await socket.next("message-recalled")).data.messageId).toBe(message.messageId);
  });
});

describe("readers", () => {
  it("are the members of then, without the sender; who came later is not asked for", async ({ expect }) => {
    const { owner, sender, reader, id, path } = await talk();
    const readersOf = async () => Readers.parse(await expectStatus(200, as(sender, "GET", `${path}/readers`)));
    const [ownerId, readerId] = [owner.user.userId, reader.user.userId];
    expect(await readersOf()).toEqual({
      readCount: 0,
      unreadCount: 2,
      read: [],
      unread: [ownerId, readerId].toSorted(),
    });
    await expectStatus(200, as(reader, "PUT", `/api/conversations/${id}/read`, { seqId: 1 }));
    const late = await register();
    await expectStatus(200, as(owner, "POST", `/api/conversations/${id}/members`, { userIds: [late.user.userId] }));
    expect(await readersOf()).toEqual({ readCount: 1, unreadCount: 1, read: [readerId], unread: [ownerId] });
    // Whoever writes has read what stands above.
    await appendOne(id, text(ownerId, "seen"));
    expect(await readersOf()).toMatchObject({ readCount: 2, unreadCount: 0 });
    const world = `/api/conversations/${WORLD_ROOM_ID}/messages`;
    const body = { clientMsgId: "w", messageType: "text", content: "hello" };
    const inWorld = await expectStatus<Message>(201, as(sender, "POST", world, body));
    expect(await refusal(sender, "GET", `${world}/${inWorld.messageId}/readers`)).toBe("PERMISSION_DENIED");
  });

  it("are only counted above 500 members, own messages not yet in SQL included", async ({ expect }) => {
    const members = Array.from({ length: 501 }, newUserId);
    const [owner = "", other = ""] = members;
    const id = await newGroup(members, 1_000);
    const sent = await appendOne(id, text(owner, "1"));
    const counts = async () => must(await roomStub(id).readers(actorOf(owner), sent.messageId));
    expect(await counts()).toEqual({ readCount: 0, unreadCount: 500 });
    await appendOne(id, text(other, "2"));
    expect(await counts()).toEqual({ readCount: 1, unreadCount: 499 });
  });

  it("make one receipt for each sender of what was read", async ({ expect }) => {
    const [a, b, c] = [newUserId(), newUserId(), newUserId()];
    const id = await newGroup([a, b, c]);
    const [alice, bob] = [await connect(a), await connect(b)];
    await append(id, [text(a, "1"), text(b, "2"), text(a, "3")]);
    must(await roomStub(id).markRead(actorOf(c), 3, false));
    for (const socket of [alice, bob]) {
      expect((await socket.next("message-read-receipt")).data).toEqual({ conversationId: id, userId: c, readSeqId: 3 });
    }
    expect(alice.all("message-read-receipt")).toHaveLength(1);
    expect(must(await roomStub(id).markRead(actorOf(a), 99, false)).value).toEqual({ readSeqId: 3, unreadCount: 0 });
  });
});

/** Messages that are edited or recalled, wherever copies of them lie. */
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { afterEach, describe, it, vi } from "vitest";
import { RoomSqlStore } from "../../src/objects/RoomSqlStore.ts";
import { EditList } from "../../src/protocol/rest.ts";
import { Message } from "../../src/protocol/things.ts";
import { repositories } from "../../src/repo/index.ts";
import { toFirstRelease } from "./support/firstRelease.ts";
import {
  evictRoom,
  actorOf,
  advance,
  appendOne,
  eventually,
  must,
  nameOf,
  newGroup,
  newUserId,
  resetClock,
  roomStub,
  text,
} from "./support/harness.ts";
import { as, expectStatus, refusal, register } from "./support/http.ts";
import { connect } from "./support/socket.ts";
import { copiesOf, historyOf, SECRET, settledOf, syncOf, talk } from "./support/talk.ts";

afterEach(() => {
  resetClock();
  vi.restoreAllMocks();
});

describe("an edit", () => {
  it("after others leaves them in pages, oldest first, as lists are", async ({ expect }) => {
    const { sender, reader, path } = await talk();
    for (let n = 1; n <= 5; n++) {
      await expectStatus(200, as(sender, "PATCH", path, { content: `version ${n}` }));
    }
    const page = async (query: string) =>
      EditList.parse(await expectStatus(200, as(reader, "GET", `${path}/edits${query}`)));
    const all = await page("");
    expect(all.items.map((edit) => edit.content)).toEqual([SECRET, "version 1", "version 2", "version 3", "version 4"]);
    expect(all.nextCursor).toBeNull();
    const pages = [await page("?limit=2")];
    for (let last = pages[0]; last !== undefined && last.nextCursor !== null; last = pages.at(-1)) {
      pages.push(await page(`?limit=2&cursor=${last.nextCursor}`));
    }
    expect(pages.map(({ items }) => items.length)).toEqual([2, 2, 1]);
    expect(pages.flatMap(({ items }) => items)).toEqual(all.items);
    for (const query of ["?limit=0", "?limit=101", "?limit=x", "?cursor=nonsense"]) {
      expect([query, (await as(reader, "GET", `${path}/edits${query}`)).error?.name]).toEqual([query, "INVALID_INPUT"]);
    }
  });

  it("is told to everybody at once, shows in history, list and sync, and keeps what was before", async ({ expect }) => {
    const { sender, reader, id, message, path } = await talk();
    const socket = await connect(reader.user.userId);
    const { version } = await expectStatus<{ version: number }>(200, as(reader, "GET", `/api/conversations/${id}`));
    const edited = Message.parse(await expectStatus(200, as(sender, "PATCH", path, { content: "better" })));
    expect(edited).toMatchObject({ messageId: message.messageId, seqId: 1, content: "better" });
    const { data } = await socket.next("message-updated");
    expect(data.message).toMatchObject({ messageId: message.messageId, content: "better", editedAt: edited.editedAt });
    expect(data.message).not.toHaveProperty("clientMsgId");
    expect((await historyOf(reader, id)).map((row) => row.content)).toEqual(["better"]);
    const list = await as(reader, "GET", "/api/conversations");
    expect(list.text).toContain("better");
    expect(list.text).not.toContain(SECRET);
    const synced = await syncOf(reader, { [id]: { seqId: 1, version } });
    expect(synced.conversations.find((item) => item.conversation.conversationId === id)?.updated).toEqual([
      (await historyOf(reader, id))[0],
    ]);
    const history = EditList.parse(await expectStatus(200, as(reader, "GET", `${path}/edits`)));
    expect(history.items).toEqual([{ content: SECRET, editedAt: edited.editedAt }]);
    await settledOf(id);
    expect(await repositories(env).messages.edits(id, message.messageId)).toEqual(history.items);
    // The next sync, with the version of this one, has nothing to tell.
    const item = synced.conversations.find(({ conversation }) => conversation.conversationId === id);
    const again = await syncOf(reader, { [id]: { seqId: 1, version: item?.conversation.version } });
    expect(again.conversations.filter(({ conversation }) => conversation.conversationId === id)).toEqual([]);
  });

  it("is refused with a name, whoever asks and whatever they send", async ({ expect }) => {
    const { owner, sender, id, path, message } = await talk();
    const stranger = await register();
    const change = { content: "x" };
    expect(await refusal(owner, "PATCH", path, change)).toBe("PERMISSION_DENIED");
    expect(await refusal(stranger, "PATCH", path, change)).toBe("CONVERSATION_NOT_FOUND");
    expect(await refusal(sender, "PATCH", path, {})).toBe("INVALID_INPUT");
    expect(await refusal(sender, "PATCH", path, { content: "   " })).toBe("INVALID_INPUT");
    expect(await refusal(sender, "PATCH", path, { content: { key: "k", name: "n", size: 1, mimeType: "a/b" } })).toBe(
      "INVALID_INPUT",
    );
    expect(await refusal(sender, "PATCH", `${path.slice(0, -26)}01JZZZZZZZZZZZZZZZZZZZZZZZ`, change)).toBe(
      "MESSAGE_NOT_FOUND",
    );
    expect(await refusal(sender, "PATCH", `${path.slice(0, -26)}nonsense`, change)).toBe("MESSAGE_NOT_FOUND");
    await expectStatus(200, as(owner, "DELETE", `/api/conversations/${id}/members/${sender.user.userId}`));
    for (const [method, what, body] of [
      ["PATCH", "", change],
      ["POST", "/recall", undefined],
      ["GET", "/edits", undefined],
      ["GET", "/readers", undefined],
      ["PUT", "/reactions/%F0%9F%91%8D", undefined],
      ["DELETE", "/reactions/%F0%9F%91%8D", undefined],
    ] as const) {
      expect(await refusal(sender, method, `${path}${what}`, body)).toBe("CONVERSATION_NOT_FOUND");
    }
    advance(24 * 3_600_000 + 1);
    expect(nameOf(await roomStub(id).editMessage(actorOf(message.senderId), message.messageId, "x"))).toBe(
      "CONVERSATION_NOT_FOUND",
    );
  });
});

describe("a recall", () => {
  it("leaves the content nowhere: not in history, lists, sync, answers, cache, SQL, nor on the room's disk", async ({
    expect,
  }) => {
    const { owner, sender, reader, id, message, path } = await talk();
    const socket = await connect(reader.user.userId);
    const answer = { clientMsgId: "answer", messageType: "text", content: "really?", replyTo: message.messageId };
    const replied = await expectStatus<Message>(201, as(reader, "POST", `/api/conversations/${id}/messages`, answer));
    expect(replied.replyTo?.preview).toBe(SECRET);
    await expectStatus(200, as(sender, "PATCH", path, { content: `${SECRET}, edited` }));
    await expectStatus(200, as(owner, "PUT", `${path}/reactions/%F0%9F%91%8D`));
    expect(await copiesOf(id)).toContain(SECRET);
    const gone = Message.parse(await expectStatus(200, as(owner, "POST", `${path}/recall`)));
    expect(gone).toMatchObject({ messageId: message.messageId, seqId: 1, senderId: sender.user.userId });
    expect(gone.recalledAt).toBeGreaterThan(0);
    const recalledBy = owner.user.userId;
    expect((await socket.next("message-recalled")).data).toMatchObject({ seqId: 1, operatorId: recalledBy });
    // At once, for everybody who asks.
    for (const person of [owner, sender, reader]) {
      for (const path2 of ["/api/conversations", `/api/conversations/${id}/messages`, "/api/sync"]) {
        expect((await as(person, "GET", path2)).text).not.toContain(SECRET);
      }
    }
    expect(EditList.parse(await expectStatus(200, as(reader, "GET", `${path}/edits`))).items).toEqual([]);
    expect((await historyOf(reader, id)).map((row) => [row.seqId, row.content, row.replyTo?.preview])).toEqual([
      [1, undefined, undefined],
      [2, "really?", ""],
    ]);
    await settledOf(id);
    expect(await copiesOf(id)).not.toContain(SECRET);
    // And stays away, when the room wakes and its cache is made again.
    await evictRoom(id);
    await appendOne(id, text(owner.user.userId, "next"));
    await settledOf(id);
    expect(await copiesOf(id)).not.toContain(SECRET);
    // Whoever did not hear of the send's success gets the same ids.
    const body = { clientMsgId: "first", messageType: "text", content: SECRET };
    const resent = await expectStatus<Message>(201, as(sender, "POST", `/api/conversations/${id}/messages`, body));
    expect([resent.messageId, resent.seqId, resent.content]).toEqual([message.messageId, 1, undefined]);
    expect(await expectStatus(200, as(owner, "POST", `${path}/recall`))).toEqual({ ...gone });
    expect(await refusal(sender, "PATCH", path, { content: "back" })).toBe("CONFLICT");
    expect(await refusal(reader, "PUT", `${path}/reactions/%F0%9F%91%8D`)).toBe("CONFLICT");
  });

  it("wins in SQL over whatever comes late: edits, reactions, older copies", async ({ expect }) => {
    const { owner, sender, id, message, path } = await talk();
    const records = await runInDurableObject(roomStub(id), async (room) => {
      const edited = must(await room.editMessage(actorOf(sender.user.userId), message.messageId, `${SECRET} 2`));
      const liked = must(await room.react(actorOf(owner.user.userId), message.messageId, "👍", true));
      return [...edited.records, ...liked.records];
    });
    await expectStatus(200, as(sender, "POST", `${path}/recall`));
    const { persistence } = repositories(env);
    await persistence.applyRoomRecords(records);
    await persistence.applyRoomRecords(records.toReversed());
    await settledOf(id);
    const copies = await copiesOf(id);
    expect(copies).not.toContain(SECRET);
    expect(copies).not.toContain("👍");
  });

  it("is for the sender for two minutes, for the owner always, also of what has left the log", async ({ expect }) => {
    const { owner, sender, id, message, path } = await talk();
    await appendOne(id, text(owner.user.userId, "newer"));
    await settledOf(id);
    await eventually("SQL has both", async () => (await repositories(env).messages.at(id, [1, 2])).length === 2);
    advance(2 * 60_000 + 1);
    const late = await roomStub(id).recallMessage(actorOf(sender.user.userId), message.messageId);
    expect(nameOf(late)).toBe("PERMISSION_DENIED");
    // As after a week with many messages behind it.
    await runInDurableObject(roomStub(id), (_room, state) => {
      const store = new RoomSqlStore(state.storage);
      store.transaction(() => {
        store.saveCounters({ ...store.load().counters, firstSeqId: 2 });
        store.pruneMessages(1);
      });
    });
    await evictRoom(id);
    resetClock();
    vi.restoreAllMocks();
    expect((await historyOf(sender, id)).map((row) => row.content)).toEqual([SECRET, "text of newer"]);
    await expectStatus(200, as(owner, "PUT", `${path}/reactions/%F0%9F%91%8D`));
    expect((await historyOf(owner, id))[0]?.reactions).toEqual([{ emoji: "👍", count: 1, mine: true }]);
    const answer = { clientMsgId: "answer", messageType: "text", content: "old", replyTo: message.messageId };
    const replied = await expectStatus<Message>(201, as(owner, "POST", `/api/conversations/${id}/messages`, answer));
    expect(replied.replyTo).toMatchObject({ seqId: 1, preview: SECRET });
    await expectStatus(200, as(owner, "POST", `${path}/recall`));
    await settledOf(id);
    expect(await copiesOf(id)).not.toContain(SECRET);
    expect(await refusal(owner, "PUT", `${path}/reactions/%F0%9F%91%8D`)).toBe("CONFLICT");
  });
});

describe("a room of the release before", () => {
  it("gets the new tables when it wakes, with the answers that are in its log", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newGroup([a, b]);
    const sent = await appendOne(id, { ...text(a, "1"), content: SECRET });
    await appendOne(id, { ...text(b, "2"), replyTo: sent.messageId });
    await runInDurableObject(roomStub(id), (_room, state) => {
      toFirstRelease(state.storage);
    });
    await evictRoom(id);
    must(await roomStub(id).recallMessage(actorOf(a), sent.messageId));
    const log = (await roomStub(id).readLog(0, 10)).messages;
    expect(log.map((message) => [message.content, message.replyTo?.preview])).toEqual([
      [undefined, undefined],
      ["text of 2", ""],
    ]);
  });
});

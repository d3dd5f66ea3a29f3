import { afterAll, beforeAll, describe, it, vi } from "vitest";
import { WORLD_ROOM_ID } from "../../sdk/src/index.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { everybodyLeaves, makeFriends, Person, refusal } from "./support/people.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ env: { LIMIT_WORLD_SENDS_PER_SECOND: "1000", LIMIT_WORLD_SENDS_BURST: "1000" } });
});
afterAll(async () => {
  await everybodyLeaves();
  await server?.dispose();
});

const seqIds = (messages: readonly { seqId: number }[]): number[] => messages.map((message) => message.seqId);
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe("friends", () => {
  it("ask, are told at once, accept, and have a direct conversation", async ({ expect }) => {
    const [ana, ben] = [await Person.register(server), await Person.register(server)];
    const request = await ana.chat.friends.request(ben.userId, "It is me, Ana");
    expect(request).toMatchObject({ status: "pending", requesterId: ana.userId, targetUserId: ben.userId });
    const told = await ben.event("friend", (event) => event.kind === "request");
    expect(told).toMatchObject({ request: { message: "It is me, Ana" }, user: { username: ana.username } });
    const waiting = await ben.chat.friends.requests({ direction: "incoming", status: "pending" });
    expect(waiting.items.map((item) => item.requestId)).toEqual([request.requestId]);
    // Asking again is the same request.
    expect((await ana.chat.friends.request(ben.userId)).requestId).toBe(request.requestId);

    const accepted = await ben.chat.friends.accept(request.requestId);
    const conversationId = accepted.conversation?.conversationId ?? "";
    expect(conversationId).toBe(`single_${[ana.userId, ben.userId].toSorted().join("_")}`);
    const event = await ana.event("friend", (e) => e.kind === "accepted");
    expect(event).toMatchObject({ user: { userId: ben.userId }, conversation: { conversationId, type: 1 } });
    for (const [me, other] of [
      [ana, ben],
      [ben, ana],
    ] as const) {
      expect((await me.chat.friends.list()).items).toMatchObject([{ user: { userId: other.userId } }]);
      const items = (await me.chat.listConversations()).items;
      expect(items.find((item) => item.conversation.conversationId === conversationId)).toMatchObject({
        peer: { userId: other.userId },
        unreadCount: 0,
      });
    }
    expect((await ana.chat.direct(ben.userId)).conversationId).toBe(conversationId);
    expect(await refusal(ana.chat.friends.request(ben.userId))).toBe("CONFLICT");
  });

  it("who ask each other are friends by it; a rejected one is told and may not ask again today", async ({ expect }) => {
    const [ana, ben, eve] = [
      await Person.register(server),
      await Person.register(server),
      await Person.register(server),
    ];
    await ana.chat.friends.request(ben.userId);
    expect(await ben.chat.friends.request(ana.userId)).toMatchObject({ status: "accepted" });
    const { requestId } = await eve.chat.friends.request(ana.userId);
    await ana.chat.friends.reject(requestId);
    expect(await eve.event("friend", (e) => e.kind === "rejected")).toMatchObject({ requestId });
    expect(await refusal(eve.chat.friends.request(ana.userId))).toBe("CONFLICT");
    expect(await refusal(eve.chat.direct(ana.userId))).toBe("PERMISSION_DENIED");
    expect(await refusal(eve.chat.friends.accept(requestId))).toBe("NOT_FOUND");
    await ana.chat.friends.remove(ben.userId);
    expect(await ben.event("friend", (e) => e.kind === "removed")).toMatchObject({ userId: ana.userId });
    expect((await ben.chat.friends.list()).items).toEqual([]);
  });
});

describe("messages", () => {
  it("arrive in order, once, with receipts; unread follows from two sequences", async ({ expect }) => {
    const [ana, ben] = [await Person.register(server), await Person.register(server)];
    const id = await makeFriends(ana, ben);
    const sent = range(1, 10).map((n) => ana.in(id).send(`message ${n}`));
    const acks = await Promise.all(sent.map((one) => one.accepted));
    expect(seqIds(acks)).toEqual(range(1, 10));
    await ben.until("all ten", () => ben.received(id).length === 10);
    expect(ben.received(id).map((m) => [m.seqId, m.messageId, m.content])).toEqual(
      acks.map((ack, i) => [ack.seqId, ack.messageId, `message ${i + 1}`]),
    );
    expect(ana.received(id)).toHaveLength(10);
    await ana.until("SQL", () => sent.every((one) => one.state.get() === "stored"));

    const [before] = (await ben.chat.listConversations()).items;
    expect(before).toMatchObject({ unreadCount: 10, readSeqId: 0, lastMessage: { seqId: 10 } });
    expect(await ben.in(id).readNow(7)).toMatchObject({ readSeqId: 7, unreadCount: 3 });
    expect(await ana.event("receipt")).toEqual({ conversationId: id, userId: ben.userId, readSeqId: 7 });
    expect(await ben.in(id).readNow(3)).toMatchObject({ readSeqId: 7, unreadCount: 3 });
    ben.in(id).markRead(10);
    await ana.event("receipt", (receipt) => receipt.readSeqId === 10);
    const [after] = (await ben.chat.listConversations()).items;
    expect(after).toMatchObject({ unreadCount: 0, readSeqId: 10 });
    // One's own are read.
    expect((await ana.chat.listConversations()).items[0]).toMatchObject({ unreadCount: 0, readSeqId: 10 });
  });

  it("are in the history at once, by pages, the same for both", async ({ expect }) => {
    const [ana, ben] = [await Person.register(server), await Person.register(server)];
    const id = await makeFriends(ana, ben);
    await Promise.all(range(1, 30).map((n) => ana.in(id).send(`message ${n}`).accepted));
    const page = async (person: Person, query: object): Promise<number[]> => seqIds(await person.in(id).history(query));
    expect(await page(ben, { limit: 5 })).toEqual(range(26, 30));
    expect(await page(ben, { before: 26, limit: 5 })).toEqual(range(21, 25));
    expect(await page(ben, { after: 25 })).toEqual(range(26, 30));
    expect(await page(ana, { limit: 200 })).toEqual(range(1, 30));
    const mine = await ana.in(id).history({ limit: 200 });
    const theirs = await ben.in(id).history({ limit: 200 });
    expect(mine.every((m) => m.clientMsgId !== undefined)).toBe(true);
    expect(theirs).toEqual(mine.map(({ clientMsgId: _own, ...rest }) => rest));
  });

  it("keep what was written, unchanged", async ({ expect }) => {
    const [ana, ben] = [await Person.register(server), await Person.register(server)];
    const id = await makeFriends(ana, ben);
    const texts = [
      "  spaces  ",
      "a\u0000b\r\n\tc",
      "👩‍👩‍👧‍👦🏳️‍🌈",
      "\u202ertl",
      '{"json":"<b>&amp;"}',
      "𐍈".repeat(8_000),
      "__proto__",
    ];
    for (const text of texts) {
      await ana.say(id, text);
    }
    await ben.until("all", () => ben.received(id).length === texts.length);
    expect(ben.received(id).map((m) => m.content)).toEqual(texts);
    const stored = await ben.in(id).history();
    expect(stored.map((m) => m.content)).toEqual(texts);
  });

  it("carry replies and mentions, and typing is seen", async ({ expect }) => {
    const [ana, ben] = [await Person.register(server), await Person.register(server)];
    const id = await makeFriends(ana, ben);
    const first = await ana.in(id).send("How late is it?").accepted;
    await ben.until("the question", () => ben.received(id).length === 1);
    const answer = await ben.in(id).send("Late.", { replyTo: first.messageId, mentions: [ana.userId] }).accepted;
    await ana.until("the answer", () => ana.received(id).length === 2);
    expect(ana.received(id)[1]).toMatchObject({
      messageId: answer.messageId,
      mentions: [ana.userId],
      replyTo: { messageId: first.messageId, seqId: 1, senderId: ana.userId, preview: "How late is it?" },
    });
    ana.in(id).typing();
    expect(await ben.event("typing")).toEqual({ conversationId: id, userId: ana.userId });
  });

  it("under one key are one message; under the same key with another text an error", async ({ expect }) => {
    const [ana, ben] = [await Person.register(server), await Person.register(server)];
    const id = await makeFriends(ana, ben);
    const path = `/conversations/${id}/messages`;
    const body = { clientMsgId: "one", messageType: "text", content: "once" };
    const [first, second] = await Promise.all([ana.chat.call("POST", path, body), ana.chat.call("POST", path, body)]);
    expect(second).toEqual(first);
    expect(await refusal(ana.chat.call("POST", path, { ...body, content: "twice" }))).toBe("DUPLICATE_MESSAGE");
    expect(await ben.in(id).history()).toHaveLength(1);
  });

  it("reach every device of both, the sender's other ones too", async ({ expect }) => {
    const [ana, ben] = [await Person.register(server), await Person.register(server)];
    const [anaPhone, benPhone] = [await ana.onAnotherDevice(server), await ben.onAnotherDevice(server)];
    const id = await makeFriends(ana, ben);
    for (const [n, person] of [ana, benPhone, anaPhone, ben].entries()) {
      expect(await person.say(id, `message ${n + 1}`)).toBe(n + 1);
    }
    for (const person of [ana, anaPhone, ben, benPhone]) {
      await person.until("all four", () => person.received(id).length === 4);
      expect(seqIds(person.received(id))).toEqual([1, 2, 3, 4]);
    }
    await ben.in(id).readNow(4);
    const event = await benPhone.event("receipt");
    expect(event).toEqual({ conversationId: id, userId: ben.userId, readSeqId: 4 });
  });

  it("are limited to a rate; the client keeps their order and waits", async ({ expect }) => {
    const [ana, ben] = [await Person.register(server), await Person.register(server)];
    const id = await makeFriends(ana, ben);
    const sent = range(1, 60).map((n) => ana.in(id).send(`message ${n}`));
    expect(seqIds(await Promise.all(sent.map((one) => one.accepted)))).toEqual(range(1, 60));
    await ben.until("all sixty", () => ben.received(id).length === 60);
    expect(ben.received(id).map((m) => m.content)).toEqual(range(1, 60).map((n) => `message ${n}`));
  });
});

describe("groups", () => {
  it("are made, grow, shrink, and everybody concerned is told", async ({ expect }) => {
    const people = [];
    for (let n = 0; n < 4; n++) {
      people.push(await Person.register(server));
    }
    const [owner, ben, cem, dan] = people as [Person, Person, Person, Person];
    const group = await owner.chat.createGroup({ name: "Gophers", memberIds: [ben.userId] });
    const id = group.conversationId;
    await ben.event("conversation", (e) => e.conversationId === id && e.kind === "created");
    await owner.say(id, "before");

    const guest = await Person.guest(server);
    const nobody = "01JZZZZZZZZZZZZZZZZZZZZZZZ";
    const added = await group.addMembers([cem.userId, guest.userId, nobody, ben.userId]);
    expect(added.added.map((member) => member.userId).toSorted()).toEqual([ben.userId, cem.userId].toSorted());
    expect(added.failed.toSorted((a, b) => a.code - b.code)).toEqual([
      { userId: nobody, code: 1001 },
      { userId: guest.userId, code: 1002 },
    ]);
    await cem.event("conversation", (e) => e.conversationId === id && e.kind === "joined");
    expect(await ben.event("member", (e) => e.kind === "added")).toMatchObject({
      conversationId: id,
      members: [{ userId: cem.userId, role: 1 }],
      operatorId: owner.userId,
    });
    expect(await refusal(ben.in(id).addMembers([dan.userId]))).toBe("PERMISSION_DENIED");
    expect(await refusal(dan.in(id).history())).toBe("CONVERSATION_NOT_FOUND");

    await cem.say(id, "I am in");
    await ben.until("both messages", () => ben.received(id).length === 2);
    expect(seqIds(await cem.in(id).history())).toEqual([1, 2]);
    const members = await ben.in(id).members();
    expect(Object.fromEntries(members.items.map((m) => [m.userId, m.role]))).toEqual({
      [owner.userId]: 3,
      [ben.userId]: 1,
      [cem.userId]: 1,
    });

    await group.removeMember(cem.userId);
    expect(await cem.event("conversation", (e) => e.conversationId === id && e.kind === "removed")).toBeDefined();
    expect(await refusal(cem.in(id).history())).toBe("CONVERSATION_NOT_FOUND");
    const late = cem.in(id).send("too late");
    expect(await refusal(late.accepted)).toBe("CONVERSATION_NOT_FOUND");
    expect((await cem.chat.listConversations()).items.map((item) => item.conversation.conversationId)).not.toContain(
      id,
    );
    expect(await refusal(owner.in(id).leave())).toBe("CONFLICT");
    await ben.in(id).leave();
    await owner.event("member", (e) => e.kind === "removed" && e.userId === ben.userId);
    await owner.in(id).leave();
    expect(await refusal(owner.in(id).info())).toBe("CONVERSATION_NOT_FOUND");
  });

  it("have a limit, and say who did not fit", async ({ expect }) => {
    const people = [];
    for (let n = 0; n < 4; n++) {
      people.push(await Person.register(server));
    }
    const [owner, ben, cem, dan] = people as [Person, Person, Person, Person];
    const group = await owner.chat.createGroup({ name: "Three", memberIds: [ben.userId], maxMembers: 3 });
    const added = await group.addMembers([cem.userId, dan.userId]);
    expect(added.added.map((member) => member.userId)).toEqual([cem.userId]);
    expect(added.failed).toEqual([{ userId: dan.userId, code: 1005 }]);
    expect((await group.info()).memberCount).toBe(3);
    const all = { name: "Full", memberIds: [ben.userId, cem.userId, dan.userId], maxMembers: 3 };
    expect(await refusal(owner.chat.createGroup(all))).toBe("GROUP_FULL");
  });

  it("show a new member the history, and nothing unread from before", async ({ expect }) => {
    const [owner, ben] = [await Person.register(server), await Person.register(server)];
    const group = await owner.chat.createGroup({ name: "Old", memberIds: [] });
    await Promise.all(range(1, 5).map((n) => group.send(`message ${n}`).accepted));
    await group.addMembers([ben.userId]);
    const items = (await ben.chat.listConversations()).items;
    const item = items.find((one) => one.conversation.conversationId === group.conversationId);
    expect(item).toMatchObject({ unreadCount: 0, conversation: { headSeqId: 5, memberCount: 2 } });
    expect(seqIds(await ben.in(group.conversationId).history())).toEqual(range(1, 5));
  });
});

describe("the world", () => {
  it("has everyone in it: the same order for all, once, whatever socket it comes by", async ({ expect }) => {
    const [ana, guest, watcher] = [
      await Person.register(server),
      await Person.guest(server),
      await Person.guest(server),
    ];
    const stop = watcher.in(WORLD_ROOM_ID).watch();
    const start = await ana.say(WORLD_ROOM_ID, "begin");
    const everybody = [ana, guest, watcher];
    for (const person of everybody) {
      await person.until("the beginning", () => seqIds(person.received(WORLD_ROOM_ID)).includes(start));
    }
    await Promise.all(range(1, 20).flatMap((n) => [ana, guest].map((p) => p.say(WORLD_ROOM_ID, `message ${n}`))));
    const end = start + 40;
    for (const person of everybody) {
      await person.until("the end", () => seqIds(person.received(WORLD_ROOM_ID)).includes(end));
      expect(seqIds(person.received(WORLD_ROOM_ID)).filter((seqId) => seqId > start)).toEqual(range(start + 1, end));
    }
    const history = await guest.in(WORLD_ROOM_ID).history({ after: start, limit: 100 });
    const contents = (person: Person) =>
      person.received(WORLD_ROOM_ID).flatMap((m) => (m.seqId > start ? [[m.seqId, m.messageId, m.content]] : []));
    for (const person of everybody) {
      expect(contents(person)).toEqual(history.map((m) => [m.seqId, m.messageId, m.content]));
    }
    stop();
  });

  it("keeps a pointer of each reader, and lets nobody leave", async ({ expect }) => {
    const [ana, ben] = [await Person.register(server), await Person.register(server)];
    const head = await ana.say(WORLD_ROOM_ID, "read me");
    expect(await ben.in(WORLD_ROOM_ID).readNow(head)).toMatchObject({ readSeqId: head, unreadCount: 0 });
    const next = await ana.say(WORLD_ROOM_ID, "and me");
    const world = async () =>
      (await ben.chat.listConversations()).items.find((item) => item.conversation.conversationId === WORLD_ROOM_ID);
    // The list reads the head from the cache, which follows the acknowledgement a moment later.
    await vi.waitFor(async () => expect(await world()).toMatchObject({ readSeqId: head, unreadCount: next - head }), {
      timeout: 5_000,
    });
    expect(await refusal(ben.in(WORLD_ROOM_ID).leave())).toBe("PERMISSION_DENIED");
    expect(await refusal(ben.in(WORLD_ROOM_ID).addMembers([ana.userId]))).toBe("PERMISSION_DENIED");
  });
});

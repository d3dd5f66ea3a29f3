import { afterAll, beforeAll, describe, it } from "vitest";
import { WORLD_ROOM_ID } from "../../sdk/src/index.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { everybodyLeaves, makeFriends, Person, refusal } from "./support/people.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(async () => {
  await everybodyLeaves();
  await server?.dispose();
});

async function pair(): Promise<{ ana: Person; ben: Person; id: string }> {
  const [ana, ben] = [await Person.register(server), await Person.register(server)];
  return { ana, ben, id: await makeFriends(ana, ben) };
}

describe("a message after it was sent", () => {
  it("is edited, reacted to and recalled in front of everybody", async ({ expect }) => {
    const { ana, ben, id } = await pair();
    const { messageId } = await ana.in(id).send("helo").accepted;
    await ben.until("the message", () => ben.received(id).length === 1);
    await ana.in(id).edit(messageId, "hello");
    const { message } = await ben.event("updated");
    expect(message).toMatchObject({ messageId, content: "hello" });
    expect(ben.in(id).messages).toMatchObject([{ content: "hello", editedAt: message.editedAt }]);
    expect(await ben.in(id).edits(messageId)).toEqual([{ content: "helo", editedAt: message.editedAt }]);
    expect(await refusal(ben.in(id).edit(messageId, "mine now"))).toBe("PERMISSION_DENIED");

    expect(await ben.in(id).react(messageId, "👍")).toEqual({ emoji: "👍", count: 1, mine: true });
    expect(await ana.event("reaction")).toMatchObject({ messageId, emoji: "👍", userId: ben.userId, count: 1 });
    expect(ana.in(id).messages[0]?.reactions).toEqual([{ emoji: "👍", count: 1, mine: false }]);
    expect(await ben.in(id).unreact(messageId, "👍")).toMatchObject({ count: 0 });
    await ana.event("reaction", (event) => !event.added);
    expect(ana.in(id).messages[0]?.reactions).toEqual([]);

    await ben.in(id).send("what is this?", { replyTo: messageId }).accepted;
    for (const person of [ana, ben]) {
      await person.until("the answer", () => person.received(id).length === 2);
    }
    expect(await refusal(ben.in(id).recall(messageId))).toBe("PERMISSION_DENIED");
    await ana.in(id).recall(messageId);
    expect(await ben.event("recalled")).toMatchObject({ messageId, operatorId: ana.userId });
    for (const person of [ana, ben]) {
      await person.until("the tombstone", () => person.in(id).messages[0]?.recalledAt !== undefined);
      expect(person.in(id).messages.map((row) => [row.content, row.replyTo?.preview])).toEqual([
        [undefined, undefined],
        ["what is this?", ""],
      ]);
      expect((await person.in(id).history()).map((row) => [row.seqId, row.content])).toEqual([
        [1, undefined],
        [2, "what is this?"],
      ]);
    }
    expect(await ana.in(id).edits(messageId)).toEqual([]);
  });

  it("has changed when somebody comes back who was away, and only then", async ({ expect }) => {
    const { ana, ben, id } = await pair();
    const first = await ana.in(id).send("first").accepted;
    const second = await ana.in(id).send("second").accepted;
    await ben.until("both", () => ben.received(id).length === 2);
    // Once connected again, so that the client knows the version that it had seen.
    ben.chat.disconnect();
    ben.chat.connect();
    await ben.chat.ready();
    ben.chat.disconnect();
    await ana.in(id).edit(first.messageId, "first, edited");
    await ana.in(id).recall(second.messageId);
    await ana.in(id).react(first.messageId, "🎉");
    ben.chat.connect();
    await ben.chat.ready();
    expect(ben.in(id).messages).toMatchObject([
      { content: "first, edited", reactions: [{ emoji: "🎉", count: 1, mine: false }] },
      { seqId: 2, recalledAt: expect.any(Number) as number },
    ]);
    expect(ben.in(id).messages[1]).not.toHaveProperty("content");
    expect(ben.in(id).item?.lastMessage).toMatchObject({ seqId: 2, recalledAt: expect.any(Number) as number });
  });

  it("tells its sender who has read it", async ({ expect }) => {
    const [ana, ben, cat] = [
      await Person.register(server),
      await Person.register(server),
      await Person.register(server),
    ];
    const group = await ana.chat.createGroup({ name: "Readers", memberIds: [ben.userId, cat.userId] });
    const id = group.conversationId;
    const { messageId, seqId } = await group.send("read me").accepted;
    await ben.until("the message", () => ben.received(id).length === 1);
    const unread = [ben.userId, cat.userId].toSorted();
    expect(await group.readers(messageId)).toEqual({ readCount: 0, unreadCount: 2, read: [], unread });
    expect(await ben.in(id).readNow(seqId)).toMatchObject({ unreadCount: 0 });
    expect(await ana.event("receipt")).toEqual({ conversationId: id, userId: ben.userId, readSeqId: seqId });
    expect(await group.readers(messageId)).toMatchObject({ read: [ben.userId], unread: [cat.userId] });
    // Forward only, and never past the head.
    expect(await ben.in(id).readNow(0)).toMatchObject({ readSeqId: seqId });
    expect(await cat.in(id).readNow(1_000)).toMatchObject({ readSeqId: seqId, unreadCount: 0 });
    expect(await group.readers(messageId)).toMatchObject({ readCount: 2, unread: [] });
  });

  it("in the world is edited and recalled for all of its readers", async ({ expect }) => {
    const [ana, ben] = [await Person.register(server), await Person.register(server)];
    const { messageId } = await ana.in(WORLD_ROOM_ID).send("to everybody").accepted;
    await ben.until("the message", () => ben.received(WORLD_ROOM_ID).some((row) => row.messageId === messageId));
    await ben.in(WORLD_ROOM_ID).react(messageId, "👋");
    await ana.event("reaction", (event) => event.messageId === messageId);
    await ana.in(WORLD_ROOM_ID).recall(messageId);
    await ben.event("recalled", (event) => event.messageId === messageId);
    const row = ben.in(WORLD_ROOM_ID).messages.find((one) => one.messageId === messageId);
    expect(row).not.toHaveProperty("content");
    expect(await refusal(ben.in(WORLD_ROOM_ID).readers(messageId))).toBe("PERMISSION_DENIED");
  });
});

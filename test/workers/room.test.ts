import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, it, vi } from "vitest";
import { RoomSqlStore } from "../../src/objects/RoomSqlStore.ts";
import { roomOf } from "../../src/platform/stubs.ts";
import {
  evictRoom,
  actorOf,
  append,
  appendOne,
  HeldBus,
  logOf,
  must,
  nameOf,
  newDirect,
  newGroup,
  newUserId,
  resetClock,
  roomStub,
  text,
  viewOf,
  WORLD_ROOM_ID,
} from "./support/harness.ts";

beforeEach(() => {
  new HeldBus();
});
afterEach(() => {
  resetClock();
  vi.restoreAllMocks();
});

/** Rows of the log as they stand on disk. */
async function storedRows(conversationId: string): Promise<number> {
  return await runInDurableObject(roomStub(conversationId), (_room, state) =>
    Number(state.storage.sql.exec("SELECT count(*) AS n FROM messages").one()["n"]),
  );
}

describe("a room that wakes", () => {
  // An eviction takes ten seconds as it is.
  const EVICTION_TEST = { timeout: 120_000 };
  it(
    "finds own messages that SQL does not have yet, without reading all of them at once",
    EVICTION_TEST,
    async ({ expect }) => {
      const [a, b] = [newUserId(), newUserId()];
      const id = await newDirect(a, b);
      const sends = Array.from({ length: 1_200 }, (_, n) => text(n === 1_100 ? b : a, String(n)));
      (await append(id, sends)).forEach(must);
      await evictRoom(id);
      const reads = vi.spyOn(RoomSqlStore.prototype, "messagesAfter");
      expect((await viewOf(id, b)).readSeqId).toBe(1_101);
      expect((await viewOf(id, a)).readSeqId).toBe(1_200);
      expect(Math.max(...reads.mock.calls.map(([, limit]) => limit))).toBeLessThanOrEqual(500);
    },
  );
});

describe("append", () => {
  it("gives one sequence without holes, in the order of the batch, and the log answers the same", async ({
    expect,
  }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const acks = (await append(id, [text(a, "1"), text(b, "1"), text(a, "2")])).map(must);
    expect(acks.map((m) => [m.seqId, m.senderId, m.clientMsgId])).toEqual([
      [1, a, "1"],
      [2, b, "1"],
      [3, a, "2"],
    ]);
    const ids = acks.map((m) => m.messageId);
    expect(ids).toEqual(ids.toSorted());
    expect(new Set(ids).size).toBe(3);
    const history = must(await roomStub(id).history(actorOf(b), { limit: 10 }));
    expect(history.messages).toEqual(acks);
    expect(history.headSeqId).toBe(3);
  });

  it("keeps every sender's order and leaves no gap when many batches arrive at the same time", async ({ expect }) => {
    const senders = Array.from({ length: 10 }, newUserId);
    const id = await newGroup(senders);
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, (_, round) =>
        senders.map((userId) => append(id, [text(userId, `${round}a`), text(userId, `${round}b`)])),
      ).flat(),
    );
    const acks = outcomes.flat().map(must);
    const log = await logOf(id);
    expect(log.map((m) => m.seqId)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
    expect(acks.toSorted((x, y) => x.seqId - y.seqId)).toEqual(log);
    const expected = Array.from({ length: 10 }, (_, round) => [`${round}a`, `${round}b`]).flat();
    for (const userId of senders) {
      expect(log.filter((m) => m.senderId === userId).map((m) => m.clientMsgId)).toEqual(expected);
    }
  });

  it("answers a resend with the same message: in the batch, later, and by another incarnation", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const [first, again] = (await append(id, [text(a, "k"), text(a, "k")])).map(must);
    expect(again).toEqual(first);
    expect((await append(id, [text(a, "k")])).map(must)).toEqual([first]);
    await evictRoom(id);
    expect((await append(id, [text(a, "k")])).map(must)).toEqual([first]);
    expect(await storedRows(id)).toBe(1);
    expect((await viewOf(id, b)).headSeqId).toBe(1);
  });

  it("refuses another payload under the same key, and stores nothing for it", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const stored = await appendOne(id, text(a, "k", "one"));
    const others = await append(id, [
      text(a, "k", "two"),
      { ...text(a, "k", "one"), mentions: [b] },
      { ...text(a, "k", "one"), replyTo: stored.messageId },
    ]);
    expect(others.map(nameOf)).toEqual(["DUPLICATE_MESSAGE", "DUPLICATE_MESSAGE", "DUPLICATE_MESSAGE"]);
    expect((await logOf(id)).map((m) => m.content)).toEqual(["one"]);
    // The key belongs to its sender.
    expect((await appendOne(id, text(b, "k", "two"))).seqId).toBe(2);
  });

  it("takes no sequence for a refused send in the middle of a batch", async ({ expect }) => {
    const [a, b, stranger] = [newUserId(), newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const outcomes = await append(id, [
      text(a, "1"),
      text(stranger, "1"),
      { ...text(a, "system"), messageType: "system" },
      { ...text(a, "mention"), mentions: [stranger] },
      { ...text(a, "reply"), replyTo: "01JZZZZZZZZZZZZZZZZZZZZZZZ" },
      text(b, "2"),
    ]);
    expect(outcomes.map(nameOf)).toEqual([
      "ok",
      "CONVERSATION_NOT_FOUND",
      "PERMISSION_DENIED",
      "INVALID_INPUT",
      "MESSAGE_NOT_FOUND",
      "ok",
    ]);
    expect((await logOf(id)).map((m) => [m.seqId, m.clientMsgId])).toEqual([
      [1, "1"],
      [2, "2"],
    ]);
  });

  it("carries what a reply replies to, as the log has it", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const [question] = (await append(id, [text(a, "q", "How late is it?")])).map(must);
    const replyTo = question?.messageId ?? "";
    const [answer] = (await append(id, [{ ...text(b, "r", "Late."), replyTo }])).map(must);
    expect(answer?.replyTo).toEqual({ messageId: replyTo, seqId: 1, senderId: a, preview: "How late is it?" });
  });

  it("does not exist for strangers, nor before it was created", async ({ expect }) => {
    const [a, b, stranger] = [newUserId(), newUserId(), newUserId()];
    const id = await newDirect(a, b);
    await append(id, [text(a, "1")]);
    const room = roomStub(id);
    expect(nameOf(await room.history(actorOf(stranger), { limit: 10 }))).toBe("CONVERSATION_NOT_FOUND");
    expect(nameOf(await room.view(actorOf(stranger)))).toBe("CONVERSATION_NOT_FOUND");
    expect(nameOf(await room.markRead(actorOf(stranger), 1, false))).toBe("CONVERSATION_NOT_FOUND");
    expect(nameOf(await room.typing(actorOf(stranger)))).toBe("CONVERSATION_NOT_FOUND");
    const never = `group_${newUserId()}`;
    expect((await append(never, [text(a, "1")])).map(nameOf)).toEqual(["CONVERSATION_NOT_FOUND"]);
    // An invented id costs nothing on disk.
    const tables = await runInDurableObject(roomStub(never), (_room, state) =>
      state.storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\'").toArray(),
    );
    expect(tables).toEqual([]);
  });

  it("has everyone in the world room by rule, guests too, without a row each", async ({ expect }) => {
    const guest = { ...text(newUserId(), "g"), actor: actorOf(newUserId(), { isGuest: true }) };
    const before = (await roomOf(env, WORLD_ROOM_ID).readLog(0, 0)).headSeqId;
    const outcomes = await append(WORLD_ROOM_ID, [text(newUserId(), "w"), guest]);
    expect(outcomes.map((outcome) => must(outcome).seqId)).toEqual([before + 1, before + 2]);
    const members = await runInDurableObject(roomStub(WORLD_ROOM_ID), (_room, state) =>
      Number(state.storage.sql.exec("SELECT count(*) AS n FROM members").one()["n"]),
    );
    expect(members).toBe(0);
  });
});

describe("history", () => {
  it("pages exclusively by sequence, ascending, the newest by default", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    await append(
      id,
      Array.from({ length: 9 }, (_, i) => text(a, String(i + 1))),
    );
    const seqIds = async (page: { before?: number; after?: number; limit: number }): Promise<number[]> =>
      must(await roomStub(id).history(actorOf(b), page)).messages.map((m) => m.seqId);
    expect(await seqIds({ limit: 3 })).toEqual([7, 8, 9]);
    expect(await seqIds({ before: 7, limit: 3 })).toEqual([4, 5, 6]);
    expect(await seqIds({ before: 1, limit: 3 })).toEqual([]);
    expect(await seqIds({ after: 0, limit: 3 })).toEqual([1, 2, 3]);
    expect(await seqIds({ after: 7, limit: 3 })).toEqual([8, 9]);
    expect(await seqIds({ after: 9, limit: 3 })).toEqual([]);
    expect(await seqIds({ after: 2, before: 5, limit: 10 })).toEqual([3, 4]);
  });
});

describe("members and pointers", () => {
  it("is created once, whoever comes first", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    await append(id, [text(a, "1")]);
    const again = must(await roomStub(id).create({ type: 1, memberIds: [b, a] }));
    expect(again.records).toEqual([]);
    expect(again.value.headSeqId).toBe(1);
    expect(again.value.conversation.version).toBe(1);
  });

  it("adds whom it can, names the others, and counts those who are in as added", async ({ expect }) => {
    const [owner, in1, new1, new2] = [newUserId(), newUserId(), newUserId(), newUserId()];
    const id = await newGroup([owner, in1], 3);
    const refused = await roomStub(id).addMembers(actorOf(in1), [new1]);
    expect(nameOf(refused)).toBe("PERMISSION_DENIED");
    const added = must(await roomStub(id).addMembers(actorOf(owner), [in1, new1, new1, new2])).value;
    expect(added.added.map((m) => m.userId)).toEqual([in1, new1]);
    expect(added.failed).toEqual([{ userId: new2, code: 1005 }]);
    expect((await viewOf(id, new1)).conversation.memberCount).toBe(3);
  });

  it("shows a removed member nothing more, but repeats what was acknowledged to them", async ({ expect }) => {
    const [owner, member] = [newUserId(), newUserId()];
    const id = await newGroup([owner, member]);
    const [acked] = (await append(id, [text(member, "1")])).map(must);
    must(await roomStub(id).removeMember(actorOf(owner), member));
    expect((await append(id, [text(member, "2")])).map(nameOf)).toEqual(["CONVERSATION_NOT_FOUND"]);
    expect(nameOf(await roomStub(id).history(actorOf(member), { limit: 1 }))).toBe("CONVERSATION_NOT_FOUND");
    expect((await append(id, [text(member, "1")])).map(must)).toEqual([acked]);
  });

  it("keeps its owner until they are the last, whose leaving dismisses it", async ({ expect }) => {
    const [owner, member] = [newUserId(), newUserId()];
    const id = await newGroup([owner, member]);
    const room = roomStub(id);
    expect(nameOf(await room.removeMember(actorOf(member), owner))).toBe("PERMISSION_DENIED");
    expect(nameOf(await room.removeMember(actorOf(owner), owner))).toBe("CONFLICT");
    expect(must(await room.removeMember(actorOf(member), member)).value).toEqual({ dismissed: false });
    expect(must(await room.removeMember(actorOf(owner), owner)).value).toEqual({ dismissed: true });
    expect((await append(id, [text(owner, "late")])).map(nameOf)).toEqual(["CONVERSATION_NOT_FOUND"]);
  });

  it("moves read pointers forward only, never past the head, and past one's own messages by itself", async ({
    expect,
  }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    await append(id, [text(a, "1"), text(a, "2"), text(a, "3")]);
    const read = async (userId: string, seqId: number) =>
      must(await roomStub(id).markRead(actorOf(userId), seqId, false)).value;
    expect((await viewOf(id, a)).readSeqId).toBe(3);
    expect((await viewOf(id, b)).readSeqId).toBe(0);
    expect(await read(b, 2)).toEqual({ readSeqId: 2, unreadCount: 1 });
    expect(await read(b, 1)).toEqual({ readSeqId: 2, unreadCount: 1 });
    expect(await read(b, 1_000_000)).toEqual({ readSeqId: 3, unreadCount: 0 });
    await append(id, [text(b, "4")]);
    expect((await viewOf(id, b)).readSeqId).toBe(4);
    await evictRoom(id);
    expect((await viewOf(id, b)).readSeqId).toBe(4);
    expect((await viewOf(id, a)).readSeqId).toBe(3);
  });
});

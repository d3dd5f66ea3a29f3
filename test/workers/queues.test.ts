import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, it, vi } from "vitest";
import { GROUP, type FanoutTask, type PersistBatch, type StoredMessage } from "../../src/domain/records.ts";
import { ConversationRoom } from "../../src/objects/ConversationRoom.ts";
import { FanoutShard } from "../../src/objects/FanoutShard.ts";
import { UserSession } from "../../src/objects/UserSession.ts";
import { newGroupId, newId } from "../../src/platform/ids.ts";
import { DEAD_LETTER_QUEUE } from "../../src/protocol/events.ts";
import { sessionOf } from "../../src/platform/stubs.ts";
import { maxAttempts } from "../../src/queues/retry.ts";
import { repositories } from "../../src/repo/index.ts";
import {
  actorOf,
  append,
  deliver,
  eventually,
  HeldBus,
  must,
  newDirect,
  newGroup,
  newUserId,
  resetClock,
  roomStub,
  text,
  viewOf,
} from "./support/harness.ts";
import { connect, connectShard } from "./support/socket.ts";

const PERSIST = "gochat.messages.persist";
const repo = repositories(env);

let bus: HeldBus;
beforeEach(() => {
  bus = new HeldBus();
});
afterEach(() => {
  resetClock();
  vi.restoreAllMocks();
});

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** Persist batches of one conversation: its group's creation, then one for every two of its messages. */
async function batchesOf(messageCount: number): Promise<{ id: string; owner: string; batches: PersistBatch[] }> {
  const [owner, member] = [newUserId(), newUserId()];
  const id = newGroupId(Date.now());
  const made = must(await roomStub(id).create({ type: GROUP, name: "g", memberIds: [owner, member] }));
  const batches: PersistBatch[] = [
    { conversationId: id, fromSeqId: 0, toSeqId: 0, records: made.records, outboxIds: made.outboxIds },
  ];
  for (let n = 1; n <= messageCount; n += 2) {
    const sent = (await append(id, [text(owner, String(n)), text(member, String(n + 1))])).map(must);
    batches.push({
      conversationId: id,
      fromSeqId: n,
      toSeqId: n + 1,
      records: sent.map((message) => ({
        kind: "message",
        conversationId: id,
        logId: made.outboxIds.length + 1 + message.seqId,
        message,
      })),
      outboxIds: [],
    });
  }
  return { id, owner, batches };
}

async function sqlOf(id: string, userId: string): Promise<{ messages: StoredMessage[]; item: unknown }> {
  const messages = await repo.conversations.messages(id, { after: 0, limit: 100 });
  const [item] = await repo.conversations.items(userId, [id]);
  return { messages, item };
}

describe("persist", () => {
  it("leaves the same rows when batches come twice, together, or backwards", async ({ expect }) => {
    const plain = await batchesOf(6);
    await deliver(PERSIST, plain.batches);
    const expected = await sqlOf(plain.id, plain.owner);
    expect(expected.messages.map((message) => message.seqId)).toEqual(range(1, 6));
    await deliver(PERSIST, plain.batches);
    await deliver(PERSIST, plain.batches.toReversed());
    expect(await sqlOf(plain.id, plain.owner)).toEqual(expected);

    const backwards = await batchesOf(6);
    for (const batch of backwards.batches.toReversed()) {
      expect((await deliver(PERSIST, [batch])).retried).toEqual([]);
      await deliver(PERSIST, [batch]);
    }
    const { messages, item } = await sqlOf(backwards.id, backwards.owner);
    expect(messages.map((message) => message.seqId)).toEqual(range(1, 6));
    expect(item).toMatchObject({ headSeqId: 6, lastMessage: { seqId: 6 }, role: 3 });
  });

  it("keeps a record that SQL refuses from holding up the other rooms of its batch", async ({ expect }) => {
    const [good, bad] = [await batchesOf(2), await batchesOf(2)];
    const poisoned = bad.batches.map((batch) => ({ ...batch, records: [{ kind: "of the next release" }] }));
    const { acked, retried } = await deliver(PERSIST, [...good.batches, ...poisoned]);
    expect([acked.length, retried.length]).toEqual([good.batches.length, bad.batches.length]);
    expect((await sqlOf(good.id, good.owner)).messages.map((message) => message.seqId)).toEqual([1, 2]);
  });

  it("writes many conversations of a batch at once, and tells each room how far it is safe", async ({ expect }) => {
    const rooms = [await batchesOf(2), await batchesOf(4), await batchesOf(2)];
    const writes = vi.spyOn(env.DB, "batch");
    const { acked } = await deliver(
      PERSIST,
      rooms.flatMap((room) => room.batches),
    );
    expect(acked).toHaveLength(3 + 1 + 2 + 1);
    expect(writes).toHaveBeenCalledTimes(1);
    for (const { id, owner } of rooms) {
      const { headSeqId } = await viewOf(id, owner);
      expect((await sqlOf(id, owner)).messages).toHaveLength(headSeqId);
    }
    // Nothing is left to send: each room took the confirmation.
    for (const { id } of rooms) {
      bus.take(PERSIST, id);
      await append(id, [text(rooms[0]?.owner ?? "", "none")]);
      expect(bus.of(PERSIST, id)).toEqual([]);
    }
  });

  it("acknowledges what SQL has, though the room did not answer", async ({ expect }) => {
    const { id, owner, batches } = await batchesOf(2);
    vi.spyOn(ConversationRoom.prototype, "persisted").mockRejectedValue(new Error("Network connection lost."));
    expect(await deliver(PERSIST, batches)).toMatchObject({ retried: [] });
    expect((await sqlOf(id, owner)).messages).toHaveLength(2);
  });
});

describe("events", () => {
  it("may come twice and in any order; each is handled, and its row is settled", async ({ expect }) => {
    const [owner, one, two] = [newUserId(), newUserId(), newUserId()];
    const id = await newGroup([owner]);
    const room = roomStub(id);
    await room.settled(must(await room.addMembers(actorOf(owner), [one])).outboxIds);
    await room.settled(must(await room.addMembers(actorOf(owner), [two])).outboxIds);
    await room.settled(must(await room.removeMember(actorOf(owner), one)).outboxIds);
    await eventually("four events", () => bus.of("gochat.conversation-events", id).length === 4);
    const events = bus.take("gochat.conversation-events", id);
    const socket = await connect(two);
    const result = await deliver("gochat.conversation-events", [...events.toReversed(), ...events]);
    expect(result.acked).toHaveLength(8);
    expect(socket.all("conversation-joined").length).toBeGreaterThanOrEqual(1);
    expect(socket.all("member-removed")[0]?.data).toEqual({ conversationId: id, userId: one, operatorId: owner });
  });

  it("retry alone: a poison message does not hold up its batch, and ends as a dead letter", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const [event] = await bus.next("gochat.conversation-events", id);
    const poison = { event_id: `poison-${newId(Date.now())}`, event_type: "conversation.of.tomorrow", payload: null };
    const delays = [];
    for (let attempts = 1; attempts <= 6; attempts++) {
      const result = await deliver("gochat.conversation-events", [poison, event, "not an object", null], attempts);
      expect(result.acked).toHaveLength(1);
      expect(result.retried).toHaveLength(3);
      delays.push(result.delays[0]);
    }
    expect(delays).toEqual([1, 2, 4, 8, 16, 32]);
    expect((await deliver(DEAD_LETTER_QUEUE, [poison, "not an object", null])).acked).toHaveLength(3);
    const row = await env.DB.prepare("SELECT * FROM dead_letters WHERE instr(body, ?)").bind(poison.event_id).first();
    expect(row).toMatchObject({
      queue: "gochat-conversation-events",
      body: JSON.stringify(poison),
      attempts: 6,
      error: "does not fit its schema",
      replayed_at: null,
    });
  });

  it("keeps a dead letter it could not write, for as long as it takes", async ({ expect }) => {
    vi.spyOn(env.DB, "prepare").mockImplementation(() => {
      throw new Error("D1_ERROR: Network connection lost");
    });
    expect(await deliver(DEAD_LETTER_QUEUE, [{ any: "thing" }], 50)).toMatchObject({ acked: [], delays: [60] });
  });

  it("is retried when a push did not reach an object, and then handled", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const [event] = await bus.next("gochat.conversation-events", id);
    vi.spyOn(UserSession.prototype, "deliver").mockRejectedValueOnce(new Error("Network connection lost."));
    expect(await deliver("gochat.conversation-events", [event])).toMatchObject({ acked: [], delays: [1] });
    const socket = await connect(b);
    expect((await deliver("gochat.conversation-events", [event], 2)).acked).toHaveLength(1);
    expect((await socket.next("conversation-created")).data.conversation.conversationId).toBe(id);
  });
});

describe("fan-out", () => {
  it("serves a group of more than 500: online members alone, on sockets that want it, and tells the room", async ({
    expect,
  }) => {
    const [sender, reader, ...rest] = Array.from({ length: 510 }, newUserId);
    const id = await newGroup([sender ?? "", reader ?? "", ...rest], 1_000);
    const [mine, theirs] = [await connect(sender ?? ""), await connect(reader ?? "")];
    const quiet = await connect(reader ?? "");
    quiet.send({ type: "unsubscribe", data: { conversationId: id } });
    await quiet.settle();
    const calls = vi.spyOn(UserSession.prototype, "deliverBigRoom");
    // The cache has known presence for ever, so only who is online is called.
    await append(id, [text(sender ?? "", "1"), text(rest[0] ?? "", "2")]);
    const tasks = await bus.next<FanoutTask>("gochat.tasks.fanout", id);
    expect(tasks).toMatchObject([{ conversationId: id, fromSeqId: 1, toSeqId: 2 }]);
    expect((await deliver("gochat.tasks.fanout", tasks)).acked).toHaveLength(1);
    expect((await theirs.next("new-messages")).data.messages.map((message) => message.seqId)).toEqual([1, 2]);
    // The sender's other devices may have missed what was acknowledged on one.
    expect((await mine.next("new-messages")).data.messages.map((message) => message.seqId)).toEqual([1, 2]);
    await quiet.settle();
    expect(quiet.all("new-messages")).toEqual([]);
    expect(calls).toHaveBeenCalledTimes(2);
    expect((await sessionOf(env, reader ?? "").heads())[id]).toBe(2);
  });

  it("is repeated for a member who was not reached, and not for ever", async ({ expect }) => {
    const people = Array.from({ length: 510 }, newUserId);
    const [sender, reader] = people;
    const id = await newGroup(people, 1_000);
    const theirs = await connect(reader ?? "");
    await append(id, [text(sender ?? "", "1")]);
    const tasks = await bus.next<FanoutTask>("gochat.tasks.fanout", id);
    const down = vi
      .spyOn(UserSession.prototype, "deliverBigRoom")
      .mockRejectedValue(new Error("Network connection lost."));
    const fannedOut = vi.spyOn(ConversationRoom.prototype, "fannedOut");
    expect(await deliver("gochat.tasks.fanout", tasks)).toMatchObject({ acked: [], delays: [1] });
    expect(fannedOut).not.toHaveBeenCalled();
    down.mockRestore();
    expect((await deliver("gochat.tasks.fanout", tasks, 2)).acked).toHaveLength(1);
    expect((await theirs.next("new-messages")).data.messages.map((message) => message.seqId)).toEqual([1]);
    expect(fannedOut).toHaveBeenCalledTimes(1);

    vi.spyOn(UserSession.prototype, "deliverBigRoom").mockRejectedValue(new Error("Network connection lost."));
    expect((await deliver("gochat.tasks.fanout", tasks, maxAttempts("gochat.tasks.fanout"))).acked).toHaveLength(1);
    expect(fannedOut).toHaveBeenCalledTimes(2);
  });

  it("brings the world to every shard, and is retried when one did not answer", async ({ expect }) => {
    const id = "world_chat_room";
    const sockets = await Promise.all(range(0, 3).map((shard) => connectShard(id, shard)));
    await Promise.all(sockets.map((socket) => socket.next("room")));
    const [sent] = (await append(id, [text(newUserId(), "w")])).map(must);
    const tasks = await bus.next<FanoutTask>("gochat.tasks.fanout", id);
    vi.spyOn(FanoutShard.prototype, "push").mockRejectedValueOnce(new Error("Network connection lost."));
    expect(await deliver("gochat.tasks.fanout", tasks)).toMatchObject({ acked: [], delays: [1] });
    expect((await deliver("gochat.tasks.fanout", tasks, 2)).acked).toHaveLength(1);
    for (const socket of sockets) {
      await socket.until("the message", () => socket.pushed().includes(sent?.seqId ?? 0));
      expect(socket.pushed()).toEqual([sent?.seqId]);
    }
  });
});

describe("upstream", () => {
  it("appends what was put on the bus, acknowledges by frame, and changes nothing the second time", async ({
    expect,
  }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const socket = await connect(a);
    const sends = range(1, 3).map((n) => ({ conversationId: id, command: text(a, String(n)) }));
    const stranger = { conversationId: id, command: text(newUserId(), "s") };
    expect((await deliver("gochat.messages.upstream", [...sends, stranger])).acked).toHaveLength(4);
    await deliver("gochat.messages.upstream", sends);
    await socket.until("six acks", () => socket.all("message-ack").length === 6);
    const acks = socket.all("message-ack").map(({ data }) => [data.clientMsgId, data.status, data.seqId]);
    expect(acks.slice(0, 3)).toEqual(range(1, 3).map((n) => [String(n), "sent", n]));
    expect(acks.slice(3)).toEqual(acks.slice(0, 3));
    expect((await viewOf(id, b)).headSeqId).toBe(3);
  });
});

describe("upstream", () => {
  it("tells the sender when it gives up; the letter, replayed, sends after all", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const socket = await connect(a);
    const send = { conversationId: id, command: text(a, "late") };
    const failing = vi.spyOn(ConversationRoom.prototype, "append").mockRejectedValue(new Error("no room"));
    expect(
      (await deliver("gochat.messages.upstream", [send], maxAttempts("gochat.messages.upstream") - 1)).retried,
    ).toHaveLength(1);
    expect(bus.of("gochat.message-events", id)).toEqual([]);
    expect(
      (await deliver("gochat.messages.upstream", [send], maxAttempts("gochat.messages.upstream"))).retried,
    ).toHaveLength(1);
    await deliver("gochat.message-events", bus.take("gochat.message-events", id));
    expect((await socket.next("message-error")).data).toMatchObject({
      clientMsgId: "late",
      conversationId: id,
      error: { name: "UNAVAILABLE", retry: "later" },
    });
    failing.mockRestore();
    await deliver(DEAD_LETTER_QUEUE, [send]);
    const letter = await env.DB.prepare("SELECT * FROM dead_letters WHERE instr(message_id, ?)").bind(id).first();
    expect(letter).toMatchObject({
      queue: "gochat-messages-upstream",
      attempts: maxAttempts("gochat.messages.upstream"),
      error: "Error: no room",
    });
    await deliver("gochat.messages.upstream", [JSON.parse(String(letter?.["body"]))]);
    expect((await socket.next("message-ack")).data).toMatchObject({ clientMsgId: "late", status: "sent", seqId: 1 });
  });
});

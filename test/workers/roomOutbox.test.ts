import { env } from "cloudflare:workers";
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, it, vi } from "vitest";
import type { PersistBatch } from "../../src/domain/records.ts";
import { DEAD_LETTER_QUEUE } from "../../src/protocol/events.ts";
import { repositories } from "../../src/repo/index.ts";
import { resetBreakers } from "../../src/telemetry/breaker.ts";
import {
  evictRoom,
  actorOf,
  advance,
  append,
  appendOne,
  deliver,
  eventually,
  HeldBus,
  logOf,
  must,
  newDirect,
  newGroup,
  newUserId,
  resetClock,
  roomStub,
  text,
} from "./support/harness.ts";
import { connect } from "./support/socket.ts";
import { outboxRows } from "./support/talk.ts";

const PERSIST = "gochat.messages.persist";
/** Longer than any retry time of an outbox. */
const LATER_MS = 61_000;

let bus: HeldBus;
beforeEach(() => {
  bus = new HeldBus();
});
afterEach(() => {
  resetClock();
  vi.restoreAllMocks();
});

async function persistedSeqId(conversationId: string): Promise<number> {
  return await runInDurableObject(roomStub(conversationId), (_room, state) => {
    const row = state.storage.sql.exec<{ value: string }>("SELECT value FROM facts WHERE name = 'counters'").one();
    return (JSON.parse(row.value) as { persistedSeqId: number }).persistedSeqId;
  });
}

async function inSql(conversationId: string): Promise<number[]> {
  const rows = await repositories(env).conversations.messages(conversationId, { after: 0, limit: 100 });
  return rows.map((row) => row.seqId);
}

/** The room's alarm, as it would come at its own time. */
async function laterAlarm(conversationId: string): Promise<boolean> {
  advance(LATER_MS);
  return await runDurableObjectAlarm(roomStub(conversationId));
}

describe("the way to SQL", () => {
  it("publishes, persists, moves the watermark durably and tells the sender", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const device = await connect(a);
    const message = await appendOne(id, text(a, "k"));
    const batches = await bus.next<PersistBatch>(PERSIST, id);
    expect(batches).toMatchObject([{ conversationId: id, fromSeqId: 1, toSeqId: 1 }]);
    expect(device.all("message-confirmed")).toEqual([]);

    expect(await deliver(PERSIST, batches)).toMatchObject({ retried: [] });
    const { data } = await device.next("message-confirmed");
    expect(data).toEqual({ clientMsgId: "k", conversationId: id, messageId: message.messageId, seqId: 1 });
    expect(await inSql(id)).toEqual([1]);

    await evictRoom(id);
    expect(await persistedSeqId(id)).toBe(1);
    await laterAlarm(id);
    expect(bus.of(PERSIST, id)).toEqual([]);
  });

  it("carries what came meanwhile in one batch, one at a time", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    await append(id, [text(a, "1")]);
    const [first] = await bus.next<PersistBatch>(PERSIST, id);
    await append(id, [text(a, "2")]);
    await append(id, [text(b, "3"), text(a, "4")]);
    expect(bus.of(PERSIST, id)).toEqual([]);
    await deliver(PERSIST, [first]);
    const second = await bus.next<PersistBatch>(PERSIST, id);
    expect(second).toMatchObject([{ fromSeqId: 2, toSeqId: 4 }]);
  });

  it("sends again from its alarm what the queue lost, also after a restart", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    await append(id, [text(a, "1"), text(a, "2")]);
    const lost = await bus.next<PersistBatch>(PERSIST, id);
    // Too early: it may still be on its way.
    advance(1_000);
    await runDurableObjectAlarm(roomStub(id));
    expect(bus.of(PERSIST, id)).toEqual([]);

    expect(await laterAlarm(id)).toBe(true);
    const again = await bus.next<PersistBatch>(PERSIST, id);
    expect(again).toEqual(lost);

    // A killed process loses the object's memory with the queue.
    await evictRoom(id);
    expect(await laterAlarm(id)).toBe(true);
    expect(await bus.next<PersistBatch>(PERSIST, id)).toEqual(lost);
    await deliver(PERSIST, lost);
    await eventually("the watermark", async () => (await persistedSeqId(id)) === 2);
    expect(await inSql(id)).toEqual([1, 2]);
  });

  it("comes to rest: when all is confirmed, no alarm is left", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    await append(id, [text(a, "1")]);
    await deliver(PERSIST, await bus.next(PERSIST, id));
    await deliver("gochat.conversation-events", await bus.next("gochat.conversation-events", id));
    await laterAlarm(id);
    expect(await outboxRows(id)).toBe(0);
    expect(await laterAlarm(id)).toBe(false);
    expect(bus.sent.filter((sent) => JSON.stringify(sent).includes(id))).toEqual([]);
  });

  it("acknowledges while the bus refuses, and publishes when it is back", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    bus.refuse = true;
    expect((await appendOne(id, text(a, "1"))).seqId).toBe(1);
    await eventually("a refusal", () => bus.refusals > 0);
    const before = bus.refusals;
    await laterAlarm(id);
    await eventually("another refusal", () => bus.refusals > before);
    bus.refuse = false;
    await laterAlarm(id);
    expect(await bus.next<PersistBatch>(PERSIST, id)).toMatchObject([{ fromSeqId: 1, toSeqId: 1 }]);
  });

  it("learns nothing from a batch that starts behind a hole", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    await append(id, [text(a, "1"), text(a, "2"), text(a, "3")]);
    await roomStub(id).persisted(3, 3, []);
    expect(await persistedSeqId(id)).toBe(0);
    await roomStub(id).persisted(1, 2, []);
    expect(await persistedSeqId(id)).toBe(2);
    await roomStub(id).persisted(1, 1, []);
    expect(await persistedSeqId(id)).toBe(2);
  });

  it("never takes a confirmation for more than it has", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    await append(id, [text(a, "1")]);
    await roomStub(id).persisted(1, 1_000, []);
    await append(id, [text(a, "2")]);
    expect(await persistedSeqId(id)).toBe(1);
    await laterAlarm(id);
    expect((await bus.next<PersistBatch>(PERSIST, id)).at(-1)).toMatchObject({ fromSeqId: 2, toSeqId: 2 });
  });
});

describe("when SQL does not answer", () => {
  it("backs off, tells the sender at the end, keeps a dead letter, and persists all the same later", async ({
    expect,
  }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const device = await connect(a);
    const message = await appendOne(id, text(a, "k", "not to be seen in a letter's log"));
    const batches = await bus.next<PersistBatch>(PERSIST, id);

    const down = vi.spyOn(env.DB, "batch").mockRejectedValue(new Error("D1_ERROR: Network connection lost"));
    const delays = [];
    for (let attempts = 1; attempts <= 5; attempts++) {
      const {
        acked,
        delays: [delay],
      } = await deliver(PERSIST, batches, attempts);
      expect(acked).toEqual([]);
      delays.push(delay);
    }
    expect(delays).toEqual([1, 2, 4, 8, 16]);
    expect(bus.of("gochat.message-events", id)).toEqual([]);

    // The last delivery: after it the queue hands the message to the dead letters.
    await deliver(PERSIST, batches, 6);
    const failures = await bus.next("gochat.message-events", id);
    expect(failures).toMatchObject([{ event_type: "message.persist.failed", conversation_id: id }]);
    await deliver("gochat.message-events", failures);
    expect((await device.next("message-persist-failed")).data).toEqual({
      clientMsgId: "k",
      conversationId: id,
      messageId: message.messageId,
      seqId: 1,
    });
    down.mockRestore();
    // Its breaker would let a call through after two seconds.
    resetBreakers();

    await deliver(DEAD_LETTER_QUEUE, batches);
    const letters = await env.DB.prepare("SELECT body FROM dead_letters WHERE instr(body, ?)").bind(id).all();
    expect(letters.results).toHaveLength(1);

    // The log still has it: the alarm sends it again, and now SQL takes it.
    expect((await logOf(id)).map((m) => m.seqId)).toEqual([1]);
    await laterAlarm(id);
    const [again] = await bus.next<PersistBatch>(PERSIST, id);
    await deliver(PERSIST, [again]);
    await device.next("message-confirmed");
    expect(await inSql(id)).toEqual([1]);
  });
});

describe("changes of anything but messages", () => {
  it("holds rows that a request writes through, and sends them when that request died", async ({ expect }) => {
    const [owner, member] = [newUserId(), newUserId()];
    const id = `group_${newUserId()}`;
    const made = must(await roomStub(id).create({ type: 2, name: "held", memberIds: [owner, member] }));
    expect(made.records.map((record) => record.kind)).toEqual(["conversation", "member", "member"]);
    expect(made.outboxIds).toHaveLength(3);
    // The request did not say `settled`: it was killed between the commit and SQL.
    expect(bus.of(PERSIST, id)).toEqual([]);
    await laterAlarm(id);
    const batches = await bus.next<PersistBatch>(PERSIST, id);
    expect(batches.flatMap((batch) => batch.records)).toEqual(made.records);
    expect(batches).toMatchObject([{ fromSeqId: 0, toSeqId: 0, outboxIds: made.outboxIds }]);
    await deliver(PERSIST, batches);
    const list = must(await repositories(env).conversations.list(member, { limit: 10 }));
    expect(list.items.map((item) => item.conversation.conversationId)).toContain(id);
    await deliver("gochat.conversation-events", await bus.next("gochat.conversation-events", id));
    await deliver("gochat.notifications", await bus.next("gochat.notifications", id));
    await eventually("an empty outbox", async () => (await outboxRows(id)) === 0);
  });

  it("sends nothing that was settled", async ({ expect }) => {
    const owner = newUserId();
    const id = await newGroup([owner]);
    await deliver("gochat.conversation-events", await bus.next("gochat.conversation-events", id));
    expect(await outboxRows(id)).toBe(0);
    await laterAlarm(id);
    expect(bus.of(PERSIST, id)).toEqual([]);
  });

  it("publishes an event under one id until its consumer has handled it", async ({ expect }) => {
    const [owner, member] = [newUserId(), newUserId()];
    const id = await newGroup([owner]);
    await deliver("gochat.conversation-events", await bus.next("gochat.conversation-events", id));
    const change = must(await roomStub(id).addMembers(actorOf(owner), [member]));
    await roomStub(id).settled(change.outboxIds);
    const first = await bus.next<{ event_id: string }>("gochat.conversation-events", id);
    expect(first).toMatchObject([{ event_type: "conversation.member.added" }]);
    await evictRoom(id);
    await laterAlarm(id);
    const second = await bus.next<{ event_id: string }>("gochat.conversation-events", id);
    expect(second).toEqual(first);
    const device = await connect(member);
    await deliver("gochat.conversation-events", second);
    await deliver("gochat.notifications", await bus.next("gochat.notifications", id));
    expect((await device.next("conversation-joined")).data.conversation.conversationId).toBe(id);
    // The object was gone before the rows were that SQL has: they come once more.
    await deliver(PERSIST, await bus.next<PersistBatch>(PERSIST, id));
    expect(await outboxRows(id)).toBe(0);
  });

  it("writes a read pointer to SQL and tells the senders in the range", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const [alice, bob] = [await connect(a), await connect(b)];
    await append(id, [text(a, "1"), text(a, "2")]);
    await deliver(PERSIST, await bus.next(PERSIST, id));
    bob.send({ type: "mark-read", data: { conversationId: id, seqId: 2 } });
    const batches = await bus.next<PersistBatch>(PERSIST, id);
    expect(batches.flatMap((batch) => batch.records)).toMatchObject([{ kind: "readPointer", userId: b, readSeqId: 2 }]);
    await deliver(PERSIST, batches);
    await deliver("gochat.message-events", await bus.next("gochat.message-events", id));
    expect((await alice.next("message-read-receipt")).data).toEqual({ conversationId: id, userId: b, readSeqId: 2 });
    expect(bob.all("message-read-receipt")).toEqual([]);
  });
});

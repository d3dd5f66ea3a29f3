import { describe, it } from "vitest";
import { actorOf, MemoryRoom, must, NOW, textOf } from "../../test/support/memoryRoom.ts";
import { persistBatchLimitBytes } from "../../test/support/platformLimits.ts";
import { GROUP, type PersistBatch } from "./records.ts";
import { OUTBOX_RETRY_MAX_MS, OUTBOX_RETRY_MS } from "./room.ts";
import { addMembers, createConversation, markRead, removeMember } from "./roomChanges.ts";

/** Longest pause between two batches under load. */
const PAUSE_MAX_MS = 250;
const SECOND_MS = 1_000;

/** Sequences and changes of each batch since the last call. */
function batches(room: MemoryRoom): PersistBatch[] {
  return room.take("persist").map(({ batch }) => batch);
}

function spans(room: MemoryRoom): [number, number][] {
  return batches(room).map(({ fromSeqId, toSeqId }) => [fromSeqId, toSeqId]);
}

function bytesOf(value: unknown): number {
  return new TextEncoder().encode(JSON.stringify(value)).length;
}

/** SQL has everything up to `toSeqId`; the answer took so long. */
function confirm(room: MemoryRoom, fromSeqId: number, toSeqId: number, afterMs = 0): void {
  room.pass(afterMs);
  room.core.persisted(fromSeqId, toSeqId, [], room.now);
}

function fire(room: MemoryRoom, name: "persist", afterMs: number): void {
  room.pass(afterMs);
  room.core.onTimer(name, room.now);
}

/** The room's alarm goes off when it was set to. */
function alarm(room: MemoryRoom): void {
  const at = room.take("alarm").at(-1)?.at ?? room.now;
  room.now = Math.max(room.now, at);
  room.core.onAlarm(room.now);
}

describe("messages on their way to SQL", () => {
  it("leave at once when nothing is under way, then one batch at a time with all that came meanwhile", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    room.say("owner", "1");
    expect(spans(room)).toEqual([[1, 1]]);
    room.say("owner", "2");
    room.say("owner", "3");
    expect(spans(room)).toEqual([]);
    confirm(room, 1, 1);
    expect(spans(room)).toEqual([[2, 3]]);
  });

  it("wait under load three times as long as the last batch took, a quarter of a second at most", ({ expect }) => {
    for (const [tookMs, pauseMs] of [
      [0, 0],
      [20, 60],
      [5_000, PAUSE_MAX_MS],
    ] as const) {
      const room = MemoryRoom.group(["owner"]);
      room.say("owner", "1");
      room.say("owner", "2");
      spans(room);
      room.take("timer");
      confirm(room, 1, 1, tookMs);
      const pauses = room.take("timer").flatMap(({ name, inMs }) => (name === "persist" ? [inMs] : []));
      expect(pauses).toEqual(pauseMs === 0 ? [] : [pauseMs]);
      if (pauseMs > 0) {
        fire(room, "persist", pauseMs);
      }
      expect(spans(room)).toEqual([[2, 2]]);
    }
  });

  it("carry the numbers of their changes, so that SQL can tell older from newer", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    room.core.append([textOf("owner", "1"), textOf("owner", "2")], room.now);
    const [batch] = batches(room);
    const logIds = batch?.records.map((record) => record.logId) ?? [];
    expect(logIds.length).toBe(2);
    expect(logIds.toSorted((a, b) => a - b)).toEqual(logIds);
    expect(new Set(logIds).size).toBe(2);
  });

  it("fit into one queue message, whatever they are made of, and nothing is left out", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a"]);
    // What JSON makes longest, and what UTF-8 does.
    const contents = ["\u0001".repeat(8_000), "👍".repeat(8_000), "你".repeat(8_000), "x".repeat(8_000)];
    const texts = Array.from({ length: 40 }, (_, n) =>
      textOf("a", `k${n}`, { content: contents[n % contents.length] ?? "", mentions: ["owner", "a"] }),
    );
    const sent = room.core.append(texts, room.now).map((outcome) => must(outcome).seqId);
    const seen: number[] = [];
    for (let [batch] = batches(room); batch !== undefined; [batch] = batches(room)) {
      expect(bytesOf(batch)).toBeLessThan(persistBatchLimitBytes);
      seen.push(...batch.records.flatMap((record) => (record.kind === "message" ? [record.message.seqId] : [])));
      confirm(room, batch.fromSeqId, batch.toSeqId);
    }
    expect(seen).toEqual(sent);
  });

  it("are read as many as fit: a room that is far behind SQL does not read hundreds of long ones for each batch", ({
    expect,
  }) => {
    const room = MemoryRoom.group(["owner"]);
    const content = "x".repeat(30_000);
    const count = 200;
    for (let n = 1; n <= count; n++) {
      room.say("owner", `k${n}`, { content });
    }
    // From here on they are behind the memory of a room that has just woken up.
    room.wakeAgain();
    const messagesAfter = room.store.messagesAfter.bind(room.store);
    let read = 0;
    room.store.messagesAfter = (after, limit) => {
      const rows = messagesAfter(after, limit);
      read += rows.length;
      return rows;
    };
    const [first] = batches(room);
    for (let batch = first; batch !== undefined && batch.toSeqId < 30; [batch] = batches(room)) {
      confirm(room, batch.fromSeqId, batch.toSeqId);
    }
    expect(first?.records.length).toBe(3);
    // Each of the ten batches looks at one page; what it confirms is read once more.
    expect(read).toBeLessThan(200);
  });

  it("are found again by a room that wakes", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    room.say("owner", "1");
    room.say("owner", "2");
    room.wakeAgain();
    expect(spans(room)).toEqual([[1, 2]]);
    expect(room.take("alarm")).toHaveLength(1);
  });
});

describe("a confirmation", () => {
  it("tells every sender once, in one push, with the key of each message", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a"]);
    room.core.append([textOf("a", "1"), textOf("owner", "2"), textOf("a", "3")], room.now);
    confirm(room, 1, 3);
    confirm(room, 1, 3);
    const told = room
      .take("push")
      .map(({ userId, frames }) => [
        userId,
        frames.map((frame) => (frame.type === "message-confirmed" ? frame.data.clientMsgId : frame.type)),
      ]);
    expect(told).toEqual([
      ["a", ["1", "3"]],
      ["owner", ["2"]],
    ]);
  });

  it("that is older than what is known moves nothing back", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    room.core.append([textOf("owner", "1"), textOf("owner", "2")], room.now);
    confirm(room, 1, 2);
    confirm(room, 1, 1);
    expect(room.core.counters.persistedSeqId).toBe(2);
    expect(room.take("push")).toHaveLength(1);
  });

  it("behind a hole says nothing about the hole", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    room.core.append([textOf("owner", "1"), textOf("owner", "2")], room.now);
    confirm(room, 2, 2);
    expect(room.core.counters.persistedSeqId).toBe(0);
    expect(room.take("push")).toEqual([]);
  });

  it("of more than the log has does not move past it", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    room.say("owner", "1");
    confirm(room, 1, Number.MAX_SAFE_INTEGER);
    expect(room.core.counters.persistedSeqId).toBe(1);
    expect(room.say("owner", "2").seqId).toBe(2);
  });

  it("of an earlier batch does not let the next one leave early", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    room.say("owner", "1");
    confirm(room, 1, 1);
    room.say("owner", "2");
    room.say("owner", "3");
    expect(spans(room)).toEqual([
      [1, 1],
      [2, 2],
    ]);
    confirm(room, 1, 1);
    expect(spans(room)).toEqual([]);
  });

  it("writes what senders have read by sending", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a"]);
    room.say("a", "1");
    room.say("owner", "2");
    expect(room.store.member("a")?.readSeqId).toBe(0);
    expect(room.core.member("a")?.readSeqId).toBe(1);
    confirm(room, 1, 2);
    expect([room.store.member("a")?.readSeqId, room.store.member("owner")?.readSeqId]).toEqual([1, 2]);
  });
});

describe("a batch without an answer", () => {
  it("is sent again by the alarm: later each time, a minute at most", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    room.say("owner", "1");
    const sentAt: number[] = [];
    for (let n = 0; n < 8; n++) {
      for (let sent = spans(room); sent.length === 0; sent = spans(room)) {
        alarm(room);
      }
      sentAt.push(room.now);
    }
    const pauses = sentAt.slice(1).map((at, n) => at - (sentAt[n] ?? 0));
    expect(pauses[0]).toBe(OUTBOX_RETRY_MS);
    expect(pauses.toSorted((a, b) => a - b)).toEqual(pauses);
    expect(pauses.at(-1)).toBe(OUTBOX_RETRY_MAX_MS);
  });

  it("and one that the bus refused both go again, with what came meanwhile", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    room.say("owner", "1");
    spans(room);
    room.core.persistRefused(room.now);
    alarm(room);
    expect(spans(room)).toEqual([[1, 1]]);
    room.say("owner", "2");
    room.pass(2 * OUTBOX_RETRY_MS);
    alarm(room);
    expect(spans(room)).toEqual([[1, 2]]);
  });

  it("is waited for no longer than at first, once something was confirmed", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    room.say("owner", "1");
    room.core.cached({ online: [], complete: true }, room.now);
    for (let n = 0; n < 5; n++) {
      alarm(room);
    }
    confirm(room, 1, 1);
    alarm(room);
    expect(room.take("alarm")).toEqual([]);
    room.say("owner", "2");
    expect(room.take("alarm").map(({ at }) => at - room.now)).toEqual([OUTBOX_RETRY_MS]);
  });

  it("that the consumer gave up is said to its senders, once however often it is given up", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a"]);
    room.core.append([textOf("a", "1"), textOf("owner", "2")], room.now);
    room.core.persistFailed(1, 2, room.now);
    room.core.persistFailed(1, 2, room.now);
    const told = room.take("publish").flatMap(({ rows }) => rows.map((row) => JSON.parse(row.body) as FailedEvent));
    expect(told.map(({ event_type, payload }) => [event_type, payload.sender_id, payload.client_msg_id])).toEqual([
      ["message.persist.failed", "a", "1"],
      ["message.persist.failed", "owner", "2"],
    ]);
    expect(new Set(told.map((event) => event.event_id)).size).toBe(2);
    expect(room.core.counters.persistedSeqId).toBe(0);
    // Nor does it go straight back to where it has just failed: the alarm sends it again.
    expect(spans(room)).toEqual([[1, 2]]);
    alarm(room);
    expect(spans(room)).toEqual([[1, 2]]);
  });
});

type FailedEvent = { event_id: string; event_type: string; payload: { sender_id: string; client_msg_id: string } };

describe("changes on their way to SQL", () => {
  it("that their caller writes through do not leave, unless the caller never says that it has", ({ expect }) => {
    const room = new MemoryRoom();
    must(createConversation(room.core, { type: GROUP, memberIds: ["owner", "a"] }, room.now));
    expect(batches(room)).toEqual([]);
    alarm(room);
    expect(batches(room)[0]?.records.map(({ kind }) => kind)).toEqual(["conversation", "member", "member"]);
  });

  it("take along what earlier ones left behind: a later version in SQL says that all before it is there", ({
    expect,
  }) => {
    const room = MemoryRoom.group(["owner", "a", "b"]);
    const kinds = (userId: string): string[] => {
      const { records, outboxIds } = must(removeMember(room.core, actorOf("owner"), userId, room.now));
      room.core.settled(userId === "b" ? outboxIds : [], room.now);
      return records.map((record) => record.kind).filter((kind) => kind === "memberRemoved");
    };
    expect(kinds("a")).toEqual(["memberRemoved"]);
    expect(kinds("b")).toEqual(["memberRemoved", "memberRemoved"]);
    expect(room.outbox().filter((row) => row.topic === "gochat.messages.persist")).toEqual([]);
  });

  it("do not overtake each other where an alarm came while a batch was under way", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a", "b", "c"]);
    // Neither is ever written through.
    must(removeMember(room.core, actorOf("owner"), "a", room.now));
    room.pass(1);
    room.say("owner", "1");
    expect(spans(room)).toEqual([[1, 1]]);
    must(removeMember(room.core, actorOf("owner"), "b", room.now));
    room.pass(OUTBOX_RETRY_MS - 1);
    room.core.onAlarm(room.now);
    confirm(room, 1, 1);
    expect(batches(room)).toEqual([]);
    room.pass(1);
    room.core.onAlarm(room.now);
    const gone = batches(room).flatMap(({ records }) => records.filter(({ kind }) => kind === "memberRemoved"));
    expect(gone).toMatchObject([{ userId: "a" }, { userId: "b" }]);
  });

  it("that are confirmed leave the disk with the next change or the alarm; who dies before sends them once more", ({
    expect,
  }) => {
    const stored = (room: MemoryRoom): number => room.store.outbox(100).length;
    const confirmed = (): MemoryRoom => {
      const room = MemoryRoom.group(["owner", "a"]);
      must(removeMember(room.core, actorOf("owner"), "a", room.now));
      const ids = room.store.outbox(100).map(({ id }) => id);
      room.take("publish");
      room.core.settled(ids, room.now);
      expect(stored(room)).toBe(ids.length);
      return room;
    };
    const changed = confirmed();
    const { outboxIds } = must(addMembers(changed.core, actorOf("owner"), ["b"], changed.now));
    expect(changed.store.outbox(100).every(({ id }) => id >= Math.min(...outboxIds))).toBe(true);
    const woken = confirmed();
    alarm(woken);
    expect(stored(woken)).toBe(0);
    expect(woken.take("publish")).toEqual([]);
    const dead = confirmed();
    dead.wakeAgain().pass(OUTBOX_RETRY_MS);
    alarm(dead);
    expect(dead.take("publish").flatMap(({ rows }) => rows)).toHaveLength(1);
  });

  it("are gone when the caller has said so, and nothing is armed for them", ({ expect }) => {
    const room = new MemoryRoom();
    const made = must(createConversation(room.core, { type: GROUP, memberIds: ["owner"] }, room.now));
    room.core.settled(made.outboxIds, room.now);
    expect(room.outbox().map(({ topic }) => topic)).toEqual(["gochat.conversation-events"]);
    room.core.settled(
      room.outbox().map(({ id }) => id),
      room.now,
    );
    alarm(room);
    room.take("alarm");
    alarm(room);
    expect(batches(room)).toEqual([]);
    expect(room.take("alarm")).toEqual([]);
  });

  it("nobody writes through leave at once, and with the next messages when something is under way", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a"]);
    room.say("owner", "1");
    batches(room);
    must(markRead(room.core, actorOf("a"), 1, false, room.now));
    expect(batches(room)).toEqual([]);
    room.say("owner", "2");
    confirm(room, 1, 1);
    const [batch] = batches(room);
    expect(batch?.records.map(({ kind }) => kind)).toEqual(["message", "readPointer"]);
    expect(batch?.outboxIds).toHaveLength(1);
  });

  it("alone are a batch of no messages, whose confirmation moves no watermark", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a"]);
    room.say("owner", "1");
    confirm(room, 1, 1);
    batches(room);
    must(markRead(room.core, actorOf("a"), 1, false, room.now));
    const [batch] = batches(room);
    expect([batch?.fromSeqId, batch?.toSeqId]).toEqual([0, 0]);
    room.core.persisted(0, 0, batch?.outboxIds ?? [], room.now);
    expect(room.core.counters.persistedSeqId).toBe(1);
    // The event of the pointer is the consumer's of events to confirm.
    expect(room.outbox().map(({ topic }) => topic)).toEqual(["gochat.message-events"]);
  });

  it("stay until SQL has them: a room that wakes sends them again", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a"]);
    must(removeMember(room.core, actorOf("owner"), "a", room.now));
    room.wakeAgain();
    alarm(room);
    const [batch] = batches(room);
    expect(batch?.records.map(({ kind }) => kind)).toEqual(["conversation", "memberRemoved"]);
    room.core.persisted(0, 0, batch?.outboxIds ?? [], room.now);
    expect(room.outbox().map(({ topic }) => topic)).toEqual(["gochat.conversation-events"]);
  });

  it("of hundreds of members go in as many batches as it takes, each small enough", ({ expect }) => {
    const many = Array.from({ length: 450 }, (_, n) => `01ARZ3NDEKTSV4RRFFQ69G${String(n).padStart(4, "0")}`);
    const room = MemoryRoom.group(["owner"], 1_000);
    must(addMembers(room.core, actorOf("owner"), many, room.now));
    const members = new Set<string>();
    for (let rounds = 0; members.size < many.length && rounds < 20; rounds++) {
      room.pass(OUTBOX_RETRY_MAX_MS);
      alarm(room);
      for (const batch of batches(room)) {
        expect(bytesOf(batch)).toBeLessThan(persistBatchLimitBytes);
        batch.records.forEach((record) => record.kind === "member" && members.add(record.member.userId));
        room.core.persisted(0, 0, batch.outboxIds, room.now);
      }
    }
    expect([...members].toSorted()).toEqual(many);
  });
});

describe("events", () => {
  it("are published at once, and again until a consumer has them, each time as the same event", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a"]);
    must(removeMember(room.core, actorOf("owner"), "a", room.now));
    const [first] = room.take("publish").flatMap(({ rows }) => rows);
    room.pass(OUTBOX_RETRY_MS);
    alarm(room);
    const again = room.take("publish").flatMap(({ rows }) => rows);
    expect(again).toEqual([first]);
    room.core.settled(
      room.outbox().map(({ id }) => id),
      room.now,
    );
    room.pass(OUTBOX_RETRY_MAX_MS);
    alarm(room);
    expect(room.take("publish")).toEqual([]);
  });

  it("that left a moment ago are not sent again by an alarm that was set before them", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a", "b"]);
    must(removeMember(room.core, actorOf("owner"), "a", room.now));
    room.pass(OUTBOX_RETRY_MS - SECOND_MS);
    must(removeMember(room.core, actorOf("owner"), "b", room.now));
    room.take("publish");
    room.pass(SECOND_MS);
    room.core.onAlarm(room.now);
    const users = room.take("publish").flatMap(({ rows }) => rows.map(({ body }) => body.includes('"user_id":"a"')));
    expect(users).toEqual([true]);
    expect(room.now - NOW).toBe(OUTBOX_RETRY_MS);
  });
});

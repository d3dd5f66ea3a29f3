import { describe, it } from "vitest";
import { actorOf, MemoryRoom, must, NOW } from "../../test/support/memoryRoom.ts";
import { alarm, batches, bytesOf, confirm, spans } from "../../test/support/persistBatches.ts";
import { persistBatchLimitBytes } from "../../test/support/platformLimits.ts";
import { GROUP } from "./records.ts";
import { OUTBOX_RETRY_MAX_MS, OUTBOX_RETRY_MS } from "./room.ts";
import { addMembers, createConversation, markRead, removeMember } from "./roomChanges.ts";

const SECOND_MS = 1_000;

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

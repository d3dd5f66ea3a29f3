import fc from "fast-check";
import { describe, it } from "vitest";
import { actorOf, MemoryRoom, must, nameOf, NOW } from "../../test/support/memoryRoom.ts";
import { EVENTS } from "../protocol/events.ts";
import { ERRORS } from "../protocol/errors.ts";
import type { Actor } from "./commands.ts";
import { ADMIN, DIRECT, GROUP, MEMBER, OWNER, WORLD, WORLD_ROOM_ID } from "./records.ts";
import { addMembers, createConversation, markRead, removeMember } from "./roomChanges.ts";

const owner = actorOf("owner");

type BusEvent = { event_type: string; operator_id?: string; user_id?: string; payload: Record<string, unknown> };

/** Events in the outbox, oldest first. */
function events(room: MemoryRoom): BusEvent[] {
  return room
    .outbox()
    .filter(({ topic }) => topic !== "gochat.messages.persist")
    .map(({ body }) => JSON.parse(body) as BusEvent);
}

function members(room: MemoryRoom): string[] {
  return room.core.members("", 1_000).map((member) => member.userId);
}

function promote(room: MemoryRoom, userId: string): void {
  const member = room.store.member(userId);
  if (member !== undefined) {
    room.store.putMember({ ...member, role: ADMIN });
  }
}

describe("creating", () => {
  it("answers the same to whoever comes second, and makes nothing anew", ({ expect }) => {
    const room = new MemoryRoom("single_a_b");
    const first = must(createConversation(room.core, { type: DIRECT, memberIds: ["a", "b"] }, NOW));
    const rows = room.outbox().length;
    const second = must(createConversation(room.core, { type: DIRECT, memberIds: ["b", "a"] }, NOW + 1));
    expect(second.value.conversation).toEqual(first.value.conversation);
    expect([second.records, second.outboxIds]).toEqual([[], []]);
    expect(room.outbox()).toHaveLength(rows);
  });

  it("shows an existing conversation to its members only", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a"]);
    const stranger = createConversation(room.core, { type: GROUP, memberIds: ["x"] }, NOW);
    expect(nameOf(stranger)).toBe("CONVERSATION_NOT_FOUND");
    expect(nameOf(createConversation(room.core, { type: GROUP, memberIds: ["a"] }, NOW))).toBe("ok");
  });

  it("needs somebody, and never makes a world", ({ expect }) => {
    expect(nameOf(createConversation(new MemoryRoom().core, { type: GROUP, memberIds: [] }, NOW))).toBe(
      "INVALID_INPUT",
    );
    const world = new MemoryRoom(WORLD_ROOM_ID);
    expect(nameOf(createConversation(world.core, { type: WORLD, memberIds: ["a"] }, NOW))).toBe("INVALID_INPUT");
  });

  it("leaves a record of the conversation, one of each member, and the event once, all numbered upwards", ({
    expect,
  }) => {
    const room = new MemoryRoom();
    const { records, outboxIds } = must(
      createConversation(room.core, { type: GROUP, memberIds: ["owner", "a", "b"] }, NOW),
    );
    expect(records.map(({ kind }) => kind)).toEqual(["conversation", "member", "member", "member"]);
    expect(records.map(({ logId }) => logId)).toEqual(outboxIds);
    expect(outboxIds.toSorted((a, b) => a - b)).toEqual(outboxIds);
    expect(events(room).filter(({ event_type }) => event_type === "conversation.created")).toHaveLength(1);
  });
});

describe("adding", () => {
  it("takes whom it can, in the order asked, and says of the others why", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a"], 4);
    const { value, records } = must(addMembers(room.core, owner, ["a", "b", "c", "d", "b", "e"], NOW));
    expect(value.added.map(({ userId }) => userId)).toEqual(["a", "b", "c"]);
    const { code } = ERRORS.GROUP_FULL;
    expect(value.failed).toEqual([
      { userId: "d", code },
      { userId: "e", code },
    ]);
    // Only who is new is written.
    expect(records.map(({ kind }) => kind)).toEqual(["conversation", "member", "member"]);
    expect(room.core.state?.memberCount).toBe(4);
  });

  it("changes nothing, not even the version, when nobody is new", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a"], 2);
    const before = room.core.state;
    const { value, records } = must(addMembers(room.core, owner, ["a", "x"], NOW + 5));
    expect([value.added.length, value.failed.length, records.length]).toEqual([1, 1, 0]);
    expect(room.core.state).toEqual(before);
    expect(room.outbox()).toEqual([]);
  });

  it("gives the newcomer nothing unread, and who was here before their pointer back as it was", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a"]);
    room.say("owner", "1");
    room.say("owner", "2");
    must(markRead(room.core, actorOf("a"), 1, false, NOW));
    const { value } = must(addMembers(room.core, owner, ["a", "b"], NOW));
    expect(value.added.map(({ userId, readSeqId, role }) => [userId, readSeqId, role])).toEqual([
      ["a", 1, MEMBER],
      ["b", 2, MEMBER],
    ]);
  });

  it("lets nobody come back to an unread count of before, nor with the role of before", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a"]);
    promote(room, "a");
    room.say("owner", "1");
    must(removeMember(room.core, owner, "a", NOW));
    room.say("owner", "2");
    const { value } = must(addMembers(room.core, owner, ["a"], NOW + 9));
    expect(value.added).toEqual([{ userId: "a", role: MEMBER, joinedAt: NOW + 9, readSeqId: 2 }]);
  });

  it("is for the owner and admins, in groups that they are in", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "admin", "a"]);
    promote(room, "admin");
    const by = (actor: Actor): string => nameOf(addMembers(room.core, actor, ["x"], NOW));
    expect([by(actorOf("a")), by(actorOf("x")), by(actorOf("admin"))]).toEqual([
      "PERMISSION_DENIED",
      "CONVERSATION_NOT_FOUND",
      "ok",
    ]);
    expect(nameOf(addMembers(new MemoryRoom(WORLD_ROOM_ID).core, owner, ["x"], NOW))).toBe("PERMISSION_DENIED");
    expect(nameOf(addMembers(new MemoryRoom("group_2").core, owner, ["x"], NOW))).toBe("CONVERSATION_NOT_FOUND");
  });
});

describe("removing", () => {
  it("by oneself is leaving, and the event says so", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a", "b"]);
    must(removeMember(room.core, actorOf("a"), "a", NOW));
    must(removeMember(room.core, owner, "b", NOW));
    expect(events(room).map(({ operator_id, payload }) => [operator_id, payload.user_id, payload.reason])).toEqual([
      ["a", "a", "left"],
      ["owner", "b", "removed"],
    ]);
    expect(members(room)).toEqual(["owner"]);
  });

  it("by the last one ends the group, for good", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    const { value } = must(removeMember(room.core, owner, "owner", NOW + 3));
    expect(value.dismissed).toBe(true);
    expect(room.core.state).toMatchObject({ memberCount: 0, dismissedAt: NOW + 3 });
    expect(events(room).flatMap(({ payload }) => payload.reason ?? [])).toEqual(["dismissed"]);
    for (const answer of [
      nameOf(room.core.view(owner)),
      nameOf(addMembers(room.core, owner, ["owner"], NOW)),
      nameOf(createConversation(room.core, { type: GROUP, memberIds: ["owner"] }, NOW)),
    ]) {
      expect(answer).toBe("CONVERSATION_NOT_FOUND");
    }
  });

  it("of somebody who is not there names the user; where nobody can be removed, it tells nothing", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    expect(nameOf(removeMember(room.core, owner, "x", NOW))).toBe("USER_NOT_FOUND");
    const world = new MemoryRoom(WORLD_ROOM_ID);
    expect(nameOf(removeMember(world.core, owner, "x", NOW))).toBe("PERMISSION_DENIED");
    const direct = new MemoryRoom("single_a_b");
    must(createConversation(direct.core, { type: DIRECT, memberIds: ["a", "b"] }, NOW));
    expect(nameOf(removeMember(direct.core, actorOf("a"), "x", NOW))).toBe("PERMISSION_DENIED");
    expect(nameOf(removeMember(direct.core, actorOf("a"), "b", NOW))).toBe("PERMISSION_DENIED");
  });

  it("twice at the same time removes once", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "admin", "a"]);
    promote(room, "admin");
    const answers = [owner, actorOf("admin")].map((actor) => nameOf(removeMember(room.core, actor, "a", NOW)));
    expect(answers).toEqual(["ok", "USER_NOT_FOUND"]);
    expect(room.core.state?.memberCount).toBe(2);
  });

  it("ends the removed one's power at once", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "admin", "a"]);
    promote(room, "admin");
    must(removeMember(room.core, owner, "admin", NOW));
    expect(nameOf(removeMember(room.core, actorOf("admin"), "a", NOW))).toBe("CONVERSATION_NOT_FOUND");
    expect(nameOf(addMembers(room.core, actorOf("admin"), ["admin"], NOW))).toBe("CONVERSATION_NOT_FOUND");
  });
});

describe("a read pointer", () => {
  it("goes forward only, to the head at most, whatever number comes", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a"]);
    ["1", "2", "3"].forEach((key) => room.say("owner", key));
    const marks = [2, 1, 0, -5, Number.MAX_SAFE_INTEGER].map(
      (seqId) => must(markRead(room.core, actorOf("a"), seqId, false, NOW)).value,
    );
    expect(marks.map(({ readSeqId, unreadCount }) => [readSeqId, unreadCount])).toEqual([
      [2, 1],
      [2, 1],
      [2, 1],
      [2, 1],
      [3, 0],
    ]);
    expect(events(room).map(({ payload }) => [payload.from_seq, payload.to_seq])).toEqual([
      [0, 2],
      [2, 3],
    ]);
  });

  it("of a sender stands at their own message without being written, and an older mark does not move it", ({
    expect,
  }) => {
    const room = MemoryRoom.group(["owner", "a"]);
    room.say("owner", "1");
    room.say("a", "2");
    expect(must(markRead(room.core, actorOf("a"), 1, false, NOW)).value).toEqual({ readSeqId: 2, unreadCount: 0 });
    expect(room.outbox()).toEqual([]);
    room.wakeAgain();
    expect(must(room.core.view(actorOf("a"))).readSeqId).toBe(2);
  });

  it("of a stranger does not exist, and the world's is kept elsewhere", ({ expect }) => {
    expect(nameOf(markRead(MemoryRoom.group(["owner"]).core, actorOf("x"), 1, false, NOW))).toBe(
      "CONVERSATION_NOT_FOUND",
    );
    expect(nameOf(markRead(new MemoryRoom(WORLD_ROOM_ID).core, owner, 1, false, NOW))).toBe("PERMISSION_DENIED");
  });

  it("is no change of the conversation: its version stays", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a"]);
    room.say("owner", "1");
    const before = room.core.state;
    must(markRead(room.core, actorOf("a"), 1, false, NOW + 5));
    expect(room.core.state).toEqual(before);
  });
});

describe("whatever people do, in whatever order", () => {
  const people = ["owner", "a", "b", "c", "d"];
  const step = fc.record({
    what: fc.constantFrom("add", "remove", "say", "read", "wake"),
    by: fc.constantFrom(...people),
    whom: fc.constantFrom(...people),
    n: fc.nat({ max: 20 }),
  });

  function run(steps: readonly { what: string; by: string; whom: string; n: number }[]): MemoryRoom {
    const room = MemoryRoom.group(["owner", "a"], 4);
    steps.forEach(({ what, by, whom, n }, index) => {
      room.pass(n);
      const actor = actorOf(by);
      if (what === "add") {
        addMembers(room.core, actor, [whom, by], room.now);
      } else if (what === "remove") {
        removeMember(room.core, actor, whom, room.now);
      } else if (what === "read") {
        markRead(room.core, actor, n, false, room.now);
      } else if (what === "wake") {
        room.wakeAgain();
      } else {
        room.core.append(
          [{ actor, clientMsgId: `k${index}`, messageType: "text", content: `text ${index}` }],
          room.now,
        );
      }
    });
    return room;
  }

  it("the count is the number of rows and never above the limit, and there is one owner while there is anybody", ({
    expect,
  }) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const room = run(steps);
        const rows = room.core.members("", 1_000);
        expect(room.core.state?.memberCount).toBe(rows.length);
        expect(rows.length).toBeLessThanOrEqual(4);
        expect(rows.filter(({ role }) => role === OWNER)).toHaveLength(
          room.core.state?.dismissedAt === undefined ? 1 : 0,
        );
        for (const { readSeqId } of rows) {
          expect(readSeqId).toBeLessThanOrEqual(room.core.headSeqId);
        }
      }),
    );
  });

  it("the records, applied in any order with the higher number winning, are the room", ({ expect }) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.infiniteStream(fc.nat()), (steps, order) => {
        const room = run(steps);
        const rows = room.outbox().filter(({ topic }) => topic === "gochat.messages.persist");
        const shuffled = rows.map((row) => ({ row, key: order.next().value })).sort((x, y) => x.key - y.key);
        const copy = new Map<string, { logId: number; here: boolean }>();
        for (const { row } of shuffled) {
          const record = JSON.parse(row.body) as {
            kind: string;
            logId: number;
            userId: string;
            member?: { userId: string };
          };
          const userId = record.member?.userId ?? record.userId;
          if (record.kind.startsWith("member") && record.logId > (copy.get(userId)?.logId ?? 0)) {
            copy.set(userId, { logId: record.logId, here: record.kind === "member" });
          }
        }
        // Whoever was there from the beginning and never moved has no record here.
        const here = ["owner", "a", ...copy.keys()].filter((userId) => copy.get(userId)?.here !== false);
        expect([...new Set(here)].toSorted()).toEqual(members(room).toSorted());
      }),
    );
  });

  it("every event is one that consumers know", ({ expect }) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        for (const { topic, body } of run(steps).outbox()) {
          if (topic === "gochat.conversation-events" || topic === "gochat.message-events") {
            const { event_type } = JSON.parse(body) as BusEvent;
            const known = EVENTS[topic].options.map((option) => option.shape.event_type.value as string);
            expect(known).toContain(event_type);
          }
        }
      }),
      { numRuns: 30 },
    );
  });
});

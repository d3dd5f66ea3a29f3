/** What the events of groups push, also when they come twice, late and backwards. */
import { afterEach, beforeEach, describe, it, vi } from "vitest";
import { actorOf, deliver, HeldBus, must, newGroup, newUserId, roomStub } from "./support/harness.ts";
import { connect } from "./support/socket.ts";

const EVENTS = "gochat.conversation-events";

let bus: HeldBus;
beforeEach(() => {
  bus = new HeldBus();
});
afterEach(() => {
  vi.restoreAllMocks();
});

type Event = { event_id: string; event_type: string };

/** A group of three, whose creation everybody has been told. */
async function group(): Promise<{ id: string; owner: string; one: string; two: string }> {
  const [owner, one, two] = [newUserId(), newUserId(), newUserId()];
  const id = await newGroup([owner, one, two]);
  await deliver(EVENTS, await bus.next(EVENTS, id));
  bus.take("gochat.notifications", id);
  return { id, owner, one, two };
}

describe("events of groups", () => {
  it("push a change to everybody in it, and an announcement to whoever sends notices", async ({ expect }) => {
    const { id, owner, one } = await group();
    const sockets = [await connect(owner), await connect(one)];
    must(await roomStub(id).update(actorOf(owner), { name: "New", announcement: "Read me" }));
    const events = await bus.next<Event>(EVENTS, id);
    expect(events).toMatchObject([{ event_type: "conversation.updated", operator_id: owner }]);
    const notices = await bus.next(`gochat.notifications`, id);
    expect(notices).toMatchObject([{ event_type: "group.announcement", payload: { text: "Read me" } }]);
    expect((await deliver("gochat.notifications", notices)).acked).toHaveLength(1);
    await deliver(EVENTS, events);
    for (const socket of sockets) {
      const { data } = await socket.next("conversation-updated");
      expect(data).toMatchObject({ conversation: { conversationId: id, name: "New", announcement: "Read me" } });
    }
  });

  it("tell a change as it is now, however late they come, and nothing of a group that is gone", async ({ expect }) => {
    const { id, owner, one } = await group();
    const socket = await connect(one);
    must(await roomStub(id).update(actorOf(owner), { name: "First" }));
    must(await roomStub(id).update(actorOf(owner), { name: "Second" }));
    await bus.next(EVENTS, id);
    must(await roomStub(id).update(actorOf(owner), { name: "Third" }));
    const late = await bus.next<Event>(EVENTS, id);
    await deliver(EVENTS, late);
    expect((await socket.next("conversation-updated")).data.conversation.name).toBe("Third");

    must(await roomStub(id).dismiss(actorOf(owner)));
    const gone = await bus.next<Event>(EVENTS, id);
    await deliver(EVENTS, gone);
    expect((await socket.next("conversation-removed")).data).toEqual({ conversationId: id, reason: "dismissed" });
    const seen = socket.frames.length;
    await deliver(EVENTS, late);
    await socket.settle();
    expect(socket.frames.slice(seen).map((frame) => frame.type)).toEqual(["pong"]);
  });

  it("tell a role to who has it and to everybody", async ({ expect }) => {
    const { id, owner, one, two } = await group();
    const [target, other] = [await connect(one), await connect(two)];
    must(await roomStub(id).changeMember(actorOf(owner), one, { role: 2 }));
    await deliver(EVENTS, await bus.next(EVENTS, id));
    expect((await target.next("role-updated")).data).toEqual({ conversationId: id, role: 2 });
    for (const socket of [target, other]) {
      expect((await socket.next("member-role-changed")).data).toEqual({ conversationId: id, userId: one, role: 2 });
    }
    await other.settle();
    expect(other.all("role-updated")).toEqual([]);

    must(await roomStub(id).transfer(actorOf(owner), two));
    await deliver(EVENTS, await bus.next(EVENTS, id));
    expect((await other.next("role-updated")).data).toEqual({ conversationId: id, role: 3 });
    expect((await target.next("conversation-updated")).data.conversation.ownerId).toBe(two);
  });

  it("do not tell who is back that they are gone, nor who is gone that they are in", async ({ expect }) => {
    const { id, owner, one } = await group();
    const room = roomStub(id);
    must(await room.removeMember(actorOf(owner), one));
    const removed = await bus.next<Event>(EVENTS, id);
    must(await room.addMembers(actorOf(owner), [one]));
    const added = await bus.next<Event>(EVENTS, id);
    const socket = await connect(one);
    await deliver(EVENTS, [...added, ...removed]);
    await socket.next("conversation-joined");
    await socket.settle();
    expect(socket.all("conversation-removed")).toEqual([]);

    must(await room.removeMember(actorOf(owner), one));
    await deliver(EVENTS, [...(await bus.next<Event>(EVENTS, id)), ...added]);
    expect((await socket.next("conversation-removed")).data).toEqual({ conversationId: id, reason: "removed" });
    await socket.settle();
    expect(socket.all("conversation-joined")).toHaveLength(1);
  });

  it("leave nothing in the outbox once they are handled", async ({ expect }) => {
    const { id, owner, one } = await group();
    const settled = vi.spyOn((await import("../../src/worker.ts")).ConversationRoom.prototype, "settled");
    await roomStub(id).settled(must(await roomStub(id).transfer(actorOf(owner), one)).outboxIds);
    const events = await bus.next<Event>(EVENTS, id);
    await deliver(EVENTS, events);
    expect(settled.mock.calls.at(-1)?.[0]).toHaveLength(events.length);
    expect(new Set(events.map((event) => event.event_id)).size).toBe(3);
  });
});

import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { afterEach, describe, it, vi } from "vitest";
import { ConversationRoom } from "../../src/objects/ConversationRoom.ts";
import { directConversationId } from "../../src/platform/ids.ts";
import { roomOf } from "../../src/platform/stubs.ts";
import {
  type AuthAnswer,
  BlockList,
  type ConversationAnswer,
  FriendRequestAnswer,
  FriendRequestList,
} from "../../src/protocol/rest.ts";
import { repositories } from "../../src/repo/index.ts";
import { deliver, HeldBus, roomStub } from "./support/harness.ts";
import { expectStatus, guest, register, request } from "./support/http.ts";
import { connect } from "./support/socket.ts";

const NOBODY = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

afterEach(() => {
  vi.restoreAllMocks();
});

type Person = AuthAnswer;
type Pair = [Person, Person];

function as(person: Person, method: string, path: string, body?: unknown) {
  return request(method, `/api${path}`, { token: person.accessToken, body });
}

/** Name of the error of a call as this person, or its status. */
async function outcome(person: Person, method: string, path: string, body?: unknown): Promise<string> {
  const { response, error } = await as(person, method, path, body);
  return error?.name ?? String(response.status);
}

const ask = (from: Person, to: Person) => as(from, "POST", "/friends/requests", { targetUserId: to.user.userId });
const idOf = ([a, b]: Pair): string => directConversationId(a.user.userId, b.user.userId);

async function befriend([a, b]: Pair): Promise<string> {
  await expectStatus(201, ask(a, b));
  await expectStatus(201, ask(b, a));
  return idOf([a, b]);
}

async function pair(): Promise<Pair> {
  return [await register(), await register()];
}

/** What the bus has of this kind, each event once: what nobody has handled is published again. */
function eventsOf(bus: HeldBus, type: string, person: Person) {
  const all = bus.of<{ event_id: string; event_type: string }>("gochat.friend-events", person.user.userId);
  const ofType = all.filter((event) => event.event_type === type);
  return [...new Map(ofType.map((event) => [event.event_id, event])).values()];
}

let keys = 0;
function say(person: Person, conversationId: string): Promise<string> {
  keys += 1;
  const body = { clientMsgId: `k-${keys}`, messageType: "text", content: "hello" };
  return outcome(person, "POST", `/conversations/${conversationId}/messages`, body);
}

async function friendsOf(person: Person): Promise<string[]> {
  const { body } = await as(person, "GET", "/friends");
  return (body as { items: { user: { userId: string } }[] }).items.map((item) => item.user.userId);
}

async function requestsOf(person: Person, direction: "incoming" | "outgoing") {
  const { items } = FriendRequestList.parse((await as(person, "GET", `/friends/requests?direction=${direction}`)).body);
  return items.map(({ requestId, status }) => ({ requestId, status }));
}

describe("the end of a friendship", () => {
  it("ends sending for both at once, reading for nobody; friends again can talk again", async ({ expect }) => {
    const people = await pair();
    const [a, b] = people;
    const id = await befriend(people);
    expect(await say(a, id)).toBe("201");
    await expectStatus(200, as(a, "DELETE", `/friends/${b.user.userId}`));
    for (const person of people) {
      expect(await say(person, id)).toBe("PERMISSION_DENIED");
      const page = await as(person, "GET", `/conversations/${id}/messages`);
      expect(page.body).toMatchObject({ items: [{ seqId: 1 }] });
      const view = await expectStatus<ConversationAnswer>(200, as(person, "GET", `/conversations/${id}`));
      expect(view).not.toHaveProperty("closedAt");
      const list = await as(person, "GET", "/conversations");
      expect(JSON.stringify(list.body)).toContain(id);
      expect(list.text).not.toContain("closedAt");
    }
    expect(await outcome(a, "POST", "/conversations", { type: 1, memberIds: [b.user.userId] })).toBe(
      "PERMISSION_DENIED",
    );
    await befriend(people);
    expect([await say(a, id), await say(b, id)]).toEqual(["201", "201"]);
  });

  it("is repaired by its event when the conversation could not be reached", async ({ expect }) => {
    const people = await pair();
    const [a, b] = people;
    const id = await befriend(people);
    const bus = new HeldBus();
    const unreachable = vi.spyOn(ConversationRoom.prototype, "friendshipChanged").mockImplementation(() => {
      throw new Error("away");
    });
    const removed = await as(a, "DELETE", `/friends/${b.user.userId}`);
    expect([removed.response.status, removed.body]).toEqual([200, { degraded: true }]);
    expect(await say(a, id)).toBe("201");
    const events = eventsOf(bus, "friend.removed", a);
    expect(events).toHaveLength(1);
    expect((await deliver("gochat.friend-events", events)).retried).toHaveLength(1);
    unreachable.mockRestore();
    expect((await deliver("gochat.friend-events", events)).acked).toHaveLength(1);
    expect(await say(a, id)).toBe("PERMISSION_DENIED");
    const left = await repositories(env).outbox.pending(a.user.userId, 10);
    expect(left.map((row) => row.eventId)).not.toContain(events[0]?.event_id);
  });

  it("is not undone by news of the friendship that come late, and not done twice by its own", async ({ expect }) => {
    const people = await pair();
    const [a, b] = people;
    const bus = new HeldBus();
    const id = await befriend(people);
    const accepted = eventsOf(bus, "friend.request.accepted", b);
    await expectStatus(200, as(a, "DELETE", `/friends/${b.user.userId}`));
    const removed = eventsOf(bus, "friend.removed", a);
    expect([accepted.length, removed.length]).toEqual([1, 1]);
    const socket = await connect(a.user.userId);
    await deliver("gochat.friend-events", accepted);
    await socket.settle();
    expect(socket.all("friend-accepted")).toEqual([]);
    expect(await say(a, id)).toBe("PERMISSION_DENIED");
    await befriend(people);
    await deliver("gochat.friend-events", removed);
    expect(await say(a, id)).toBe("201");
    await socket.settle();
    expect(socket.all("friend-removed")).toEqual([]);
  });

  it("and its beginning at the same moment leave room and SQL alike", async ({ expect }) => {
    for (let round = 0; round < 4; round++) {
      const people = await pair();
      const [a, b] = people;
      const id = await befriend(people);
      await Promise.all([
        as(a, "DELETE", `/friends/${b.user.userId}`),
        ask(b, a),
        as(b, "DELETE", `/friends/${a.user.userId}`),
        ask(a, b),
      ]);
      const friends = (await friendsOf(a)).length === 1;
      expect((await friendsOf(b)).length === 1).toBe(friends);
      await vi.waitFor(async () => expect(await say(a, id)).toBe(friends ? "201" : "PERMISSION_DENIED"));
    }
  });

  it("makes no conversation where there was none", async ({ expect }) => {
    const people = await pair();
    const [a, b] = people;
    await expectStatus(200, as(a, "PUT", `/blocks/${b.user.userId}`));
    expect((await roomOf(env, idOf(people)).readLog(0, 1)).headSeqId).toBe(0);
    const tables = await runInDurableObject(roomStub(idOf(people)), (_room, state) =>
      state.storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'facts'").toArray(),
    );
    expect(tables).toEqual([]);
  });
});

describe("a block", () => {
  it("ends the friendship as a removal does, and is shown to the one who made it alone", async ({ expect }) => {
    const people = await pair();
    const [a, b] = people;
    const bus = new HeldBus();
    const id = await befriend(people);
    await expectStatus(200, as(a, "PUT", `/blocks/${b.user.userId}`));
    await expectStatus(200, as(a, "PUT", `/blocks/${b.user.userId}`));
    // The event, and so the push, is that of a removal.
    const events = eventsOf(bus, "friend.removed", a);
    expect(events).toMatchObject([{ payload: { user_ids: [a.user.userId, b.user.userId] } }]);
    expect(JSON.stringify(events)).not.toContain("block");
    expect([await friendsOf(a), await friendsOf(b)]).toEqual([[], []]);
    expect([await say(a, id), await say(b, id)]).toEqual(["PERMISSION_DENIED", "PERMISSION_DENIED"]);
    expect((await as(b, "GET", `/conversations/${id}/messages`)).response.status).toBe(200);
    const blocked = BlockList.strict().parse((await as(a, "GET", "/blocks")).body);
    expect(blocked.items).toMatchObject([{ user: { userId: b.user.userId } }]);
    expect((await as(b, "GET", "/blocks")).body).toEqual({ items: [], nextCursor: null });
    // Lifted, it gives nothing back.
    await expectStatus(200, as(a, "DELETE", `/blocks/${b.user.userId}`));
    expect(await outcome(a, "DELETE", `/blocks/${b.user.userId}`)).toBe("NOT_FOUND");
    expect(await say(b, id)).toBe("PERMISSION_DENIED");
    await befriend(people);
    expect(await say(b, id)).toBe("201");
  });

  it("hides what the other side asks, who sees it pending like any other", async ({ expect }) => {
    const [a, b] = await pair();
    await expectStatus(200, as(a, "PUT", `/blocks/${b.user.userId}`));
    const bus = new HeldBus();
    const asked = FriendRequestAnswer.strict().parse(await expectStatus(201, ask(b, a)));
    expect(asked).toMatchObject({ status: "pending", requesterId: b.user.userId });
    expect(await expectStatus(201, ask(b, a))).toEqual(asked);
    expect(await requestsOf(b, "outgoing")).toEqual([{ requestId: asked.requestId, status: "pending" }]);
    expect(await requestsOf(a, "incoming")).toEqual([]);
    expect(await outcome(a, "PUT", `/friends/requests/${asked.requestId}`, { action: "accept" })).toBe("NOT_FOUND");
    expect(bus.of("gochat.friend-events", b.user.userId)).toEqual([]);
    // Whoever blocks does not ask.
    expect((await ask(a, b)).error?.name).toBe("PERMISSION_DENIED");
  });

  it("hides a request that was there, takes back an own one, and neither can be accepted", async ({ expect }) => {
    const [a, b] = await pair();
    const asked = await expectStatus<FriendRequestAnswer>(201, ask(b, a));
    await expectStatus(200, as(a, "PUT", `/blocks/${b.user.userId}`));
    expect(await requestsOf(a, "incoming")).toEqual([]);
    expect(await requestsOf(b, "outgoing")).toEqual([{ requestId: asked.requestId, status: "pending" }]);
    expect(await outcome(a, "PUT", `/friends/requests/${asked.requestId}`, { action: "accept" })).toBe("NOT_FOUND");

    const [c, d] = await pair();
    const own = await expectStatus<FriendRequestAnswer>(201, ask(c, d));
    await expectStatus(200, as(c, "PUT", `/blocks/${d.user.userId}`));
    expect(await outcome(d, "PUT", `/friends/requests/${own.requestId}`, { action: "accept" })).toBe("NOT_FOUND");
    // The blocked one asks in turn: pending, like any other, and not accepted by what was taken back.
    expect(await expectStatus(201, ask(d, c))).toMatchObject({ status: "pending", requesterId: d.user.userId });
    expect(await friendsOf(d)).toEqual([]);
  });

  it("keeps a request from being told that was on its way, like any that is decided by then", async ({ expect }) => {
    const bus = new HeldBus();
    for (const end of ["block", "reject"] as const) {
      const [a, b] = await pair();
      const { requestId } = await expectStatus<FriendRequestAnswer>(201, ask(b, a));
      const events = eventsOf(bus, "friend.request.sent", b);
      const socket = await connect(a.user.userId);
      await deliver("gochat.friend-events", events);
      expect((await socket.next("friend-request")).data.request.requestId).toBe(requestId);
      await (end === "block"
        ? expectStatus(200, as(a, "PUT", `/blocks/${b.user.userId}`))
        : expectStatus(200, as(a, "PUT", `/friends/requests/${requestId}`, { action: "reject" })));
      expect((await deliver("gochat.friend-events", events)).acked).toHaveLength(1);
      await socket.settle();
      expect(socket.all("friend-request")).toHaveLength(1);
    }
  });

  it("and an acceptance at the same moment never make friends of the two", async ({ expect }) => {
    for (let round = 0; round < 4; round++) {
      const [a, b] = await pair();
      const { requestId } = await expectStatus<FriendRequestAnswer>(201, ask(b, a));
      await Promise.all([
        as(a, "PUT", `/friends/requests/${requestId}`, { action: "accept" }),
        as(a, "PUT", `/blocks/${b.user.userId}`),
        ask(a, b),
      ]);
      expect([await friendsOf(a), await friendsOf(b)]).toEqual([[], []]);
    }
  });

  it("is listed by pages; not of oneself, of nobody, or with a strange id", async ({ expect }) => {
    const [a, b] = await pair();
    const visitor = await guest();
    for (const other of [b, visitor]) {
      await expectStatus(200, as(a, "PUT", `/blocks/${other.user.userId}`));
    }
    const first = BlockList.parse((await as(a, "GET", "/blocks?limit=1")).body);
    const rest = BlockList.parse((await as(a, "GET", `/blocks?limit=1&cursor=${first.nextCursor}`)).body);
    expect([...first.items, ...rest.items].map((item) => item.user.userId)).toEqual(
      [b.user.userId, visitor.user.userId].toSorted(),
    );
    expect(rest.nextCursor).toBeNull();
    expect(await outcome(a, "PUT", `/blocks/${a.user.userId}`)).toBe("INVALID_INPUT");
    expect(await outcome(a, "PUT", `/blocks/${NOBODY}`)).toBe("USER_NOT_FOUND");
    expect(await outcome(a, "PUT", "/blocks/x")).toBe("NOT_FOUND");
    expect(await outcome(a, "GET", "/blocks?cursor=x")).toBe("INVALID_INPUT");
    expect((await request("GET", "/api/blocks")).error?.name).toBe("UNAUTHENTICATED");
  });
});

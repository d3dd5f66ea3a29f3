/** Invite links and requests to join, over REST and through the consumers. */
import { env } from "cloudflare:workers";
import { afterEach, describe, it, vi } from "vitest";
import {
  type AuthAnswer,
  ConversationAnswer,
  InviteList,
  JoinPendingAnswer,
  JoinRequestList,
} from "../../src/protocol/rest.ts";
import { type Conversation, Invite, JoinRequest } from "../../src/protocol/things.ts";
import { repositories } from "../../src/repo/index.ts";
import { deliver, eventually, HeldBus, roomStub } from "./support/harness.ts";
import { type Answer, expectStatus, guest, register, request } from "./support/http.ts";
import { connect } from "./support/socket.ts";

type Person = AuthAnswer;

const DAY_MS = 24 * 3_600_000;
const EVENTS = "gochat.conversation-events";

afterEach(() => {
  vi.restoreAllMocks();
});

function as(person: Person, method: string, path: string, body?: unknown): Promise<Answer> {
  return request(method, `/api/${path}`, { token: person.accessToken, body });
}

async function outcome(person: Person, method: string, path: string, body?: unknown): Promise<string> {
  const { response, error } = await as(person, method, path, body);
  return error?.name ?? String(response.status);
}

function join(person: Person, code: string): Promise<string> {
  return outcome(person, "POST", `invites/${code}/join`);
}

async function newGroup(owner: Person, more: Record<string, unknown> = {}): Promise<string> {
  const body = { type: 2, name: "Group", memberIds: [], ...more };
  const { conversationId } = await expectStatus<Conversation>(201, as(owner, "POST", "conversations", body));
  return conversationId;
}

async function invite(owner: Person, id: string, body: Record<string, unknown> = {}): Promise<Invite> {
  return Invite.strict().parse(await expectStatus(201, as(owner, "POST", `conversations/${id}/invites`, body)));
}

async function sqlRow(table: "invites" | "join_requests", id: string): Promise<Record<string, unknown> | null> {
  return await env.DB.prepare(`SELECT * FROM ${table} WHERE conversation_id = ?`).bind(id).first();
}

type Event = { event_type: string; event_id: string };

/** Waits for so many events of this type about a conversation, and takes all of its events off the bus. */
async function published(bus: HeldBus, id: string, type: string, count: number): Promise<Event[]> {
  const found = (): Event[] => bus.of<Event>(EVENTS, id).filter((event) => event.event_type === type);
  await eventually(`${count} of ${type}`, () => found().length === count);
  const events = found();
  bus.take(EVENTS, id);
  return events;
}

describe("an invite link", () => {
  it("is made, listed, used and revoked; SQL has its copy", async ({ expect }) => {
    const [owner, member, late] = [await register(), await register(), await register()];
    const id = await newGroup(owner);
    const before = Date.now();
    const made = await invite(owner, id);
    expect(made).toMatchObject({ conversationId: id, uses: 0, createdBy: owner.user.userId });
    expect(made.expiresAt - before).toBeGreaterThanOrEqual(7 * DAY_MS);
    expect(made.expiresAt - before).toBeLessThan(7 * DAY_MS + 60_000);
    const joined = await expectStatus(200, as(member, "POST", `invites/${made.code}/join`));
    expect(ConversationAnswer.strict().parse(joined)).toMatchObject({
      conversationId: id,
      memberCount: 2,
      unreadCount: 0,
    });
    expect(await join(member, made.code)).toBe("200");
    expect((await as(member, "GET", "conversations")).body).toMatchObject({
      items: expect.arrayContaining([expect.objectContaining({ role: 1 })]) as unknown,
    });
    expect(await sqlRow("invites", id)).toMatchObject({ code: made.code, uses: 1, revoked_at: null });

    const second = await invite(owner, id, { maxUses: 3, expiresAt: before + DAY_MS });
    expect(second).toMatchObject({ maxUses: 3, expiresAt: before + DAY_MS });
    const path = `conversations/${id}/invites`;
    const first = InviteList.strict().parse(await expectStatus(200, as(owner, "GET", `${path}?limit=1`)));
    expect(first.items).toEqual([{ ...made, uses: 1 }]);
    const rest = await expectStatus(200, as(owner, "GET", `${path}?limit=1&cursor=${first.nextCursor}`));
    expect(InviteList.strict().parse(rest)).toEqual({ items: [second], nextCursor: null });
    expect(await outcome(owner, "GET", `${path}?cursor=nonsense`)).toBe("INVALID_INPUT");

    expect(await outcome(member, "DELETE", `${path}/${made.code}`)).toBe("PERMISSION_DENIED");
    expect(await outcome(owner, "DELETE", `${path}/${made.code}`)).toBe("200");
    expect(await outcome(owner, "DELETE", `${path}/${made.code}`)).toBe("NOT_FOUND");
    expect(await outcome(owner, "DELETE", `${path}/!`)).toBe("NOT_FOUND");
    expect(await join(late, made.code)).toBe("NOT_FOUND");
    const revoked = await env.DB.prepare("SELECT revoked_at FROM invites WHERE code = ?").bind(made.code).first();
    expect(revoked?.["revoked_at"]).toBeGreaterThanOrEqual(before);
  });

  it("is for owner and admins to make, within bounds, and for users to use", async ({ expect }) => {
    const [owner, member, stranger, visitor] = [await register(), await register(), await register(), await guest()];
    const id = await newGroup(owner, { memberIds: [member.user.userId] });
    const make = (person: Person, body: unknown): Promise<string> =>
      outcome(person, "POST", `conversations/${id}/invites`, body);
    expect(await make(member, {})).toBe("PERMISSION_DENIED");
    expect(await make(stranger, {})).toBe("CONVERSATION_NOT_FOUND");
    expect(await make(owner, { expiresAt: Date.now() + 31 * DAY_MS })).toBe("INVALID_INPUT");
    expect(await make(owner, { expiresAt: Date.now() - 1 })).toBe("INVALID_INPUT");
    expect(await make(owner, { maxUses: 0 })).toBe("INVALID_INPUT");
    const { code } = await invite(owner, id);
    expect(await join(visitor, code)).toBe("PERMISSION_DENIED");
    expect(await join(stranger, `${code.slice(0, -1)}${code.endsWith("A") ? "B" : "A"}`)).toBe("NOT_FOUND");
    expect(await join(stranger, "no-such-code")).toBe("NOT_FOUND");
    expect(await join(stranger, "%2F")).toBe("NOT_FOUND");
    await expectStatus(200, as(owner, "PATCH", `conversations/${id}`, { maxMembers: 2 }));
    expect(await join(stranger, code)).toBe("GROUP_FULL");
  });

  it("lets in exactly as many as it may when they come at the same moment", async ({ expect }) => {
    const owner = await register();
    const crowd = [];
    for (let n = 0; n < 8; n++) {
      crowd.push(await register());
    }
    const id = await newGroup(owner);
    const { code } = await invite(owner, id, { maxUses: 3 });
    // Everybody twice: a repeated call takes no second use.
    const outcomes = await Promise.all([...crowd, ...crowd].map((person) => join(person, code)));
    expect(outcomes.filter((one) => one === "200")).toHaveLength(6);
    expect(outcomes.filter((one) => one === "NOT_FOUND")).toHaveLength(10);
    const view = await roomStub(id).current([], 0);
    expect(view?.conversation.memberCount).toBe(4);
    expect(await sqlRow("invites", id)).toMatchObject({ uses: 3, max_uses: 3 });
  });
});

describe("a group with approval", () => {
  it("is asked, tells those who decide, and takes in whom they accept", async ({ expect }) => {
    const bus = new HeldBus();
    const [owner, admin, member, eve, uma] = [
      await register(),
      await register(),
      await register(),
      await register(),
      await register(),
    ];
    const memberIds = [admin.user.userId, member.user.userId];
    const id = await newGroup(owner, { memberIds, joinApproval: true });
    await expectStatus(200, as(owner, "PUT", `conversations/${id}/members/${admin.user.userId}`, { role: 2 }));
    const { code } = await invite(owner, id);
    const asked = JoinPendingAnswer.strict().parse(await expectStatus(202, as(eve, "POST", `invites/${code}/join`)));
    expect((await as(eve, "POST", `invites/${code}/join`)).body).toEqual(asked);
    expect(await join(uma, code)).toBe("202");
    expect(await outcome(eve, "GET", `conversations/${id}`)).toBe("CONVERSATION_NOT_FOUND");

    const path = `conversations/${id}/join-requests`;
    const list = JoinRequestList.strict().parse(await expectStatus(200, as(admin, "GET", `${path}?limit=1`)));
    expect(list.items).toMatchObject([
      { requestId: asked.requestId, userId: eve.user.userId, status: "pending", user: { username: eve.user.username } },
    ]);
    const rest = await as(admin, "GET", `${path}?limit=1&cursor=${list.nextCursor}`);
    expect(rest.body).toMatchObject({ items: [{ userId: uma.user.userId }], nextCursor: null });
    expect(await outcome(member, "GET", path)).toBe("PERMISSION_DENIED");
    expect(await outcome(eve, "GET", path)).toBe("CONVERSATION_NOT_FOUND");

    const sockets = {
      owner: await connect(owner.user.userId, owner.deviceId),
      admin: await connect(admin.user.userId, admin.deviceId),
      member: await connect(member.user.userId, member.deviceId),
      eve: await connect(eve.user.userId, eve.deviceId),
    };
    const requested = await published(bus, id, "conversation.joined.requested", 2);
    // Twice, as a queue may: the second is known by its eventId.
    expect((await deliver(EVENTS, [requested[0], requested[0]])).acked).toHaveLength(2);
    for (const socket of [sockets.owner, sockets.admin]) {
      const { data } = await socket.next("notification");
      expect(data).toMatchObject({
        eventId: requested[0]?.event_id,
        kind: "join-request",
        conversationId: id,
        request: { requestId: asked.requestId, user: { username: eve.user.username } },
      });
    }
    await sockets.member.settle();
    expect(sockets.member.all("notification")).toEqual([]);

    const one = `${path}/${asked.requestId}`;
    expect(await outcome(member, "PUT", one, { action: "accept" })).toBe("PERMISSION_DENIED");
    expect(await outcome(admin, "PUT", one, { action: "perhaps" })).toBe("INVALID_INPUT");
    expect(await outcome(admin, "PUT", `${path}/nothing`, { action: "accept" })).toBe("NOT_FOUND");
    const accepted = JoinRequest.strict().parse(await expectStatus(200, as(admin, "PUT", one, { action: "accept" })));
    expect(accepted).toMatchObject({ status: "accepted", userId: eve.user.userId });
    expect(await outcome(owner, "PUT", one, { action: "accept" })).toBe("200");
    expect(await outcome(owner, "PUT", one, { action: "reject" })).toBe("CONFLICT");
    expect(await outcome(eve, "GET", `conversations/${id}`)).toBe("200");
    await deliver(EVENTS, await published(bus, id, "conversation.member.added", 1));
    await eventually("both notices", () => bus.of("gochat.notifications", id).length === 2);
    expect(bus.take("gochat.notifications", id)).toMatchObject([
      { event_type: "conversation.invited", payload: { user_ids: memberIds } },
      { event_type: "conversation.invited", payload: { user_ids: [eve.user.userId] } },
    ]);
    expect((await sockets.eve.next("conversation-joined")).data.conversation.memberCount).toBe(4);
    expect((await sockets.member.next("member-added")).data).toMatchObject({
      members: [{ userId: eve.user.userId, role: 1 }],
      operatorId: admin.user.userId,
    });
    // Decided: a late delivery of the request tells nobody any more.
    const told = sockets.owner.all("notification").length;
    await deliver(EVENTS, [requested[0]]);
    await sockets.owner.settle();
    expect(sockets.owner.all("notification")).toHaveLength(told);

    const uma2 = (rest.body as JoinRequestList).items[0]?.requestId ?? "";
    expect(await outcome(owner, "PUT", `${path}/${uma2}`, { action: "reject" })).toBe("200");
    expect(await join(uma, code)).toBe("CONFLICT");
    const rows = await env.DB.prepare("SELECT user_id, status FROM join_requests WHERE conversation_id = ?")
      .bind(id)
      .all();
    expect(rows.results).toHaveLength(2);
    expect(rows.results).toContainEqual({ user_id: uma.user.userId, status: "rejected" });
  });

  it("does not let anybody accept whom they have blocked", async ({ expect }) => {
    const [owner, admin, eve] = [await register(), await register(), await register()];
    const id = await newGroup(owner, { memberIds: [admin.user.userId], joinApproval: true });
    await expectStatus(200, as(owner, "PUT", `conversations/${id}/members/${admin.user.userId}`, { role: 2 }));
    const { code } = await invite(owner, id);
    const { requestId } = await expectStatus<JoinPendingAnswer>(202, as(eve, "POST", `invites/${code}/join`));
    await repositories(env).blocks.block({
      userId: eve.user.userId,
      targetUserId: admin.user.userId,
      eventId: "block-at-a-door",
      now: Date.now(),
    });
    const path = `conversations/${id}/join-requests/${requestId}`;
    expect(await outcome(admin, "PUT", path, { action: "accept" })).toBe("PERMISSION_DENIED");
    expect(await outcome(owner, "PUT", path, { action: "accept" })).toBe("200");
  });
});

/** Groups over REST: who may change what, what it answers, what the list shows afterwards. */
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { afterEach, describe, it, vi } from "vitest";
import { newGroupId } from "../../src/platform/ids.ts";
import { WORLD_ROOM_ID } from "../../src/domain/records.ts";
import { type AuthAnswer, ConversationAnswer, type ConversationList, SettingsAnswer } from "../../src/protocol/rest.ts";
import { Member } from "../../src/protocol/things.ts";
import { repositories } from "../../src/repo/index.ts";
import { toFirstRelease } from "./support/firstRelease.ts";
import { evictRoom, actorOf, append, must, roomStub, signIn, text } from "./support/harness.ts";
import { type Answer, expectStatus, guest, register, request } from "./support/http.ts";
import { connect } from "./support/socket.ts";

type Person = AuthAnswer;

afterEach(() => {
  vi.restoreAllMocks();
});

function as(person: Person, method: string, path: string, body?: unknown): Promise<Answer> {
  return request(method, `/api/conversations/${path}`, { token: person.accessToken, body });
}

/** Name of the error of a call as this person, or its status. */
async function outcome(person: Person, method: string, path: string, body?: unknown): Promise<string> {
  const { response, error } = await as(person, method, path, body);
  return error?.name ?? String(response.status);
}

async function newGroup(owner: Person, ...others: Person[]): Promise<string> {
  const body = { type: 2, name: "Group", memberIds: others.map((other) => other.user.userId) };
  const made = await request("POST", "/api/conversations", { token: owner.accessToken, body });
  return (made.body as ConversationAnswer).conversationId;
}

async function itemOf(person: Person, id: string): Promise<ConversationList["items"][number] | undefined> {
  const { body } = await request("GET", "/api/conversations", { token: person.accessToken });
  return (body as ConversationList).items.find((item) => item.conversation.conversationId === id);
}

let keys = 0;

function send(person: Person, id: string): Promise<string> {
  keys += 1;
  return outcome(person, "POST", `${id}/messages`, {
    clientMsgId: `key-${keys}`,
    messageType: "text",
    content: "hello",
  });
}

/** An owner, an admin, a member and a stranger, and their group. */
async function cast(): Promise<{ id: string; owner: Person; admin: Person; member: Person; stranger: Person }> {
  const [owner, admin, member, stranger] = [await register(), await register(), await register(), await register()];
  const id = await newGroup(owner, admin, member);
  await expectStatus(200, as(owner, "PUT", `${id}/members/${admin.user.userId}`, { role: 2 }));
  return { id, owner, admin, member, stranger };
}

async function makeAdmin(person: Person): Promise<void> {
  const { userId } = person.user;
  await env.DB.prepare("UPDATE users SET role = 'admin' WHERE user_id = ?").bind(userId).run();
  await env.SESSIONS.getByName(userId).accountChanged({ userId, isGuest: false, role: "admin" });
}

describe("a group", () => {
  it("is changed by owner and admins; the next read shows it", async ({ expect }) => {
    const { id, owner, admin, member, stranger } = await cast();
    const before = (await itemOf(member, id))?.conversation.version ?? 0;
    const change = {
      name: "Renamed",
      avatarUrl: "https://example.org/a.png",
      announcement: "Read me",
      joinApproval: true,
      muteAll: true,
      maxMembers: 10,
    };
    const answer = await expectStatus(200, as(admin, "PATCH", id, change));
    expect(ConversationAnswer.strict().parse(answer)).toMatchObject({ ...change, role: 2 });
    const shown = (await itemOf(member, id))?.conversation;
    expect(shown).toMatchObject(change);
    expect(shown?.version).toBeGreaterThan(before);
    await expectStatus(200, as(owner, "PATCH", id, { announcement: null, avatarUrl: null, muteAll: false }));
    expect((await itemOf(member, id))?.conversation).not.toHaveProperty("announcement");
    expect((await itemOf(member, id))?.conversation).not.toHaveProperty("avatarUrl");

    expect(await outcome(member, "PATCH", id, { name: "Mine" })).toBe("PERMISSION_DENIED");
    expect(await outcome(stranger, "PATCH", id, { name: "Mine" })).toBe("CONVERSATION_NOT_FOUND");
    expect(await outcome(owner, "PATCH", id, { maxMembers: 2 })).toBe("CONFLICT");
    expect(await outcome(owner, "PATCH", id, { maxMembers: 1 })).toBe("INVALID_INPUT");
    expect(await outcome(owner, "PATCH", id, { maxMembers: 100_001 })).toBe("INVALID_INPUT");
    expect(await outcome(owner, "PATCH", id, { name: " " })).toBe("INVALID_INPUT");
    expect(await outcome(owner, "PATCH", id, { announcement: "x".repeat(2_001) })).toBe("INVALID_INPUT");
    expect(await outcome(owner, "PATCH", id, {})).toBe("200");
  });

  it("has its name checked as all names are", async ({ expect }) => {
    const { id, owner } = await cast();
    expect(await outcome(owner, "PATCH", id, { name: "fuck you" })).toBe("CONTENT_REJECTED");
    const body = { type: 2, name: "fuck you", memberIds: [] };
    const made = await request("POST", "/api/conversations", { token: owner.accessToken, body });
    expect(made.error?.name).toBe("CONTENT_REJECTED");
  });

  it("gives roles by its owner, mutes by who stands above, and says so in its list of members", async ({ expect }) => {
    const { id, owner, admin, member, stranger } = await cast();
    const path = (person: Person): string => `${id}/members/${person.user.userId}`;
    const until = Date.now() + 3_600_000;
    const muted = await expectStatus(200, as(admin, "PUT", path(member), { mutedUntil: until }));
    expect(Member.strict().parse(muted)).toMatchObject({
      userId: member.user.userId,
      displayName: member.user.displayName,
      role: 1,
      mutedUntil: until,
    });
    expect(await send(member, id)).toBe("PERMISSION_DENIED");
    expect(await outcome(member, "PUT", `${id}/read`, { seqId: 0 })).toBe("200");
    await expectStatus(200, as(owner, "PUT", path(member), { mutedUntil: null, role: 2 }));
    expect(await send(member, id)).toBe("201");
    expect((await itemOf(member, id))?.role).toBe(2);

    expect(await outcome(admin, "PUT", path(member), { mutedUntil: until })).toBe("PERMISSION_DENIED");
    expect(await outcome(admin, "PUT", path(owner), { mutedUntil: until })).toBe("PERMISSION_DENIED");
    expect(await outcome(admin, "PUT", path(member), { role: 1 })).toBe("PERMISSION_DENIED");
    expect(await outcome(owner, "PUT", path(owner), { role: 1 })).toBe("PERMISSION_DENIED");
    expect(await outcome(owner, "PUT", path(stranger), { role: 2 })).toBe("USER_NOT_FOUND");
    expect(await outcome(stranger, "PUT", path(member), { role: 2 })).toBe("CONVERSATION_NOT_FOUND");
    expect(await outcome(owner, "PUT", path(member), { role: 3 })).toBe("INVALID_INPUT");
    expect(await outcome(owner, "PUT", path(member), {})).toBe("INVALID_INPUT");
    expect(await outcome(owner, "PUT", `${id}/members/nobody`, { role: 2 })).toBe("USER_NOT_FOUND");
  });

  it("changes hands whole; an owner leaves after that, or last", async ({ expect }) => {
    const { id, owner, admin, member, stranger } = await cast();
    const leave = (person: Person): Promise<string> => outcome(person, "DELETE", `${id}/members/${person.user.userId}`);
    expect(await leave(owner)).toBe("CONFLICT");
    const to = (person: Person): { userId: string } => ({ userId: person.user.userId });
    expect(await outcome(admin, "POST", `${id}/transfer`, to(admin))).toBe("PERMISSION_DENIED");
    expect(await outcome(owner, "POST", `${id}/transfer`, to(stranger))).toBe("USER_NOT_FOUND");
    expect(await outcome(stranger, "POST", `${id}/transfer`, to(owner))).toBe("CONVERSATION_NOT_FOUND");
    const moved = await expectStatus(200, as(owner, "POST", `${id}/transfer`, to(member)));
    expect(ConversationAnswer.strict().parse(moved)).toMatchObject({ ownerId: member.user.userId, role: 2 });
    expect([(await itemOf(owner, id))?.role, (await itemOf(member, id))?.role]).toEqual([2, 3]);
    expect(await leave(owner)).toBe("200");
    expect(await leave(admin)).toBe("200");
    expect(await leave(member)).toBe("200");
    expect(await itemOf(member, id)).toBeUndefined();
    expect(await outcome(member, "GET", id)).toBe("CONVERSATION_NOT_FOUND");
  });

  it("is dismissed by its owner or a system admin, and then is nowhere", async ({ expect }) => {
    const { id, owner, admin, member, stranger } = await cast();
    await send(member, id);
    expect(await outcome(admin, "DELETE", id)).toBe("PERMISSION_DENIED");
    expect(await outcome(stranger, "DELETE", id)).toBe("CONVERSATION_NOT_FOUND");
    expect(await outcome(owner, "DELETE", id)).toBe("200");
    for (const person of [owner, admin, member]) {
      expect(await itemOf(person, id)).toBeUndefined();
    }
    expect([
      await send(owner, id),
      await outcome(member, "GET", `${id}/messages`),
      await outcome(member, "GET", `${id}/members`),
      await outcome(owner, "PATCH", id, { name: "Back" }),
      await outcome(member, "PUT", `${id}/settings`, { muted: true }),
      await outcome(owner, "DELETE", id),
    ]).toEqual(Array.from({ length: 6 }, () => "CONVERSATION_NOT_FOUND"));
    const { body } = await request("GET", `/api/sync?heads=${encodeURIComponent(`{"${id}":1}`)}`, {
      token: member.accessToken,
    });
    expect(body).toMatchObject({ removed: [id] });
    await makeAdmin(stranger);
    const another = await newGroup(owner, member);
    expect(await outcome(stranger, "DELETE", another)).toBe("200");
    expect(await outcome(stranger, "DELETE", newGroupId(Date.now()))).toBe("CONVERSATION_NOT_FOUND");
  });

  it("takes neither guests nor those between whom and the one who adds is a block", async ({ expect }) => {
    const { id, owner, admin, stranger } = await cast();
    const visitor = await guest();
    await repositories(env).blocks.block({
      userId: stranger.user.userId,
      targetUserId: admin.user.userId,
      eventId: "block-in-a-group",
      now: Date.now(),
    });
    const userIds = [visitor.user.userId, stranger.user.userId];
    const failed = userIds.map((userId) => ({ userId, code: 1002 }));
    expect((await as(admin, "POST", `${id}/members`, { userIds })).body).toEqual({ added: [], failed });
    const others = await as(owner, "POST", `${id}/members`, { userIds });
    expect(others.body).toMatchObject({ added: [{ userId: stranger.user.userId }], failed: [failed[0]] });
  });
});

describe("removed means removed", () => {
  it("for the next call of any kind, and for what is on its way", async ({ expect }) => {
    const { id, owner, admin, member } = await cast();
    const path = `${id}/members/${member.user.userId}`;
    await send(member, id);
    const socket = await connect(member.user.userId, (await signIn(member.user.userId)).deviceId);
    const key = (n: number): string => `race-${n}`;
    const room = roomStub(id);
    const sends = Array.from({ length: 10 }, (_, n) => room.append([text(member.user.userId, key(n))]));
    const removal = room.removeMember(actorOf(admin.user.userId), member.user.userId);
    const late = Array.from({ length: 10 }, (_, n) => room.append([text(member.user.userId, key(n + 10))]));
    must(await removal);
    const outcomes = (await Promise.all([...sends, ...late])).map(([first]) => first);
    const taken = outcomes.filter((one) => one?.ok === true).length;
    // Whatever was taken stands in the log, without a hole, and nothing was taken after the first refusal.
    expect(outcomes.findIndex((one) => one?.ok !== true)).toBe(taken);
    expect((await roomStub(id).readLog(0, 100)).messages).toHaveLength(1 + taken);
    expect(taken).toBeLessThan(20);

    expect([
      await send(member, id),
      await outcome(member, "GET", id),
      await outcome(member, "GET", `${id}/messages`),
      await outcome(member, "PUT", `${id}/read`, { seqId: 1 }),
      await outcome(member, "GET", `${id}/members`),
      await outcome(member, "PUT", `${id}/settings`, { pinned: true }),
      await outcome(member, "DELETE", path),
    ]).toEqual(Array.from({ length: 7 }, () => "CONVERSATION_NOT_FOUND"));

    const seen = socket.pushed(id).length;
    await append(id, [text(owner.user.userId, "after the removal")]);
    await room.view(actorOf(owner.user.userId));
    await socket.settle();
    expect(socket.pushed(id).filter((seqId) => seqId > 1 + taken)).toEqual([]);
    expect(socket.pushed(id).length).toBe(seen);
  });

  it("also when the room has slept meanwhile", async ({ expect }) => {
    const { id, owner, member } = await cast();
    expect(await outcome(owner, "DELETE", `${id}/members/${member.user.userId}`)).toBe("200");
    await evictRoom(id);
    expect(await send(member, id)).toBe("CONVERSATION_NOT_FOUND");
    expect(await itemOf(member, id)).toBeUndefined();
  });
});

describe("one's own settings", () => {
  it("are of any conversation, and reach the other devices", async ({ expect }) => {
    const { id, owner, member, stranger } = await cast();
    const other = await connect(member.user.userId, (await signIn(member.user.userId)).deviceId);
    const own = await connect(member.user.userId, member.deviceId);
    const set = (person: Person, where: string, body: unknown): Promise<string> =>
      outcome(person, "PUT", `${where}/settings`, body);
    const answer = await expectStatus(200, as(member, "PUT", `${id}/settings`, { muted: true }));
    expect(SettingsAnswer.strict().parse(answer)).toEqual({ muted: true, pinned: false });
    const frame = await other.next("conversation-updated");
    expect(frame.data).toMatchObject({
      conversation: { conversationId: id },
      settings: { muted: true, pinned: false },
    });
    await own.settle();
    expect(own.all("conversation-updated")).toEqual([]);
    await expectStatus(200, as(member, "PUT", `${id}/settings`, { pinned: true }));
    expect(await itemOf(member, id)).toMatchObject({ muted: true, pinned: true });
    expect(await itemOf(owner, id)).toMatchObject({ muted: false, pinned: false });
    expect(await set(member, WORLD_ROOM_ID, { pinned: true })).toBe("200");
    expect(await itemOf(member, WORLD_ROOM_ID)).toMatchObject({ muted: false, pinned: true });
    expect(await set(stranger, id, { muted: true })).toBe("CONVERSATION_NOT_FOUND");
    expect(await set(member, id, { muted: "yes" })).toBe("INVALID_INPUT");
  });
});

describe("a direct conversation and the world room", () => {
  it("refuse what is for groups", async ({ expect }) => {
    const [a, b] = [await register(), await register()];
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      await request("POST", "/api/friends/requests", {
        token: from.accessToken,
        body: { targetUserId: to.user.userId },
      });
    }
    const direct = `single_${[a.user.userId, b.user.userId].toSorted().join("_")}`;
    for (const id of [direct, WORLD_ROOM_ID]) {
      const calls: [string, string, unknown?][] = [
        ["PATCH", id, { name: "x" }],
        ["DELETE", id],
        ["POST", `${id}/transfer`, { userId: b.user.userId }],
        ["PUT", `${id}/members/${b.user.userId}`, { role: 2 }],
        ["PUT", `${id}/members/${b.user.userId}`, { mutedUntil: 9_999_999_999_999 }],
        ["POST", `${id}/members`, { userIds: [b.user.userId] }],
        ["DELETE", `${id}/members/${a.user.userId}`],
        ["POST", `${id}/invites`, {}],
        ["GET", `${id}/invites`],
        ["DELETE", `${id}/invites/some-code`],
        ["GET", `${id}/join-requests`],
        ["PUT", `${id}/join-requests/01ARZ3NDEKTSV4RRFFQ69G5FAV`, { action: "accept" }],
      ];
      for (const [method, path, body] of calls) {
        expect([method, path, await outcome(a, method, path, body)]).toEqual([method, path, "PERMISSION_DENIED"]);
      }
    }
  });

  it("lets system admins change the world, and mute there", async ({ expect }) => {
    const [root, loud] = [await register(), await register()];
    await makeAdmin(root);
    expect(await outcome(root, "PATCH", WORLD_ROOM_ID, { announcement: "Be kind" })).toBe("200");
    expect((await itemOf(loud, WORLD_ROOM_ID))?.conversation).toMatchObject({ type: 3, announcement: "Be kind" });
    expect((await itemOf(loud, WORLD_ROOM_ID))?.conversation.memberCount).toBeGreaterThan(1);
    const path = `${WORLD_ROOM_ID}/members/${loud.user.userId}`;
    expect(await outcome(root, "PUT", path, { mutedUntil: Date.now() + 60_000 })).toBe("200");
    expect(await send(loud, WORLD_ROOM_ID)).toBe("PERMISSION_DENIED");
    expect(await outcome(root, "PUT", path, { mutedUntil: null })).toBe("200");
    expect(await send(loud, WORLD_ROOM_ID)).toBe("201");
    const nobody = `${WORLD_ROOM_ID}/members/01ARZ3NDEKTSV4RRFFQ69G5FAV`;
    expect(await outcome(root, "PUT", nobody, { mutedUntil: null })).toBe("USER_NOT_FOUND");
    expect(await outcome(root, "PATCH", WORLD_ROOM_ID, { maxMembers: 10 })).toBe("PERMISSION_DENIED");
    await expectStatus(200, as(root, "PATCH", WORLD_ROOM_ID, { announcement: null }));
  });
});

describe("a room of the release before", () => {
  it("gets its new tables when it wakes", async ({ expect }) => {
    const { id, owner } = await cast();
    await runInDurableObject(roomStub(id), (_room, state) => {
      toFirstRelease(state.storage);
    });
    await evictRoom(id);
    expect(await outcome(owner, "POST", `${id}/invites`, {})).toBe("201");
    expect(await send(owner, id)).toBe("201");
  });
});

describe("a mute", () => {
  it("waits for who leaves and comes back by a link", async ({ expect }) => {
    const { id, owner, member } = await cast();
    const path = `${id}/members/${member.user.userId}`;
    const mutedUntil = Date.now() + 3_600_000;
    await expectStatus(200, as(owner, "PUT", path, { mutedUntil }));
    const { code } = await expectStatus<{ code: string }>(201, as(owner, "POST", `${id}/invites`, {}));
    await expectStatus(200, as(member, "DELETE", path));
    await expectStatus(200, request("POST", `/api/invites/${code}/join`, { token: member.accessToken }));
    expect(await send(member, id)).toBe("PERMISSION_DENIED");
    expect((await as(owner, "GET", `${id}/members`)).body).toMatchObject({
      items: expect.arrayContaining([expect.objectContaining({ userId: member.user.userId, mutedUntil })]) as unknown,
    });
  });
});

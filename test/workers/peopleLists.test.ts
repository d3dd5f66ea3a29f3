/** What lists show of other people: presence, last seen, and names as they are now. */
import { env } from "cloudflare:workers";
import { runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, describe, it, vi } from "vitest";
import { CACHE_KEYS } from "../../src/cache/types.ts";
import { CacheStore } from "../../src/objects/CacheStore.ts";
import { cacheAt } from "../../src/platform/stubs.ts";
import { type ConversationAnswer, ConversationList, FriendList, MemberList } from "../../src/protocol/rest.ts";
import { repositories } from "../../src/repo/index.ts";
import { advance, eventually, resetClock } from "./support/harness.ts";
import { expectStatus, people, type Person, request } from "./support/http.ts";
import { connect } from "./support/socket.ts";

afterEach(() => {
  resetClock();
  vi.restoreAllMocks();
});

function as(person: Person, method: string, path: string, body?: unknown) {
  return request(method, `/api${path}`, { token: person.accessToken, body });
}

async function befriend(a: Person, b: Person): Promise<string> {
  await expectStatus(201, as(a, "POST", "/friends/requests", { targetUserId: b.user.userId }));
  const path = "/friends/requests";
  const body = { targetUserId: a.user.userId };
  const { conversation } = await expectStatus<{ conversation?: ConversationAnswer }>(201, as(b, "POST", path, body));
  return conversation?.conversationId ?? "";
}

async function friendOf(person: Person) {
  const { items } = FriendList.strict().parse((await as(person, "GET", "/friends")).body);
  return items[0];
}

async function membersOf(person: Person, conversationId: string): Promise<Record<string, boolean | undefined>> {
  const { items } = MemberList.strict().parse(
    (await as(person, "GET", `/conversations/${conversationId}/members`)).body,
  );
  return Object.fromEntries(items.map((member) => [member.userId, member.online]));
}

async function away(person: Person): Promise<void> {
  await eventually("absence in the cache", async () => {
    const [lease] = await cacheAt(env, 0).pipeline([["GET", CACHE_KEYS.online(person.user.userId)]]);
    return lease === null;
  });
}

describe("friends in the list", () => {
  it("are online from the first socket until they have been away for a while; then one sees since when", async ({
    expect,
  }) => {
    const [a, b] = (await people(2)) as [Person, Person];
    await befriend(a, b);
    const id = a.user.userId;
    expect(await friendOf(b)).toMatchObject({ user: { userId: id }, online: false });
    expect(await friendOf(b)).not.toHaveProperty("lastSeenAt");
    const socket = await connect(id, a.deviceId);
    expect(await friendOf(b)).toMatchObject({ online: true });
    const left = Date.now();
    socket.close();
    await away(a);
    expect(await friendOf(b)).toMatchObject({ online: true });
    advance(30_001);
    await runDurableObjectAlarm(env.SESSIONS.getByName(id));
    expect(await friendOf(b)).toMatchObject({ online: false });
    await eventually("the time in SQL", async () => (await friendOf(b))?.lastSeenAt !== undefined);
    const seen = (await friendOf(b))?.lastSeenAt ?? 0;
    expect(Math.abs(seen - left)).toBeLessThan(10_000);
    // An event that comes late does not take it back.
    await repositories(env).users.seen(id, seen - 1);
    expect((await friendOf(b))?.lastSeenAt).toBe(seen);
    await connect(id, a.deviceId);
    expect(await friendOf(b)).toMatchObject({ online: true });
    expect(await friendOf(b)).not.toHaveProperty("lastSeenAt");
  });

  it("are of unknown presence when the cache does not answer", async ({ expect }) => {
    const [a, b] = (await people(2)) as [Person, Person];
    await befriend(a, b);
    vi.spyOn(CacheStore.prototype, "pipeline").mockRejectedValue(new Error("away"));
    expect(await friendOf(b)).not.toHaveProperty("online");
  });
});

describe("members in the list", () => {
  it("are shown with their presence, but away to whom they have blocked, and the other way round", async ({
    expect,
  }) => {
    const [a, b, c] = (await people(3)) as [Person, Person, Person];
    const [idA, idB, idC] = [a.user.userId, b.user.userId, c.user.userId];
    const body = { type: 2, name: "Group", memberIds: [idB, idC] };
    const { conversationId } = await expectStatus<ConversationAnswer>(201, as(a, "POST", "/conversations", body));
    await Promise.all([connect(idA, a.deviceId), connect(idB, b.deviceId)]);
    expect(await membersOf(c, conversationId)).toEqual({ [idA]: true, [idB]: true, [idC]: false });
    await expectStatus(200, as(a, "PUT", `/blocks/${idB}`));
    expect(await membersOf(a, conversationId)).toEqual({ [idA]: true, [idB]: false, [idC]: false });
    expect(await membersOf(b, conversationId)).toEqual({ [idA]: false, [idB]: true, [idC]: false });
    expect(await membersOf(c, conversationId)).toEqual({ [idA]: true, [idB]: true, [idC]: false });
  });

  it("of a direct conversation are away when the friendship is over", async ({ expect }) => {
    const [a, b] = (await people(2)) as [Person, Person];
    const [idA, idB] = [a.user.userId, b.user.userId];
    const id = await befriend(a, b);
    await connect(idA, a.deviceId);
    expect(await membersOf(b, id)).toEqual({ [idA]: true, [idB]: false });
    await expectStatus(200, as(a, "DELETE", `/friends/${idB}`));
    expect(await membersOf(b, id)).toEqual({ [idA]: false, [idB]: false });
    expect(await membersOf(a, id)).toEqual({ [idA]: true, [idB]: false });
  });
});

describe("a changed profile", () => {
  it("is seen at the next read, wherever the user stands", async ({ expect }) => {
    const [a, b] = (await people(2)) as [Person, Person];
    const id = await befriend(a, b);
    const group = { type: 2, name: "Group", memberIds: [b.user.userId] };
    const { conversationId } = await expectStatus<ConversationAnswer>(201, as(a, "POST", "/conversations", group));
    const profile = { displayName: "Somebody Else", avatarUrl: "https://example.org/a.png" };
    const views = async () => {
      const list = ConversationList.parse((await as(b, "GET", "/conversations")).body);
      const members = MemberList.parse((await as(b, "GET", `/conversations/${conversationId}/members`)).body);
      const sync = (await as(b, "GET", `/sync?heads=${encodeURIComponent("{}")}`)).body as ConversationList & {
        conversations: ConversationList["items"];
      };
      return [
        (await friendOf(b))?.user,
        list.items.find((item) => item.conversation.conversationId === id)?.peer,
        sync.conversations.find((item) => item.conversation.conversationId === id)?.peer,
        members.items.find((member) => member.userId === a.user.userId),
        (await as(b, "GET", `/users/${a.user.userId}`)).body,
      ];
    };
    // Read before as well: what a view may keep must not be shown afterwards.
    expect(await views()).not.toContainEqual(expect.objectContaining(profile));
    await expectStatus(200, as(a, "PATCH", "/users/me", profile));
    for (const view of await views()) {
      expect(view).toMatchObject(profile);
    }
  });
});

import { afterEach, beforeAll, beforeEach, describe, it, vi } from "vitest";
import { env } from "cloudflare:workers";
import { cacheOf } from "../../src/cache/index.ts";
import { fillProfiles } from "../../src/cache/profiles.ts";
import { CACHE_KEYS } from "../../src/cache/types.ts";
import { CacheStore } from "../../src/objects/CacheStore.ts";
import { repositories } from "../../src/repo/index.ts";
import { resetBreakers } from "../../src/telemetry/breaker.ts";
import type { AuthAnswer } from "../../src/protocol/rest.ts";
import type { ListItem } from "../../src/protocol/things.ts";
import { costOf, type Cost } from "./support/counting.ts";
import { deliver, HeldBus, newUserId, resetClock } from "./support/harness.ts";
import { expectStatus, register, request } from "./support/http.ts";

/** What reading costs in statements and cache reads, counted: a new query or a cache without a gain shows here. */

const FRIENDS = 4;
const GROUPS = 4;

let me: AuthAnswer;
let friends: AuthAnswer[];
let conversationIds: string[];
beforeAll(async () => {
  me = await register();
  friends = [];
  conversationIds = [];
  for (let n = 0; n < FRIENDS; n++) {
    const friend = await register();
    friends.push(friend);
    const ask = { token: me.accessToken, body: { targetUserId: friend.user.userId } };
    const { requestId } = await expectStatus<{ requestId: string }>(201, request("POST", "/api/friends/requests", ask));
    const accept = { token: friend.accessToken, body: { action: "accept" } };
    await expectStatus(200, request("PUT", `/api/friends/requests/${requestId}`, accept));
  }
  for (let n = 0; n < GROUPS; n++) {
    const body = { type: 2, name: `group ${n}`, memberIds: [friends[n % FRIENDS]?.user.userId ?? ""] };
    await expectStatus(201, request("POST", "/api/conversations", { token: me.accessToken, body }));
  }
  const { items } = await list();
  for (const { conversation } of items) {
    conversationIds.push(conversation.conversationId);
    if (conversation.type !== 3) {
      const body = { clientMsgId: newUserId(), messageType: "text", content: "hello" };
      const path = `/api/conversations/${conversation.conversationId}/messages`;
      await expectStatus(201, request("POST", path, { token: me.accessToken, body }));
    }
  }
}, 60_000);

let bus: HeldBus;
beforeEach(() => {
  bus = new HeldBus();
});
afterEach(() => {
  resetClock();
  vi.restoreAllMocks();
});

function get<T>(path: string): Promise<T> {
  return expectStatus<T>(200, request("GET", `/api${path}`, { token: me.accessToken }));
}
const list = () => get<{ items: ListItem[] }>("/conversations?limit=100");

/** Of a call that was made before: caches are warm. What goes on after the answer is counted as well. */
async function warm<T>(path: string): Promise<{ value: T; cost: Cost }> {
  await get(path);
  return costOf(() => get<T>(path));
}

describe("what reading costs, caches warm", () => {
  it("the list: keys from the covering index, conversations by id, one pipeline for heads, last messages and peers", async ({
    expect,
  }) => {
    const { value, cost } = await warm<{ items: ListItem[] }>("/conversations?limit=100");
    expect(value.items).toHaveLength(FRIENDS + GROUPS + 1);
    expect(value.items.filter((item) => item.peer !== undefined)).toHaveLength(FRIENDS);
    // One statement for the keys; then conversations, memberships, pointers and newest messages as one batch. The second
    // pipeline keeps the page for when SQL is away, after the answer.
    expect(cost).toMatchObject({ sqlTrips: 2, statements: 5, cacheTrips: 2 });
  });

  it("sync: one statement and one pipeline, another one when something has changed", async ({ expect }) => {
    const { value, cost } = await warm<{ conversations: unknown[] }>("/sync?heads=%7B%7D");
    expect(value.conversations).toHaveLength(FRIENDS + GROUPS + 1);
    // One pipeline keeps the page for when SQL is away, after the answer.
    expect(cost).toMatchObject({ sqlTrips: 1, statements: 1, cacheTrips: 3 });
    const heads = encodeURIComponent(JSON.stringify(Object.fromEntries(conversationIds.map((id) => [id, 1]))));
    const quiet = await warm<{ conversations: unknown[] }>(`/sync?heads=${heads}`);
    expect(quiet.value.conversations).toEqual([]);
    expect(quiet.cost).toMatchObject({ sqlTrips: 1, statements: 1, cacheTrips: 2 });
  });

  it("a conversation and its history: nothing but the room, so there is nothing to cache", async ({ expect }) => {
    const group = conversationIds.find((id) => id.startsWith("group")) ?? "";
    for (const path of [`/conversations/${group}`, `/conversations/${group}/messages`]) {
      expect((await warm(path)).cost, path).toEqual({ sqlTrips: 0, statements: 0, cacheTrips: 0, commands: 0 });
    }
    // One statement: whose presence the caller may see. Profiles come from the cache.
    expect((await warm(`/conversations/${group}/members`)).cost).toMatchObject({ statements: 1 });
  });
});

describe("a changed profile", () => {
  const nameOf = async (userId: string) =>
    (await get<{ items: ListItem[] }>("/conversations?limit=100")).items.find((item) => item.peer?.userId === userId)
      ?.peer?.displayName;
  const rename = (friend: AuthAnswer | undefined, displayName: string) =>
    expectStatus(200, request("PATCH", "/api/users/me", { token: friend?.accessToken ?? "", body: { displayName } }));

  it("is in everybody's next list", async ({ expect }) => {
    const [friend] = friends;
    const userId = friend?.user.userId ?? "";
    await nameOf(userId);
    await rename(friend, "Renamed");
    expect(await nameOf(userId)).toBe("Renamed");
  });

  it("is not undone by a reader who looked into SQL before it", async ({ expect }) => {
    const friend = friends[1];
    const userId = friend?.user.userId ?? "";
    const before = await repositories(env).users.byId(userId);
    await rename(friend, "New");
    await fillProfiles(cacheOf(env), before === null ? [] : [before]);
    expect(await nameOf(userId)).toBe("New");
  });

  it("comes with its event when the cache was away, which is retried until it is back", async ({ expect }) => {
    const friend = friends[2];
    const userId = friend?.user.userId ?? "";
    const old = await nameOf(userId);
    const away = vi.spyOn(CacheStore.prototype, "pipeline").mockRejectedValue(new Error("away"));
    await rename(friend, "Later");
    // Never the user's error: names come from SQL then.
    expect(await nameOf(userId)).toBe("Later");
    const [event] = (await bus.next("gochat.user-events", userId)).filter(
      (one) => one["event_type"] === "user.profile.updated",
    );
    expect((await deliver("gochat.user-events", [event])).retried).toHaveLength(1);
    away.mockRestore();
    resetBreakers();
    expect(await nameOf(userId)).toBe(old);
    expect((await deliver("gochat.user-events", [event])).acked).toHaveLength(1);
    expect(await nameOf(userId)).toBe("Later");
  });

  it("keeps no password and no mail address", async ({ expect }) => {
    const person = await register({ email: `${newUserId()}@example.org` });
    const row = await repositories(env).users.byId(person.user.userId);
    expect(row?.passwordHash).not.toBeNull();
    await fillProfiles(cacheOf(env), row === null ? [] : [row]);
    const [text] = await cacheOf(env).pipeline([["GET", CACHE_KEYS.profile(person.user.userId)]]);
    expect(JSON.parse(String(text))).toMatchObject({ passwordHash: null, email: null });
  });
});

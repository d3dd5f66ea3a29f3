/** What users see while SQL or the cache is away. With time limits and all clients: test/e2e/faults.test.ts. */
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, it, vi } from "vitest";
import { ConversationRoom } from "../../src/objects/ConversationRoom.ts";
import { setFault } from "../../src/platform/faults.ts";
import type { AuthAnswer, ConversationAnswer, ConversationList, MemberList } from "../../src/protocol/rest.ts";
import { breakerStates } from "../../src/telemetry/breaker.ts";
import { actorOf, HeldBus, must } from "./support/harness.ts";
import { expectStatus, guest, PASSWORD, register, request } from "./support/http.ts";

beforeEach(() => {
  new HeldBus();
});
afterEach(() => {
  for (const dependency of ["sql", "cache", "bus"] as const) {
    setFault(dependency, "ok");
  }
  vi.restoreAllMocks();
});

type Owner = { owner: AuthAnswer; other: AuthAnswer; group: string };

/** Two people in a group of the first. */
async function groupOfTwo(): Promise<Owner> {
  const [owner, other] = [await register(), await register({ displayName: "The other one" })];
  const body = { type: 2, name: "a group", memberIds: [other.user.userId] };
  const made = await expectStatus<ConversationAnswer>(
    201,
    request("POST", "/api/conversations", { token: owner.accessToken, body }),
  );
  return { owner, other, group: made.conversationId };
}

function get<T>(path: string, who: AuthAnswer): Promise<T> {
  return expectStatus<T>(200, request("GET", path, { token: who.accessToken }));
}

describe("while SQL is away", () => {
  it("lists come from the cache and say so, as the rooms have the conversations now", async ({ expect }) => {
    const { owner, other, group } = await groupOfTwo();
    const before = await get<ConversationList>("/api/conversations", other);
    expect(before.degraded).toBeUndefined();
    setFault("sql", "fail");
    await expectStatus(
      201,
      request("POST", `/api/conversations/${group}/messages`, {
        token: owner.accessToken,
        body: { clientMsgId: "1", messageType: "text", content: "said while SQL was away" },
      }),
    );
    const list = await get<ConversationList>("/api/conversations", other);
    expect(list.degraded).toBe(true);
    expect(list.items.map((item) => item.conversation.conversationId).toSorted()).toEqual(
      before.items.map((item) => item.conversation.conversationId).toSorted(),
    );
    const item = list.items.find((one) => one.conversation.conversationId === group);
    expect(item).toMatchObject({ unreadCount: 1, lastMessage: { content: "said while SQL was away" } });

    const synced = await get<{ degraded?: boolean; conversations: { messages: unknown[] }[] }>(
      "/api/sync?heads=%7B%7D",
      other,
    );
    expect(synced.degraded).toBe(true);
    expect(synced.conversations.flatMap(({ messages }) => messages)).toMatchObject([
      { content: "said while SQL was away" },
    ]);
  });

  it("whoever was removed meanwhile does not see the conversation in a list of before", async ({ expect }) => {
    const { owner, other, group } = await groupOfTwo();
    await get("/api/conversations", other);
    setFault("sql", "fail");
    const room = env.ROOMS.getByName(group);
    must(await room.removeMember(actorOf(owner.user.userId), other.user.userId));
    const list = await get<ConversationList>("/api/conversations", other);
    expect(list.items.map((item) => item.conversation.conversationId)).not.toContain(group);
    // A room that does not answer costs its own entry's freshness, not the list.
    vi.spyOn(ConversationRoom.prototype, "view").mockRejectedValue(new Error("Network connection lost."));
    expect((await get<ConversationList>("/api/conversations", other)).degraded).toBe(true);
  });

  it("members keep their names, and presence is shown to nobody", async ({ expect }) => {
    const { owner, other, group } = await groupOfTwo();
    const path = `/api/conversations/${group}/members`;
    await get<MemberList>(path, owner);
    setFault("sql", "fail");
    const members = await get<MemberList>(path, owner);
    expect(members.degraded).toBe(true);
    expect(members.items.find((one) => one.userId === other.user.userId)?.displayName).toBe("The other one");
    expect(members.items.every((one) => one.online === undefined)).toBe(true);
  });

  it("a page that was never read, or a later one, is 503 with a time; friends come from the cache", async ({
    expect,
  }) => {
    const someone = await register();
    const { accessToken: token } = someone;
    await get("/api/friends", someone);
    setFault("sql", "fail");
    for (const path of ["/api/conversations", "/api/friends/requests?direction=incoming"]) {
      const { response, error } = await request("GET", path, { token });
      expect([response.status, error?.name, error?.retry]).toEqual([503, "UNAVAILABLE", "later"]);
      expect(Number(response.headers.get("Retry-After"))).toBeGreaterThan(0);
    }
    expect(await get("/api/friends", someone)).toEqual({ items: [], nextCursor: null, degraded: true });
  });

  it("log-in and registration are 503 with retry advice, at once when the breaker is open", async ({ expect }) => {
    const { user } = await register();
    const visitor = await guest();
    setFault("sql", "hang");
    // Five calls that hang are enough; they are made together, as users would.
    const refusedOf = async (): Promise<unknown[]> => {
      const body = { username: user.username, password: PASSWORD };
      const { response, error } = await request("POST", "/api/auth/login", { body });
      return [response.status, error?.name, error?.retry, Number(response.headers.get("Retry-After")) > 0];
    };
    const unavailable = [503, "UNAVAILABLE", "later", true];
    const began = performance.now();
    const first = await Promise.all(Array.from({ length: 5 }, refusedOf));
    expect(first).toEqual(Array.from({ length: 5 }, () => unavailable));
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(breakerStates()).toContainEqual({ dependency: "sql", state: "open" });
    const then = performance.now();
    expect(await refusedOf()).toEqual(unavailable);
    expect(performance.now() - then).toBeLessThan(1_000);
    // Who is signed in stays so.
    await expectStatus(200, request("GET", "/api/conversations/world_chat_room", { token: visitor.accessToken }));
  });

  it("a write-through that fails is marked, and the room has the change", async ({ expect }) => {
    const { owner, other, group } = await groupOfTwo();
    setFault("sql", "fail");
    const path = `/api/conversations/${group}/members/${other.user.userId}`;
    const { response, body } = await request("DELETE", path, { token: owner.accessToken });
    expect([response.status, body]).toEqual([200, { degraded: true }]);
    const gone = await request("GET", `/api/conversations/${group}`, { token: other.accessToken });
    expect(gone.error?.name).toBe("CONVERSATION_NOT_FOUND");
  });
});

describe("while the cache is away", () => {
  it("everything works: lists, history, members, sync", async ({ expect }) => {
    const { owner, other, group } = await groupOfTwo();
    setFault("cache", "fail");
    const body = { clientMsgId: "1", messageType: "text", content: "hello" };
    await expectStatus(
      201,
      request("POST", `/api/conversations/${group}/messages`, { token: owner.accessToken, body }),
    );
    const list = await get<ConversationList>("/api/conversations", other);
    expect(list.degraded).toBeUndefined();
    expect(list.items.find((one) => one.conversation.conversationId === group)).toMatchObject({ unreadCount: 1 });
    for (const path of [
      `/api/conversations/${group}/messages`,
      `/api/conversations/${group}/members`,
      "/api/friends",
    ]) {
      await get(path, other);
    }
    await get("/api/sync?heads=%7B%7D", other);
  });
});

describe("with SQL and the cache away", () => {
  it("lists are 503, conversations go on", async ({ expect }) => {
    const { owner, other, group } = await groupOfTwo();
    await get("/api/conversations", other);
    setFault("sql", "fail");
    setFault("cache", "fail");
    const { error } = await request("GET", "/api/conversations", { token: other.accessToken });
    expect(error?.name).toBe("UNAVAILABLE");
    const body = { clientMsgId: "1", messageType: "text", content: "hello" };
    await expectStatus(
      201,
      request("POST", `/api/conversations/${group}/messages`, { token: owner.accessToken, body }),
    );
    const history = await get<{ items: unknown[] }>(`/api/conversations/${group}/messages`, other);
    expect(history.items).toMatchObject([{ content: "hello" }]);
  });
});

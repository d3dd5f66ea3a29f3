/** Friendships, groups and the world over REST: what makes conversations, and who is in them. */
import { env } from "cloudflare:workers";
import { describe, it } from "vitest";
import { repositories } from "../../src/repo/index.ts";
import { roomOf } from "../../src/platform/stubs.ts";
import {
  AddMembersAnswer,
  type ConversationAnswer,
  type ConversationList,
  FriendList,
  FriendRequestAnswer,
  FriendRequestList,
  MemberList,
  MessageList,
} from "../../src/protocol/rest.ts";
import { itemOf, listOf, newGroup, NOBODY, send } from "./support/conversations.ts";
import { as, expectStatus, guest, people, type Person, refusal, register } from "./support/http.ts";

describe("friendship", () => {
  it("begins with a request and an acceptance, which makes the conversation", async ({ expect }) => {
    const [a, b, c] = (await people(3)) as [Person, Person, Person];
    const body = { targetUserId: b.user.userId, message: "hello" };
    const asked = FriendRequestAnswer.strict().parse(
      await expectStatus(201, as(a, "POST", "/api/friends/requests", body)),
    );
    expect(asked).toMatchObject({ requesterId: a.user.userId, status: "pending", message: "hello" });
    expect(await expectStatus(201, as(a, "POST", "/api/friends/requests", body))).toEqual(asked);

    const incoming = FriendRequestList.strict().parse(await expectStatus(200, as(b, "GET", "/api/friends/requests")));
    expect(incoming.items).toMatchObject([{ requestId: asked.requestId, user: { userId: a.user.userId } }]);
    const outgoing = await as(a, "GET", "/api/friends/requests?direction=outgoing&status=pending");
    expect(outgoing.body).toMatchObject({ items: [{ requestId: asked.requestId, user: { userId: b.user.userId } }] });

    const path = `/api/friends/requests/${asked.requestId}`;
    expect(await refusal(a, "PUT", path, { action: "accept" })).toBe("NOT_FOUND");
    expect(await refusal(c, "PUT", path, { action: "accept" })).toBe("NOT_FOUND");
    expect(await refusal(b, "PUT", path, { action: "maybe" })).toBe("INVALID_INPUT");
    const accepted = FriendRequestAnswer.strict().parse(
      await expectStatus(200, as(b, "PUT", path, { action: "accept" })),
    );
    const conversationId = `single_${[a.user.userId, b.user.userId].toSorted().join("_")}`;
    expect(accepted).toMatchObject({ status: "accepted", conversation: { conversationId, type: 1, memberCount: 2 } });
    expect(await refusal(b, "PUT", path, { action: "reject" })).toBe("CONFLICT");
    expect(await refusal(a, "POST", "/api/friends/requests", body)).toBe("CONFLICT");

    for (const [person, friend] of [
      [a, b],
      [b, a],
    ] as const) {
      const list = FriendList.strict().parse(await expectStatus(200, as(person, "GET", "/api/friends")));
      expect(list.items.map((item) => item.user.userId)).toEqual([friend.user.userId]);
      const item = await itemOf(person, conversationId);
      expect(item).toMatchObject({ role: 1, unreadCount: 0, peer: { userId: friend.user.userId } });
    }
    const made = await as(a, "POST", "/api/conversations", { type: 1, memberIds: [b.user.userId] });
    expect([made.response.status, (made.body as ConversationAnswer).conversationId]).toEqual([201, conversationId]);
    expect(await refusal(a, "POST", "/api/conversations", { type: 1, memberIds: [c.user.userId] })).toBe(
      "PERMISSION_DENIED",
    );
    expect(await refusal(a, "POST", "/api/conversations", { type: 1, memberIds: [a.user.userId] })).toBe(
      "PERMISSION_DENIED",
    );
    expect(await refusal(c, "GET", `/api/conversations/${conversationId}`)).toBe("CONVERSATION_NOT_FOUND");
    expect(await refusal(c, "GET", `/api/conversations/${conversationId}/messages`)).toBe("CONVERSATION_NOT_FOUND");

    await expectStatus(200, as(a, "DELETE", `/api/friends/${b.user.userId}`));
    expect(await refusal(a, "DELETE", `/api/friends/${b.user.userId}`)).toBe("NOT_FOUND");
    expect((await as(b, "GET", "/api/friends")).body).toMatchObject({ items: [] });
  });

  it("is made once by requests at the same moment", async ({ expect }) => {
    const [a, b] = (await people(2)) as [Person, Person];
    const ask = (from: Person, to: Person) =>
      as(from, "POST", "/api/friends/requests", { targetUserId: to.user.userId });
    const answers = await Promise.all([ask(a, b), ask(b, a)]);
    const statuses = answers.map(({ body }) => (body as FriendRequestAnswer).status);
    expect(statuses.toSorted()).toEqual(["accepted", "pending"]);
    expect((await as(a, "GET", "/api/friends")).body).toMatchObject({ items: [{ user: { userId: b.user.userId } }] });
  });

  it("is not for guests, nor with oneself or nobody", async ({ expect }) => {
    const [a, visitor] = [await register(), await guest()];
    const ask = (from: Person, targetUserId: string, more = {}) =>
      refusal(from, "POST", "/api/friends/requests", { targetUserId, ...more });
    expect(await ask(visitor, a.user.userId)).toBe("PERMISSION_DENIED");
    expect(await ask(a, visitor.user.userId)).toBe("PERMISSION_DENIED");
    expect(await ask(a, a.user.userId)).toBe("INVALID_INPUT");
    expect(await ask(a, NOBODY)).toBe("USER_NOT_FOUND");
    expect(await ask(a, "x")).toBe("INVALID_INPUT");
    expect(await ask(a, NOBODY, { message: "x".repeat(201) })).toBe("INVALID_INPUT");
  });
});

describe("groups", () => {
  it("are made, listed and left", async ({ expect }) => {
    const [owner, b, c] = (await people(3)) as [Person, Person, Person];
    const group = await newGroup(owner, b, b);
    expect(group).toMatchObject({ type: 2, name: "Group", ownerId: owner.user.userId, memberCount: 2, role: 3 });
    const path = `/api/conversations/${group.conversationId}`;
    expect(await itemOf(b, group.conversationId)).toMatchObject({ role: 1, conversation: { name: "Group" } });
    expect(await itemOf(c, group.conversationId)).toBeUndefined();
    expect(await refusal(c, "GET", path)).toBe("CONVERSATION_NOT_FOUND");

    const visitor = await guest();
    const userIds = [c.user.userId, visitor.user.userId, NOBODY, c.user.userId];
    expect(await refusal(b, "POST", `${path}/members`, { userIds })).toBe("PERMISSION_DENIED");
    expect(await refusal(c, "POST", `${path}/members`, { userIds })).toBe("CONVERSATION_NOT_FOUND");
    const added = AddMembersAnswer.strict().parse(
      await expectStatus(200, as(owner, "POST", `${path}/members`, { userIds })),
    );
    expect(added.added).toMatchObject([{ userId: c.user.userId, displayName: c.user.displayName, role: 1 }]);
    expect(added.failed).toEqual([
      { userId: visitor.user.userId, code: 1002 },
      { userId: NOBODY, code: 1001 },
    ]);
    expect(await itemOf(c, group.conversationId)).toMatchObject({ conversation: { memberCount: 3 } });

    const members = MemberList.strict().parse(await expectStatus(200, as(c, "GET", `${path}/members?limit=2`)));
    const rest = await as(c, "GET", `${path}/members?limit=2&cursor=${members.nextCursor}`);
    const exact = await as(c, "GET", `${path}/members?limit=3`);
    expect(MemberList.strict().parse(exact.body).nextCursor).toBeNull();
    const all = [...members.items, ...MemberList.strict().parse(rest.body).items].map((member) => member.userId);
    expect(all).toEqual([owner, b, c].map((person) => person.user.userId).toSorted());

    expect(await refusal(b, "DELETE", `${path}/members/${c.user.userId}`)).toBe("PERMISSION_DENIED");
    expect(await refusal(owner, "DELETE", `${path}/members/${owner.user.userId}`)).toBe("CONFLICT");
    expect(await refusal(owner, "DELETE", `${path}/members/${NOBODY}`)).toBe("USER_NOT_FOUND");
    await expectStatus(200, as(owner, "DELETE", `${path}/members/${c.user.userId}`));
    await expectStatus(200, as(b, "DELETE", `${path}/members/${b.user.userId}`));
    for (const gone of [b, c]) {
      expect(await itemOf(gone, group.conversationId)).toBeUndefined();
      for (const [method, where, body] of [
        ["GET", "", undefined],
        ["GET", "/messages", undefined],
        ["GET", "/members", undefined],
        ["PUT", "/read", { seqId: 1 }],
        ["POST", "/messages", { clientMsgId: "x", messageType: "text", content: "x" }],
      ] as const) {
        expect(await refusal(gone, method, path + where, body), where).toBe("CONVERSATION_NOT_FOUND");
      }
    }
    await expectStatus(200, as(owner, "DELETE", `${path}/members/${owner.user.userId}`));
    expect(await itemOf(owner, group.conversationId)).toBeUndefined();
  });

  it("are not made by guests, nor with them, nor with more than fit", async ({ expect }) => {
    const [owner, visitor] = [await register(), await guest()];
    const make = (person: Person, body: object) => refusal(person, "POST", "/api/conversations", { type: 2, ...body });
    expect(await make(visitor, { memberIds: [] })).toBe("PERMISSION_DENIED");
    expect(await make(owner, { memberIds: [visitor.user.userId] })).toBe("PERMISSION_DENIED");
    expect(await make(owner, { memberIds: [NOBODY] })).toBe("USER_NOT_FOUND");
    const [b, c] = (await people(2)) as [Person, Person];
    expect(await make(owner, { memberIds: [b.user.userId, c.user.userId], maxMembers: 2 })).toBe("GROUP_FULL");
    for (const bad of [
      { type: 3 },
      { type: "2" },
      { maxMembers: 1 },
      { maxMembers: 1e9 },
      { name: "\n" },
      { memberIds: 1 },
    ]) {
      expect(await make(owner, { memberIds: [], ...bad }), JSON.stringify(bad)).toBe("INVALID_INPUT");
    }
  });

  it("keep those apart who have blocked one another", async ({ expect }) => {
    const [owner, b] = (await people(2)) as [Person, Person];
    await env.DB.prepare("INSERT INTO blocks VALUES (?, ?, 0)").bind(b.user.userId, owner.user.userId).run();
    const body = { type: 2, memberIds: [b.user.userId] };
    expect(await refusal(owner, "POST", "/api/conversations", body)).toBe("PERMISSION_DENIED");
  });
});

describe("the world room", () => {
  it("begins for a new account where it stands", async ({ expect }) => {
    const early = await register();
    const sent = await send(early, "world_chat_room", "before your time");
    const late = await register();
    const visitor = await guest();
    for (const person of [late, visitor]) {
      // The list takes heads from the cache, which may be a moment behind: never more than what is read.
      expect(await itemOf(person, "world_chat_room")).toMatchObject({ unreadCount: 0 });
      const view = await as(person, "GET", "/api/conversations/world_chat_room");
      expect(view.body).toMatchObject({ readSeqId: sent.seqId, unreadCount: 0 });
    }
  });

  it("has everybody in it, page by page", async ({ expect }) => {
    const asking = await register();
    const all = [asking, await register(), await guest()];
    const path = "/api/conversations/world_chat_room/members?limit=2";
    const seen: { userId: string; displayName: string; role: number; joinedAt: number }[] = [];
    for (let cursor: string | null = ""; cursor !== null;) {
      const { body } = await as(asking, "GET", cursor === "" ? path : `${path}&cursor=${cursor}`);
      const page = body as { items: typeof seen; nextCursor: string | null };
      expect(page.items.length).toBeLessThanOrEqual(2);
      seen.push(...page.items);
      cursor = page.nextCursor;
    }
    const ids = seen.map(({ userId }) => userId);
    expect(ids).toEqual([...new Set(ids)].toSorted());
    for (const { user } of all) {
      const { userId, displayName, createdAt } = user;
      expect(seen.find((member) => member.userId === userId)).toEqual({
        userId,
        displayName,
        role: 1,
        joinedAt: createdAt,
      });
    }
    expect((await as(asking, "GET", `${path}&cursor=z`)).body).toEqual({ items: [], nextCursor: null });
  });

  it("has everybody in it, guests too, each with a pointer of their own", async ({ expect }) => {
    const [a, visitor] = [await register(), await guest()];
    const sent = await send(visitor, "world_chat_room", "hello world");
    for (const person of [a, visitor]) {
      const view = await as(person, "GET", "/api/conversations/world_chat_room");
      expect(view.body).toMatchObject({ type: 3, name: "World", headSeqId: sent.seqId, role: 1 });
      expect((view.body as ConversationAnswer).memberCount).toBeGreaterThan(1);
    }
    expect(await itemOf(a, "world_chat_room")).toMatchObject({ lastMessage: { content: "hello world" } });
    const path = "/api/conversations/world_chat_room";
    expect((await as(a, "PUT", `${path}/read`, { seqId: sent.seqId })).body).toEqual({
      readSeqId: sent.seqId,
      unreadCount: 0,
    });
    expect(await itemOf(a, "world_chat_room")).toMatchObject({ readSeqId: sent.seqId, unreadCount: 0 });
    const history = MessageList.strict().parse((await as(a, "GET", `${path}/messages`)).body);
    expect(history.items.at(-1)).toMatchObject({ messageId: sent.messageId, senderId: visitor.user.userId });
    expect(await refusal(a, "POST", `${path}/members`, { userIds: [visitor.user.userId] })).toBe("PERMISSION_DENIED");
    expect(await refusal(a, "DELETE", `${path}/members/${a.user.userId}`)).toBe("PERMISSION_DENIED");
  });
});

describe("lists", () => {
  it("are paged and newest first", async ({ expect }) => {
    const owner = await register();
    const groups = [await newGroup(owner), await newGroup(owner), await newGroup(owner)].map(
      (group) => group.conversationId,
    );
    await send(owner, groups[0] ?? "", "newest");
    const history = await roomOf(env, groups[0] ?? "").readLog(0, 1);
    const [message] = history.messages;
    if (message !== undefined) {
      const record = { kind: "message" as const, conversationId: message.conversationId, logId: 50, message };
      await repositories(env).persistence.applyRoomRecords([record]);
    }
    const seen: string[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const page: ConversationList = await listOf(owner, `?limit=2${cursor === "" ? "" : `&cursor=${cursor}`}`);
      expect(page.items.length).toBeLessThanOrEqual(2);
      seen.push(...page.items.map((item) => item.conversation.conversationId));
      cursor = page.nextCursor;
    }
    expect(new Set(seen)).toEqual(new Set([...groups, "world_chat_room"]));
    expect(seen).toHaveLength(4);
    expect(seen.filter((id) => id !== "world_chat_room")[0]).toBe(groups[0]);
  });
});

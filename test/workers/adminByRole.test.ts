/** What a system admin does over ordinary routes: what only the role allows stands in the audit, what anybody may do does not. */
import { describe, it, vi } from "vitest";
import { WORLD_ROOM_ID } from "../../src/domain/records.ts";
import type { AuditEntry, AuthAnswer, ConversationAnswer } from "../../src/protocol/rest.ts";
import type { Member, Message } from "../../src/protocol/things.ts";
import { asKey, auditAbout, newAdmin } from "./support/admins.ts";
import { newUserId } from "./support/harness.ts";
import { expectStatus, register, request, type Answer } from "./support/http.ts";
import { connect } from "./support/socket.ts";

function as(person: AuthAnswer, method: string, path: string, body?: unknown): Promise<Answer> {
  return request(method, `/api/conversations/${path}`, { token: person.accessToken, body });
}

async function newGroup(owner: AuthAnswer, ...others: AuthAnswer[]): Promise<string> {
  const body = { type: 2, name: "Group", memberIds: others.map((other) => other.user.userId) };
  const call = request("POST", "/api/conversations", { token: owner.accessToken, body });
  return (await expectStatus<ConversationAnswer>(201, call)).conversationId;
}

async function say(person: AuthAnswer, id: string): Promise<string> {
  const body = { clientMsgId: newUserId(), messageType: "text", content: "hello" };
  return (await expectStatus<Message>(201, as(person, "POST", `${id}/messages`, body))).messageId;
}

/** What this admin has done, newest first. */
async function actsOf(admin: AuthAnswer): Promise<Pick<AuditEntry, "action" | "targetId">[]> {
  const { items } = await expectStatus<{ items: AuditEntry[] }>(200, asKey("GET", "/audit?limit=100"));
  return items
    .filter((entry) => entry.actor === admin.user.userId)
    .map(({ action, targetId }) => ({ action, targetId }));
}

describe("an act that only the role of a system admin allows", () => {
  it("leaves its row, in a conversation of others and in the world", async ({ expect }) => {
    const [root, owner, other] = [await newAdmin(), await register(), await register()];
    const id = await newGroup(owner, other);
    const [inGroup, inWorld] = [await say(other, id), await say(other, WORLD_ROOM_ID)];
    await expectStatus(200, as(root, "POST", `${id}/messages/${inGroup}/recall`));
    await expectStatus(200, as(root, "POST", `${WORLD_ROOM_ID}/messages/${inWorld}/recall`));
    await expectStatus(200, as(root, "PATCH", WORLD_ROOM_ID, { announcement: newUserId() }));
    const member = `${WORLD_ROOM_ID}/members/${other.user.userId}`;
    await expectStatus(200, as(root, "PUT", member, { role: 2 }));
    await expectStatus(200, as(root, "PUT", member, { mutedUntil: null }));
    await expectStatus(200, as(root, "DELETE", id));
    expect((await actsOf(root)).toReversed()).toEqual([
      { action: "message.remove", targetId: inGroup },
      { action: "message.remove", targetId: inWorld },
      { action: "conversation.update", targetId: WORLD_ROOM_ID },
      { action: "member.role", targetId: other.user.userId },
      { action: "member.mute", targetId: other.user.userId },
      { action: "conversation.dismiss", targetId: id },
    ]);
    expect(await auditAbout(other.user.userId)).toMatchObject([
      { action: "member.mute", userId: other.user.userId },
      { action: "member.role", userId: other.user.userId },
    ]);
    await expectStatus(200, as(root, "PATCH", WORLD_ROOM_ID, { announcement: null }));
  });

  it("leaves none when it is refused, or when anybody in this place may do it", async ({ expect }) => {
    const [root, owner, other] = [await newAdmin(), await register(), await register()];
    const refused = [
      await as(root, "DELETE", `group_${newUserId()}`),
      await as(root, "DELETE", WORLD_ROOM_ID),
      await as(root, "PATCH", WORLD_ROOM_ID, { maxMembers: 10 }),
      await as(root, "PATCH", await newGroup(owner, other), { name: "Mine" }),
    ];
    expect(refused.map(({ error }) => error?.name)).toEqual([
      "CONVERSATION_NOT_FOUND",
      "PERMISSION_DENIED",
      "PERMISSION_DENIED",
      "CONVERSATION_NOT_FOUND",
    ]);
    const own = await newGroup(root, other);
    const mine = await say(root, own);
    await expectStatus(200, as(root, "PATCH", own, { name: "Ours" }));
    await expectStatus(200, as(root, "PUT", `${own}/members/${other.user.userId}`, { role: 2 }));
    await expectStatus(200, as(root, "POST", `${own}/messages/${mine}/recall`));
    await expectStatus(200, as(root, "POST", `${own}/messages/${await say(other, own)}/recall`));
    await expectStatus(200, as(root, "DELETE", own));
    expect(await actsOf(root)).toEqual([]);
  });
});

describe("a send that only the role of a system admin allows", () => {
  const system = (clientMsgId: string) => ({ clientMsgId, messageType: "system" as const, content: "read this" });

  it("leaves one row, over REST and over the socket, however often it is sent", async ({ expect }) => {
    const [root, owner] = [await newAdmin(), await register()];
    const id = await newGroup(owner, root);
    const body = system(newUserId());
    const sent = await expectStatus<Message>(201, as(root, "POST", `${id}/messages`, body));
    const again = await expectStatus<Message>(201, as(root, "POST", `${id}/messages`, body));
    expect([sent.messageType, again.messageId]).toEqual(["system", sent.messageId]);
    const socket = await connect(root.user.userId, root.deviceId);
    socket.send({ type: "send-message", id: "s", data: { conversationId: id, ...system(newUserId()) } });
    const ack = await socket.next("message-ack");
    expect(ack.data).toMatchObject({ ref: "s", status: "sent", seqId: sent.seqId + 1 });
    await expectStatus(200, as(owner, "PATCH", id, { muteAll: true }));
    await say(root, id);
    await expectStatus(200, as(owner, "PATCH", id, { muteAll: false }));
    await say(root, id);
    expect(await actsOf(root)).toEqual(Array(3).fill({ action: "message.send", targetId: id }));
  });

  it("leaves none when it is refused all the same", async ({ expect }) => {
    const [root, owner] = [await newAdmin(), await register()];
    const id = await newGroup(owner, root);
    const muted = { mutedUntil: Date.now() + 60_000 };
    await expectStatus(200, as(owner, "PUT", `${id}/members/${root.user.userId}`, muted));
    const refused = await as(root, "POST", `${id}/messages`, system(newUserId()));
    expect(refused.error?.name).toBe("PERMISSION_DENIED");
    const foreign = await as(owner, "POST", `${id}/messages`, system(newUserId()));
    expect(foreign.error?.name).toBe("PERMISSION_DENIED");
    await vi.waitFor(async () => expect(await actsOf(root)).toEqual([]), { timeout: 5_000 });
  });
});

describe("the world", () => {
  it("has moderators who mute no system admin", async ({ expect }) => {
    const [root, second, moderator] = [await newAdmin(), await newAdmin(), await register()];
    const of = (person: AuthAnswer) => `${WORLD_ROOM_ID}/members/${person.user.userId}`;
    await expectStatus(200, as(root, "PUT", of(moderator), { role: 2 }));
    const until = { mutedUntil: Date.now() + 60_000 };
    expect((await as(moderator, "PUT", of(second), until)).error?.name).toBe("PERMISSION_DENIED");
    await say(second, WORLD_ROOM_ID);
    // Admins among themselves.
    await expectStatus(200, as(root, "PUT", of(second), until));
    await expectStatus(200, as(second, "PUT", of(second), { mutedUntil: null }));
    await expectStatus(200, as(root, "PUT", of(moderator), { role: 1 }));
  });

  it("is shown as it was, whatever is changed: how many fit in, who is there, since when", async ({ expect }) => {
    const [root, other] = [await newAdmin(), await register()];
    const shown = () => expectStatus<ConversationAnswer>(200, as(other, "GET", WORLD_ROOM_ID));
    const before = await shown();
    expect(before.maxMembers).toBe(1_000_000);
    const changed = await expectStatus<ConversationAnswer>(
      200,
      as(root, "PATCH", WORLD_ROOM_ID, { announcement: "Hi" }),
    );
    const { maxMembers, memberCount, createdAt } = before;
    expect(changed).toMatchObject({ announcement: "Hi", maxMembers, memberCount, createdAt });
    expect(await shown()).toMatchObject({ announcement: "Hi", maxMembers, memberCount, createdAt });
    await expectStatus(200, as(root, "PATCH", WORLD_ROOM_ID, { announcement: null }));

    const path = `${WORLD_ROOM_ID}/members/${other.user.userId}`;
    const member = await expectStatus<Member>(200, as(root, "PUT", path, { role: 2 }));
    expect(member).toMatchObject({ role: 2, joinedAt: other.user.createdAt });
    type Page = { items: Member[]; nextCursor: string | null };
    const found: Member[] = [];
    for (let cursor: string | null = ""; cursor !== null;) {
      const query: string = cursor === "" ? "?limit=100" : `?limit=100&cursor=${cursor}`;
      const page: Page = await expectStatus<Page>(200, as(root, "GET", `${WORLD_ROOM_ID}/members${query}`));
      found.push(...page.items);
      cursor = page.nextCursor;
    }
    expect(found.find(({ userId }) => userId === other.user.userId)).toMatchObject({
      role: 2,
      joinedAt: other.user.createdAt,
    });
    await expectStatus(200, as(root, "PUT", path, { role: 1 }));
  });
});

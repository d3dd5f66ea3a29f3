/** Groups as people live in them: settings, roles, mutes, doors, goodbyes. */
import { afterAll, beforeAll, describe, it } from "vitest";
import { WORLD_ROOM_ID } from "../../sdk/src/index.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { everybodyLeaves, makeFriends, Person, refusal } from "./support/people.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(async () => {
  await everybodyLeaves();
  await server?.dispose();
});

/** So many people, and a group of them that the first one owns. */
async function group(count: number, more: { joinApproval?: boolean } = {}): Promise<{ id: string; all: Person[] }> {
  const all = await Promise.all(Array.from({ length: count }, () => Person.register(server)));
  const [owner, ...others] = all;
  if (owner === undefined) {
    throw new Error("nobody came");
  }
  const made = await owner.chat.createGroup({ name: "Team", memberIds: others.map((one) => one.userId), ...more });
  return { id: made.conversationId, all };
}

describe("a group", () => {
  it("tells everybody what changes, and who may do what", async ({ expect }) => {
    const { id, all } = await group(3);
    const [ana, ben, cat] = all as [Person, Person, Person];
    await ana.in(id).group.setRole(ben.userId, 2);
    await ben.until("the role in the list", () => ben.in(id).item?.role === 2);
    expect(await cat.event("member", (event) => event.kind === "role")).toMatchObject({ userId: ben.userId, role: 2 });

    await ben.in(id).group.update({ name: "Crew", announcement: "Lunch at noon", muteAll: true });
    await cat.until("the new name", () => cat.in(id).item?.conversation.name === "Crew");
    expect(cat.in(id).item?.conversation).toMatchObject({ announcement: "Lunch at noon", muteAll: true });
    expect(await refusal(cat.in(id).send("me too").accepted)).toBe("PERMISSION_DENIED");
    await ben.say(id, "only we may speak");
    await ben.in(id).group.update({ muteAll: false });

    await ben.in(id).group.mute(cat.userId, Date.now() + 60_000);
    expect(await refusal(cat.in(id).send("let me").accepted)).toBe("PERMISSION_DENIED");
    const { items } = await cat.in(id).members();
    expect(items.find((member) => member.userId === cat.userId)?.mutedUntil).toBeGreaterThan(Date.now());
    await ben.in(id).group.unmute(cat.userId);
    await cat.say(id, "thank you");
    expect(await refusal(ben.in(id).group.mute(ana.userId, Date.now() + 60_000))).toBe("PERMISSION_DENIED");

    expect(await refusal(ana.in(id).leave())).toBe("CONFLICT");
    await ana.in(id).group.transfer(cat.userId);
    await cat.until("the group is Cat's", () => cat.in(id).item?.role === 3);
    await ben.until("everybody knows", () => ben.in(id).item?.conversation.ownerId === cat.userId);
    await ana.in(id).leave();
    expect(await ana.event("conversation", (event) => event.kind === "removed")).toMatchObject({ reason: "left" });
    expect(await ben.event("member", (event) => event.kind === "removed")).toMatchObject({ userId: ana.userId });
    expect(await refusal(ana.in(id).send("hello?").accepted)).toBe("CONVERSATION_NOT_FOUND");

    await cat.in(id).group.dismiss();
    expect(await ben.event("conversation", (event) => event.kind === "removed")).toMatchObject({ reason: "dismissed" });
    await ben.until("it is gone from the list", () => ben.in(id).item === undefined);
    expect(await refusal(ben.in(id).history())).toBe("CONVERSATION_NOT_FOUND");
  });

  it("is nothing any more to who was removed, whatever they had open", async ({ expect }) => {
    const { id, all } = await group(3);
    const [ana, ben, cat] = all as [Person, Person, Person];
    await ana.say(id, "all here?");
    await ben.until("the message", () => ben.received(id).length === 1);
    const tries = Array.from({ length: 20 }, (_, n) => refusal(ben.in(id).send(`quick ${n}`).accepted));
    await ana.in(id).removeMember(ben.userId);
    const outcomes = await Promise.all(tries);
    const taken = outcomes.filter((one) => one === "nothing").length;
    expect(outcomes.slice(taken)).toEqual(outcomes.slice(taken).map(() => "CONVERSATION_NOT_FOUND"));
    expect(await ben.event("conversation", (event) => event.kind === "removed")).toMatchObject({ reason: "removed" });
    const after = await ana.say(id, "now we are two");
    expect(after).toBe(2 + taken);
    await cat.until("everything", () => cat.received(id).length === after);
    expect(ben.received(id).some((message) => message.content === "now we are two")).toBe(false);
    expect([
      await refusal(ben.in(id).history()),
      await refusal(ben.in(id).readNow(1)),
      await refusal(ben.in(id).members()),
      await refusal(ben.in(id).setSettings({ muted: true })),
    ]).toEqual(Array.from({ length: 4 }, () => "CONVERSATION_NOT_FOUND"));
    expect((await ben.chat.listConversations()).items.map((item) => item.conversation.conversationId)).not.toContain(
      id,
    );
  });
});

describe("the doors of a group", () => {
  it("open to whoever has a link, as often as it says, with nothing unread", async ({ expect }) => {
    const { id, all } = await group(1);
    const [ana] = all as [Person];
    await ana.say(id, "before anybody came");
    const crowd = await Promise.all(Array.from({ length: 4 }, () => Person.register(server)));
    const { code } = await ana.in(id).group.invite({ maxUses: 2 });
    const outcomes = await Promise.all(
      crowd.map((person) =>
        person.chat.groups.join(code).then(
          ({ status }) => status,
          (error: Error) => error.name,
        ),
      ),
    );
    expect(outcomes.toSorted()).toEqual(["NOT_FOUND", "NOT_FOUND", "joined", "joined"]);
    const ben = crowd[outcomes.indexOf("joined")] as Person;
    await ben.until("it is in the list", () => ben.in(id).item !== undefined);
    expect(ben.in(id).item).toMatchObject({ unreadCount: 0, role: 1 });
    await ana.event("member", (event) => event.kind === "added" && event.members[0]?.userId === ben.userId);
    expect((await ben.in(id).history()).map((message) => message.content)).toEqual(["before anybody came"]);
    // Again changes nothing.
    expect(await ben.chat.groups.join(code)).toMatchObject({ status: "joined", conversation: { conversationId: id } });
    expect((await ana.in(id).group.invites()).items).toEqual([]);

    const another = await ana.in(id).group.invite();
    await ana.in(id).group.revokeInvite(another.code);
    const late = crowd[outcomes.indexOf("NOT_FOUND")] as Person;
    expect(await refusal(late.chat.groups.join(another.code))).toBe("NOT_FOUND");
    const guest = await Person.guest(server);
    expect(await refusal(guest.chat.groups.join(code))).toBe("PERMISSION_DENIED");
  });

  it("are watched by owner and admins where somebody has to approve", async ({ expect }) => {
    const { id, all } = await group(2, { joinApproval: true });
    const [ana, ben] = all as [Person, Person];
    await ana.in(id).group.setRole(ben.userId, 2);
    const [cat, dan] = [await Person.register(server), await Person.register(server)];
    const { code } = await ana.in(id).group.invite();
    const asked = await cat.chat.groups.join(code);
    expect(asked.status).toBe("pending");
    const told = await ben.event("notice", (event) => event.kind === "join-request");
    expect(told).toMatchObject({
      conversationId: id,
      request: { userId: cat.userId, user: { username: cat.username } },
    });
    await ana.event("notice", (event) => event.kind === "join-request");
    await dan.chat.groups.join(code);
    const waiting = (await ben.in(id).group.joinRequests()).items;
    expect(waiting.map((request) => request.userId)).toEqual([cat.userId, dan.userId]);
    await ben.in(id).group.accept(waiting[0]?.requestId ?? "");
    expect(await cat.event("conversation", (event) => event.kind === "joined")).toMatchObject({ conversationId: id });
    await cat.say(id, "here I am");
    await ana.in(id).group.reject(waiting[1]?.requestId ?? "");
    expect(await refusal(dan.chat.groups.join(code))).toBe("CONFLICT");
    expect(await refusal(dan.in(id).history())).toBe("CONVERSATION_NOT_FOUND");
  });
});

describe("one's own settings", () => {
  it("follow to the other devices and last", async ({ expect }) => {
    const [ana, ben] = [await Person.register(server), await Person.register(server)];
    const id = await makeFriends(ana, ben);
    const other = await ana.onAnotherDevice(server);
    expect(await ana.in(id).setSettings({ pinned: true })).toEqual({ muted: false, pinned: true });
    expect(ana.chat.conversations.get()[0]?.conversation.conversationId).toBe(id);
    await other.until("the pin", () => other.in(id).item?.pinned === true);
    await ana.in(WORLD_ROOM_ID).setSettings({ muted: true });
    await other.until("the mute", () => other.in(WORLD_ROOM_ID).item?.muted === true);
    const items = (await ben.chat.listConversations()).items;
    expect(items.find((item) => item.conversation.conversationId === id)).toMatchObject({ pinned: false });
    const third = await ana.onAnotherDevice(server);
    await third.until("both", () => third.in(id).item?.pinned === true && third.in(WORLD_ROOM_ID).item?.muted === true);
  });
});

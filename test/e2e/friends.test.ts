import { afterAll, beforeAll, describe, it } from "vitest";
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

describe("friends who part", () => {
  it("are told, read on, cannot send, and can again when they are friends again", async ({ expect }) => {
    const [ana, ben] = [await Person.register(server), await Person.register(server)];
    const id = await makeFriends(ana, ben);
    await ana.say(id, "before");
    await ana.chat.friends.remove(ben.userId);
    expect(await ben.event("friend", (e) => e.kind === "removed")).toMatchObject({ userId: ana.userId });
    for (const person of [ana, ben]) {
      expect(await refusal(person.in(id).send("after").accepted)).toBe("PERMISSION_DENIED");
      expect((await person.in(id).history()).map((m) => m.content)).toEqual(["before"]);
    }
    await makeFriends(ben, ana);
    expect(await ben.say(id, "again")).toBe(2);
  });

  it("by a block see what a removal shows; what the blocked one asks stays pending and comes nowhere", async ({
    expect,
  }) => {
    const [ana, ben] = [await Person.register(server), await Person.register(server)];
    const id = await makeFriends(ana, ben);
    await ana.say(id, "before");
    await ana.chat.friends.block(ben.userId);
    expect(await ben.event("friend", (e) => e.kind === "removed")).toMatchObject({ userId: ana.userId });
    expect((await ana.chat.friends.blocked()).items).toMatchObject([{ user: { userId: ben.userId } }]);
    expect(await refusal(ben.in(id).send("hello?").accepted)).toBe("PERMISSION_DENIED");
    expect((await ben.in(id).history()).map((m) => m.content)).toEqual(["before"]);
    expect(await ben.chat.friends.request(ana.userId)).toMatchObject({ status: "pending" });
    expect((await ana.chat.friends.requests()).items).toEqual([]);
    await ana.chat.friends.unblock(ben.userId);
    expect((await ana.chat.friends.blocked()).items).toEqual([]);
    expect(await ana.chat.friends.request(ben.userId)).toMatchObject({ status: "accepted" });
    expect(await ben.say(id, "hello!")).toBe(2);
  });
});

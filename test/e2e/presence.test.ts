import { afterAll, beforeAll, describe, it, vi } from "vitest";
import { startServer, type TestServer } from "../support/server.ts";
import { everybodyLeaves, makeFriends, Person } from "./support/people.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ env: { LIMIT_OFFLINE_AFTER_MS: "1000" } });
});
afterAll(async () => {
  await everybodyLeaves();
  await server?.dispose();
});

/** Waits until this client was told so often that the other one came, or went. */
function told(person: Person, other: Person, online: boolean, times = 1): Promise<void> {
  const count = () => person.all("presence").filter((e) => e.userId === other.userId && e.online === online).length;
  return person.until(`${online ? "online" : "offline"}, ${times} times`, () => count() >= times);
}

describe("presence", () => {
  it("of a friend is pushed and listed, with the time of leaving", async ({ expect }) => {
    const [ana, ben] = [await Person.register(server), await Person.register(server)];
    await makeFriends(ana, ben);
    await told(ben, ana, true);
    const friend = async () => (await ben.chat.friends.list()).items[0];
    expect(await friend()).toMatchObject({ online: true });
    const left = Date.now();
    ana.chat.disconnect();
    await told(ben, ana, false);
    expect(ben.all("presence").at(-1)?.lastSeenAt).toBeGreaterThanOrEqual(left - 1_000);
    await vi.waitFor(async () => expect(await friend()).toMatchObject({ online: false }), 10_000);
    expect((await friend())?.lastSeenAt).toBeGreaterThanOrEqual(left - 1_000);
    ana.chat.connect();
    await told(ben, ana, true, 2);
    expect(await friend()).toMatchObject({ online: true });
    expect(ben.all("presence").map((e) => e.online)).toEqual([true, false, true]);
  });

  it("is asked for, and asked for again after a reconnect", async ({ expect }) => {
    const [ana, ben] = [await Person.register(server), await Person.register(server)];
    await makeFriends(ana, ben);
    await told(ben, ana, true);
    ana.chat.disconnect();
    await told(ben, ana, false);
    ben.chat.watchPresence([ana.userId]);
    await told(ben, ana, false, 2);
    ben.chat.disconnect();
    ben.chat.connect();
    await told(ben, ana, false, 3);
    expect(ben.all("presence").at(-1)?.lastSeenAt).toBeGreaterThan(0);
  });
});

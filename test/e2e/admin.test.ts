import { afterAll, beforeAll, describe, it } from "vitest";
import { startServer, type TestServer } from "../support/server.ts";
import { everybodyLeaves, makeFriends, PASSWORD, Person, refusal } from "./support/people.ts";

const KEY = "a key for this test only";

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ env: { GOCHAT_ADMIN_KEY: KEY } });
});
afterAll(async () => {
  await everybodyLeaves();
  await server?.dispose();
});

async function admin<T>(method: string, path: string, body?: object): Promise<T> {
  const response = await fetch(`${server.url}/api/admin${path}`, {
    method,
    headers: { "x-admin-key": KEY, "Content-Type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) {
    throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  }
  return (await response.json()) as T;
}

describe("what people see of admins", () => {
  it("a welcome once, an announcement to everyone and one to a conversation", async ({ expect }) => {
    const [ana, ben, guest] = [
      await Person.register(server),
      await Person.register(server),
      await Person.guest(server),
    ];
    for (const person of [ana, ben, guest]) {
      await person.event("notice", (notice) => notice.kind === "welcome");
    }
    const id = await makeFriends(ana, ben);
    await admin("POST", "/announcements", { text: "for you two", conversationId: id });
    await admin("POST", "/announcements", { text: "for all" });
    for (const person of [ana, ben, guest]) {
      const told = () =>
        person.all("notice").flatMap((notice) => (notice.kind === "announcement" ? [notice.text] : []));
      const meant = person === guest ? ["for all"] : ["for all", "for you two"];
      // The bus has no order.
      await person.until("the announcements", () => told().length === meant.length);
      expect(told().toSorted()).toEqual(meant);
      expect(person.all("notice").filter((notice) => notice.kind === "welcome")).toHaveLength(1);
    }
  });

  it("a ban ends the session for good, and an unban lets in again", async ({ expect }) => {
    const ana = await Person.register(server);
    await admin("POST", `/users/${ana.userId}/ban`, { reason: "test" });
    await ana.event("connection", (connection) => connection.reason === "banned");
    const again = new Person(server, ana.username);
    expect(await refusal(again.chat.login({ username: ana.username, password: PASSWORD }))).toBe("BANNED");
    await admin("POST", `/users/${ana.userId}/unban`);
    await again.chat.login({ username: ana.username, password: PASSWORD });
    await again.chat.ready();
  });

  it("a state in which nothing waits for long", async ({ expect }) => {
    const ana = await Person.register(server);
    await ana.event("notice");
    type State = { outbox: { count: number }; deadLetters: number; consumers: { topic: string; handled: number }[] };
    const state = await admin<State>("GET", "/state");
    expect(state.deadLetters).toBe(0);
    expect(state.consumers.find(({ topic }) => topic === "gochat.notifications")?.handled).toBeGreaterThan(0);
  });
});

/**
 * A server with PLANETSCALE_REPLICA_URL, between two databases that differ as no replica ever would: which one has answered shows in the
 * answer. What the replica is never asked shows in what its bridge has counted.
 */
import { afterAll, beforeAll, describe, it } from "vitest";
import { systemClock } from "../../src/platform/clock.ts";
import { newId } from "../../src/platform/ids.ts";
import { mysqlDatabase } from "../../src/repo/mysql.ts";
import { repositoriesOn } from "../../src/repo/repositories.ts";
import { everybodyLeaves, makeFriends, PASSWORD, Person, refusal } from "../e2e/support/people.ts";
import { uniqueName } from "../support/names.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { ownMysql, type TestMysql } from "./support/mysql.ts";

let primary: TestMysql;
let replica: TestMysql;
let server: TestServer;

beforeAll(async () => {
  [primary, replica] = await Promise.all([ownMysql(), ownMysql()]);
  server = await startServer({
    env: { SQL: "planetscale", PLANETSCALE_URL: primary.url, PLANETSCALE_REPLICA_URL: replica.url },
  });
});
afterAll(async () => {
  await everybodyLeaves();
  await server?.dispose();
  await Promise.all([primary?.dispose(), replica?.dispose()]);
});

interface Account {
  readonly userId: string;
  readonly username: string;
  readonly displayName: string;
}

/** An account that only this database has. */
async function accountIn(mysql: TestMysql, account: Account): Promise<void> {
  const { users } = repositoriesOn(mysqlDatabase(mysql.primary.client), systemClock);
  const rest = { passwordHash: "$scrypt$x", isGuest: false };
  const created = await users.create({ ...account, ...rest, eventId: newId(Date.now()), now: Date.now() });
  if (!created.ok) {
    throw new Error(created.fault.name);
  }
}

/** How many statements the bridge of a database has answered. */
async function statementsOf(mysql: TestMysql): Promise<number> {
  const metrics = await (await fetch(new URL("/metrics", new URL(mysql.url).origin))).text();
  const counts = metrics.matchAll(/^bridge_request_duration_seconds_count\{dialect="planetscale",.*\} (\d+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

async function rowsIn(mysql: TestMysql, table: string): Promise<number> {
  const { rows } = await mysql.primary.client.execute<{ n: number }>(`select count(*) as n from ${table}`);
  return Number(rows[0]?.n);
}

describe("a server with a replica", () => {
  it("searches users there, although the primary knows better", async ({ expect }) => {
    const ana = await Person.register(server);
    await accountIn(replica, { userId: ana.userId, username: ana.username, displayName: "As it was" });
    await ana.chat.call("PATCH", "/users/me", { displayName: "As it is" });
    const asked = await statementsOf(replica);
    const found = await ana.chat.users.search(ana.username);
    expect(found.items).toMatchObject([{ userId: ana.userId, displayName: "As it was" }]);
    expect(await statementsOf(replica)).toBe(asked + 1);
    // What one has just done, one wants to see.
    expect(await ana.chat.users.get(ana.userId)).toMatchObject({ displayName: "As it is" });
    expect(await ana.chat.call("GET", "/users/me")).toMatchObject({ displayName: "As it is" });
    expect(await statementsOf(replica)).toBe(asked + 1);
  });

  it("knows nobody by it who is not in the primary, and lets its names be taken", async ({ expect }) => {
    const ana = await Person.register(server);
    const ghost = { userId: newId(Date.now()), username: uniqueName("ghost"), displayName: "Nobody" };
    await accountIn(replica, ghost);
    expect((await ana.chat.users.search(ghost.username)).items).toMatchObject([{ userId: ghost.userId }]);
    expect(await refusal(ana.chat.users.get(ghost.userId))).toBe("USER_NOT_FOUND");
    expect(await refusal(ana.chat.friends.request(ghost.userId))).toBe("USER_NOT_FOUND");
    const taker = new Person(server, ghost.username);
    const before = await rowsIn(primary, "users");
    const { userId } = await taker.chat.register({ username: ghost.username, password: PASSWORD });
    expect(userId).not.toBe(ghost.userId);
    expect(await rowsIn(primary, "users")).toBe(before + 1);
  });

  it("asks it nothing while people register, befriend, write, read and look things up", async ({ expect }) => {
    const asked = await statementsOf(replica);
    const users = await rowsIn(replica, "users");
    const counted = asked + 1; // That was one of ours.
    const [ana, ben] = [await Person.register(server), await Person.register(server)];
    const id = await makeFriends(ana, ben);
    const { messageId } = await ana.in(id).send("helo").accepted;
    await ana.in(id).edit(messageId, "hello");
    await ana.event("stored", (event) => event.messageId === messageId);
    await ben.in(id).readNow(1);
    await ana.event("receipt", (event) => event.conversationId === id);
    const back = await ben.onAnotherDevice(server);
    expect((await back.chat.listConversations()).items.map((item) => item.conversation.conversationId)).toContain(id);
    expect(await back.in(id).history()).toMatchObject([{ content: "hello" }]);
    expect(await back.in(id).edits(messageId)).toMatchObject([{ content: "helo" }]);
    expect((await back.chat.friends.list()).items).toMatchObject([{ user: { userId: ana.userId } }]);
    expect(await statementsOf(replica)).toBe(counted);

    for (const table of ["friendships", "messages", "message_edits", "user_read_pointers"]) {
      expect(await rowsIn(primary, table), table).toBeGreaterThan(0);
      expect(await rowsIn(replica, table), table).toBe(0);
    }
    expect(await rowsIn(replica, "users")).toBe(users);
    expect(server.output).not.toContain("the replica of SQL did not answer");
  });

  it("searches in the primary when the replica is away, and nothing counts as down", async ({ expect }) => {
    const ana = await Person.register(server);
    await accountIn(replica, { userId: ana.userId, username: ana.username, displayName: "As it was" });
    await ana.chat.call("PATCH", "/users/me", { displayName: "As it is" });
    expect((await ana.chat.users.search(ana.username)).items).toMatchObject([{ displayName: "As it was" }]);
    await replica.stop();
    for (let search = 0; search < 20; search++) {
      expect((await ana.chat.users.search(ana.username)).items).toMatchObject([{ displayName: "As it is" }]);
    }
    await expect.poll(() => server.output).toContain("the replica of SQL did not answer");
    expect(await (await fetch(`${server.url}/health`)).json()).toMatchObject({ status: "ok", checks: { sql: "ok" } });
    expect(await ana.chat.users.get(ana.userId)).toMatchObject({ displayName: "As it is" });
  });
});

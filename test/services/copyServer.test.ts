/** SQL of a server goes to MySQL and comes back, as docs/operations.md tells it; and what `npm run db:copy` does not do. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, it, onTestFinished } from "vitest";
import { sqliteSide } from "../../scripts/copy/sqliteSide.ts";
import { everybodyLeaves, makeFriends, PASSWORD, Person } from "../e2e/support/people.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { type EmptyMysql, emptyMysql } from "./support/mysql.ts";
import { type Ended, refusal, runScript } from "./support/scripts.ts";

/** Six starts of a server, and as many runs of the script. */
const WITHIN_MS = 5 * 60_000;

afterEach(everybodyLeaves);

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "gochat-copy-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function mysqlOfThisTest(): Promise<EmptyMysql> {
  const mysql = await emptyMysql();
  onTestFinished(() => mysql.dispose());
  return mysql;
}

const copy = (from: string, to: string, url: string, ...more: string[]): Promise<Ended> =>
  runScript("copy/main.ts", ["--from", from, "--to", to, ...more], { PLANETSCALE_URL: url });

const nameOf = (mysql: EmptyMysql): string => `MySQL at ${new URL(mysql.url).host}`;

/** A server of this test, on a state folder that outlives it. */
async function serverOn(dataDir: string, env: Record<string, string> = {}): Promise<TestServer> {
  const server = await startServer({ dataDir, env });
  onTestFinished(() => server.dispose());
  return server;
}

/** Everybody has left; the server has ended as it should. */
async function stop(server: TestServer): Promise<void> {
  await everybodyLeaves();
  const { code } = await server.stop();
  if (code !== 0) {
    throw new Error(`the server ended with ${code}:\n${server.output}`);
  }
}

/** The same account, on a device that the server has not seen. */
async function signIn(server: TestServer, username: string): Promise<Person> {
  const person = new Person(server, username);
  await person.chat.login({ username, password: PASSWORD });
  await person.chat.ready();
  return person;
}

/** What somebody sees of the conversations with these ids, and of the friends. */
async function seenBy(person: Person, ids: readonly string[], messageId: string): Promise<unknown> {
  const [list, friends, me] = await Promise.all([
    person.chat.listConversations(),
    person.chat.friends.list(),
    person.chat.users.get(person.userId),
  ]);
  const items = list.items.filter((item) => ids.includes(item.conversation.conversationId));
  return {
    profile: me,
    friends: friends.items,
    list: items.map(({ conversation, peer, unreadCount, readSeqId, pinned, lastMessage }) => ({
      conversation,
      peer,
      unreadCount,
      readSeqId,
      pinned,
      last: lastMessage?.content,
    })),
    histories: await Promise.all(ids.map(async (id) => await person.in(id).history())),
    edits: await person.in(ids[0] ?? "").edits(messageId),
  };
}

/** The lines of a copy, by table: how many rows it has brought. */
function countsIn({ stdout }: Ended): Map<string, number> {
  const lines = [...stdout.matchAll(/^(\w+): (\d+)$/gm)];
  return new Map(lines.map(([, table = "", count]) => [table, Number(count)]));
}

describe("a server whose SQL goes to MySQL and comes back", () => {
  it(
    "has everything that it had, each time, and what was done meanwhile",
    async ({ expect }) => {
      const folder = newFolder();
      const mysql = await mysqlOfThisTest();
      const onMysql = { SQL: "planetscale", PLANETSCALE_URL: mysql.url };

      const first = await serverOn(folder);
      const [ana, ben] = [await Person.register(first), await Person.register(first)];
      const direct = await makeFriends(ana, ben);
      const { conversationId: group } = await ana.chat.createGroup({ name: "Movers", memberIds: [ben.userId] });
      const ids = [direct, group];
      const { messageId } = await ana.in(direct).send("helo").accepted;
      await ana.in(direct).edit(messageId, "hello");
      await ana.say(direct, "it's \\ \u{1F600}\nÜnal");
      await ben.say(group, "to all");
      await ben.in(direct).readNow(1);
      await ben.in(group).setSettings({ pinned: true });
      await ana.until("both are in SQL", () => storedBy(ana) === 2);
      await ben.until("it is in SQL", () => storedBy(ben) === 1);
      const people = [ana.username, ben.username] as const;
      const look = async (server: TestServer): Promise<unknown[]> => {
        const seen: unknown[] = [];
        for (const username of people) {
          seen.push(await seenBy(await signIn(server, username), ids, messageId));
        }
        return seen;
      };
      const before = await look(first);
      expect(before[1]).toMatchObject({
        friends: [{ user: { userId: ana.userId } }],
        list: [
          { conversation: { name: "Movers", headSeqId: 1 }, pinned: true, unreadCount: 0, last: "to all" },
          { peer: { userId: ana.userId }, unreadCount: 1, readSeqId: 1 },
        ],
        edits: [{ content: "helo" }],
      });
      const inUse = await copy(folder, "mysql", mysql.url);
      expect(inUse).toMatchObject({ status: 1, stdout: "" });
      expect(inUse.stderr).toMatch(/^The state folder \S+ is in use by a running server \(process \d+\): [^\n]*\n$/);
      await stop(first);

      const there = await copy(folder, "mysql", mysql.url);
      expect(there).toMatchObject({ status: 0, stderr: "" });
      expect(there.stdout).toMatch(/^attachments: 0\n/);
      expect(there.stdout.endsWith(`\n${nameOf(mysql)} has everything that ${folder} has.\n`)).toBe(true);
      const counts = countsIn(there);
      expect(Object.fromEntries(counts)).toMatchObject({ users: 2, conversations: 3, messages: 3, message_edits: 1 });
      expect(await copy(folder, "mysql", mysql.url)).toEqual(
        refusal(`${nameOf(mysql)} has rows already: --replace removes them first.`),
      );
      const again = await copy(folder, "mysql", mysql.url, "--replace");
      expect(again).toEqual(there);

      const second = await serverOn(folder, onMysql);
      expect(await look(second)).toEqual(before);
      const [anaThere, benThere] = [await signIn(second, people[0]), await signIn(second, people[1])];
      await anaThere.say(direct, "from MySQL");
      await benThere.until("the message", () =>
        benThere.received(direct).some(({ content }) => content === "from MySQL"),
      );
      const cat = await Person.register(second);
      await anaThere.in(group).addMembers([cat.userId]);
      await anaThere.until("it is in SQL", () => storedBy(anaThere) === 1);
      const meanwhile = await look(second);
      expect(meanwhile[0]).toMatchObject({
        list: expect.arrayContaining([
          expect.objectContaining({ last: "from MySQL" }),
          expect.objectContaining({ conversation: expect.objectContaining({ name: "Movers", memberCount: 3 }) }),
        ]) as unknown,
      });
      await stop(second);

      // The rows of the folder are old now: no server starts on them, and no copy takes them.
      await expect(startServer({ dataDir: folder })).rejects.toThrow(
        /the rows of this state folder are in MySQL: copy them \(npm run db:copy -- --from mysql --to \S+ --replace\)/,
      );
      const wrongWay = await copy(folder, "mysql", mysql.url, "--replace");
      expect(wrongWay).toMatchObject({ status: 1, stdout: "" });
      expect(wrongWay.stderr).toMatch(
        /^The rows of \S+ are in MySQL, and those in D1 are older: nothing was copied\. [^\n]*\n$/,
      );

      expect(await copy("mysql", folder, mysql.url)).toEqual(
        refusal(`${folder} has rows already: --replace removes them first.`),
      );
      const back = await copy("mysql", folder, mysql.url, "--replace");
      expect(back).toMatchObject({ status: 0, stderr: "" });
      expect(back.stdout.endsWith(`\n${folder} has everything that ${nameOf(mysql)} has.\n`)).toBe(true);
      expect(Object.fromEntries(countsIn(back))).toMatchObject({ users: 3, messages: 4, message_edits: 1 });

      // Nobody needs MySQL any more.
      await mysql.stop();
      const third = await serverOn(folder);
      expect(await look(third)).toEqual(meanwhile);
      const catAgain = await signIn(third, cat.username);
      await catAgain.say(group, "home again");
      const anaAgain = await signIn(third, people[0]);
      expect((await anaAgain.in(group).history()).map(({ content }) => content)).toEqual(["to all", "home again"]);
      await stop(third);
    },
    WITHIN_MS,
  );
});

/** How many messages of this person SQL has. */
function storedBy(person: Person): number {
  return new Set(person.all("stored").map(({ messageId }) => messageId)).size;
}

describe("npm run db:copy", () => {
  it("says how it is called, and ends well only when it was asked that", async ({ expect }) => {
    const help = await runScript("copy/main.ts", ["--help"]);
    expect(help).toMatchObject({ status: 0, stderr: "" });
    expect(help.stdout).toMatch(/^npm run db:copy -- --from SIDE --to SIDE \[--replace\]\n/);
    for (const args of [["--from", "a", "--to", "a"], ["--sideways"]]) {
      expect(await runScript("copy/main.ts", args)).toEqual(
        refusal(`db:copy needs --from and --to, two different ones.\n${help.stdout.trimEnd()}`),
      );
    }
  });

  it("says in one sentence that a side is not there, and makes no file for it", async ({ expect }) => {
    const folder = newFolder();
    const mysql = await mysqlOfThisTest();
    const [missing, misspelt] = [join(folder, "missing.sqlite"), join(folder, "misspelt")];
    expect(await copy(missing, "mysql", mysql.url)).toEqual(refusal(`There is no ${missing} to copy from.`));
    expect(await copy("mysql", misspelt, mysql.url)).toEqual(
      refusal(`There is no state folder ${misspelt}; the name of a new file ends with .sqlite or .db.`),
    );
    expect(await runScript("copy/main.ts", ["--from", "mysql", "--to", missing])).toEqual(
      refusal(
        "The settings are not right: PLANETSCALE_URL must be an https:// address (http:// on this machine), since SQL is planetscale.",
      ),
    );
    await mysql.stop();
    expect(await copy("mysql", missing, mysql.url)).toEqual(
      refusal(`MySQL does not answer at ${new URL(mysql.url).host} (ECONNREFUSED).`),
    );
    await expect(sqliteSide(missing, "source")).rejects.toThrow(`There is no ${missing} to copy from.`);
  });
});

/** All of SQL from a MySQL to a D1 and on to another MySQL: what arrives is what was sent off. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, it } from "vitest";
import { copyAll } from "../../scripts/copy/copy.ts";
import { mysqlSide } from "../../scripts/copy/mysqlSide.ts";
import { PAGE_ROWS, type Row, type Side, TABLES, type Table } from "../../scripts/copy/side.ts";
import { sqliteSide } from "../../scripts/copy/sqliteSide.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { mysqlDatabase } from "../../src/repo/mysql.ts";
import { repositoriesOn } from "../../src/repo/repositories.ts";
import {
  asked,
  conversation,
  groupId,
  invite,
  member,
  message,
  NOW,
  sent,
  state,
} from "../support/repo/recordMakers.ts";
import { ownMysql } from "./support/mysql.ts";

const folder = mkdtempSync(join(tmpdir(), "gochat-copy-"));
const [first, second] = await Promise.all([ownMysql(), ownMysql()]);
afterAll(async () => {
  await Promise.all([first.dispose(), second.dispose()]);
  rmSync(folder, { recursive: true, force: true });
});

async function rowsOf(side: Side, table: Table): Promise<Row[]> {
  const all: Row[] = [];
  for await (const rows of side.pages(table)) {
    all.push(...rows);
  }
  // MySQL compares bytes, SQLite too; nobody has to rely on it here.
  return all.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

it("a copy to D1 and back has every row as it was", async ({ expect }) => {
  const repo = repositoriesOn(mysqlDatabase(first.primary.client), systemClock);
  const account = { email: "Ä@example.org", passwordHash: "$scrypt$x", isGuest: false, eventId: "e", now: NOW };
  await repo.users.create({ ...account, userId: "u1", username: "Ünal", displayName: "it's \\ \u{1F600}\n" });
  const ids = [groupId(), groupId(), groupId()];
  for (const id of ids) {
    const head = [conversation(1, state(id)), member(id, 2, "u1"), invite(id, 3, {}), asked(id, 4, "accepted")];
    const texts = Array.from({ length: PAGE_ROWS }, (_, i) =>
      sent(5 + i, message(id, i + 1, { content: `\u0000'${i}` })),
    );
    await repo.persistence.applyRoomRecords([...head, ...texts]);
  }

  const [from, file, to] = [
    await mysqlSide(first.url),
    await sqliteSide(join(folder, "dump.sqlite"), "target"),
    await mysqlSide(second.url),
  ];
  await copyAll(from, file, false, () => undefined);
  await copyAll(file, to, false, () => undefined);
  for (const table of TABLES) {
    expect(await rowsOf(to, table), table.name).toEqual(await rowsOf(from, table));
  }
  await expect(copyAll(file, to, false, () => undefined)).rejects.toThrow(/--replace/);
  await copyAll(file, to, true, () => undefined);

  const moved = repositoriesOn(mysqlDatabase(second.primary.client), systemClock);
  expect(await moved.users.findByLogin("ä@EXAMPLE.org")).toMatchObject({
    userId: "u1",
    displayName: "it's \\ \u{1F600}\n",
  });
  const newest = await moved.conversations.messages(ids[0] ?? "", { limit: 1 });
  expect(newest).toMatchObject([{ seqId: PAGE_ROWS, content: `\u0000'${PAGE_ROWS - 1}` }]);
  await Promise.all([from, file, to].map((side) => side.close()));
});

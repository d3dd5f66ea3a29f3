import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, it } from "vitest";
import { WORLD_ROOM_ID } from "../../src/domain/records.ts";
import { StartError } from "../start/errors.ts";
import { copyAll } from "./copy.ts";
import { isFresh, PAGE_ROWS, type Row, type Side, TABLES, type Table } from "./side.ts";
import { sqliteSide } from "./sqliteSide.ts";

const folder = mkdtempSync(join(tmpdir(), "gochat-copy-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
function newFile(): Promise<Side> {
  return sqliteSide(join(folder, `${files++}.sqlite`));
}

function table(name: string): Table {
  const found = TABLES.find((one) => one.name === name);
  if (found === undefined) {
    throw new Error(name);
  }
  return found;
}

/** A row of its table with these cells; numbers are 1, texts are empty. */
function row(of: Table, cells: Readonly<Record<string, string | number | null>>): Row {
  return of.columns.map((column) => cells[column] ?? (/_at$|_id$|^(?:seq|log)/.test(column) ? 1 : ""));
}

async function rowsOf(side: Side, of: Table): Promise<Row[]> {
  const all: Row[] = [];
  for await (const rows of side.pages(of)) {
    all.push(...rows);
  }
  return all;
}

async function filled(messages: number): Promise<Side> {
  const side = await newFile();
  const of = table("messages");
  await side.insert(
    of,
    Array.from({ length: messages }, (_, seq) =>
      row(of, { conversation_id: "group_a", seq_id: seq + 1, message_id: `m${seq}`, content: `"\u{1F600}\\u0000'"` }),
    ),
  );
  return side;
}

describe("a copy", () => {
  it("has every row as it was, the world room of the source among them", async ({ expect }) => {
    const [from, to] = [await filled(2 * PAGE_ROWS + 1), await newFile()];
    const lines: string[] = [];
    await copyAll(from, to, false, (line) => lines.push(line));
    for (const one of TABLES) {
      expect(await rowsOf(to, one), one.name).toEqual(await rowsOf(from, one));
    }
    expect((await rowsOf(to, table("conversations"))).map(([id]) => id)).toEqual([WORLD_ROOM_ID]);
    expect(lines).toContain(`messages: ${2 * PAGE_ROWS + 1}`);
    await Promise.all([from.close(), to.close()]);
  });

  it("is refused by a target that has something, until it is told to replace it", async ({ expect }) => {
    const [from, to] = [await filled(1), await filled(2)];
    expect(await isFresh(to)).toBe(false);
    await expect(copyAll(from, to, false, () => undefined)).rejects.toThrow(/--replace/);
    expect(await to.count(table("messages"))).toBe(2);
    await copyAll(from, to, true, () => undefined);
    expect(await to.count(table("messages"))).toBe(1);
    await Promise.all([from.close(), to.close()]);
  });

  it("does not count as whole when somebody writes meanwhile", async ({ expect }) => {
    const [from, to] = [await filled(1), await newFile()];
    const racing: Side = {
      ...to,
      async insert(of, rows) {
        await to.insert(of, rows);
        if (of.name === "messages") {
          await from.insert(of, [row(of, { conversation_id: "group_a", seq_id: 99 })]);
        }
      },
    };
    await expect(copyAll(from, racing, false, () => undefined)).rejects.toThrow(StartError);
    await Promise.all([from.close(), to.close()]);
  });

  it("needs a state folder that a server has been started on", async ({ expect }) => {
    await expect(sqliteSide(mkdtempSync(join(folder, "empty-")))).rejects.toThrow(/no database yet/);
  });
});

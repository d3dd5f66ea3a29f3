import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
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
  return sqliteSide(join(folder, `${files++}.sqlite`), "target");
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

  it("of nothing replaces nothing", async ({ expect }) => {
    const [from, to] = [await newFile(), await filled(1)];
    await expect(copyAll(from, to, true, () => undefined)).rejects.toThrow(/nothing was copied/);
    expect(await to.count(table("messages"))).toBe(1);
    await Promise.all([from.close(), to.close()]);
  });

  it("needs a source that is there, and is one of ours", async ({ expect }) => {
    const path = (name: string): string => join(folder, name);
    await expect(sqliteSide(path("misspelt.sqlite"), "source")).rejects.toThrow(/There is no .*misspelt/);
    expect(existsSync(path("misspelt.sqlite"))).toBe(false);
    writeFileSync(path("text.sqlite"), "no database");
    writeFileSync(path("empty.sqlite"), "");
    const other = new DatabaseSync(path("other.sqlite"));
    other.exec("CREATE TABLE pets (name TEXT)");
    other.close();
    await expect(sqliteSide(path("empty.sqlite"), "source")).rejects.toThrow(/something else/);
    for (const end of ["source", "target"] as const) {
      await expect(sqliteSide(path("text.sqlite"), end)).rejects.toThrow(/is no database of SQLite/);
      await expect(sqliteSide(path("other.sqlite"), end)).rejects.toThrow(/something else/);
    }
  });

  it("between a state folder and MySQL leaves word where the rows are", async ({ expect }) => {
    const stateFolder = mkdtempSync(join(folder, "state-"));
    const mine = { ...(await filled(1)), stateFolder };
    const mysql = { ...(await newFile()), engine: "planetscale" as const };
    const note = (): string => readFileSync(join(stateFolder, "rows-in"), "utf8");
    const torn = { ...mysql, insert: () => Promise.reject(new Error("torn")) };
    await expect(copyAll(mine, torn, false, () => undefined)).rejects.toThrow("torn");
    expect(note()).toBe("d1\n");
    await copyAll(mine, mysql, true, () => undefined);
    expect(note()).toBe("d1 planetscale\n");
    await copyAll(mysql, mine, true, () => undefined);
    expect(note()).toBe("d1 planetscale\n");
    writeFileSync(join(stateFolder, "rows-in"), "planetscale\n");
    await expect(copyAll(mine, mysql, true, () => undefined)).rejects.toThrow(/are older/);
    await Promise.all([mine.close(), mysql.close()]);
  });

  it("makes no file where a state folder was meant", async ({ expect }) => {
    await expect(sqliteSide(join(folder, ".dta"), "target")).rejects.toThrow(/no state folder/);
    expect(existsSync(join(folder, ".dta"))).toBe(false);
  });

  it("needs a state folder that a server has been started on", async ({ expect }) => {
    await expect(sqliteSide(mkdtempSync(join(folder, "empty-")), "source")).rejects.toThrow(/no database yet/);
  });
});

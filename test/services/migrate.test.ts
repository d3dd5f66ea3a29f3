/** `npm run db:migrate`: a database gets its tables, and whoever runs it is told what is wrong. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it, onTestFinished } from "vitest";
import { TABLES } from "../../scripts/copy/side.ts";
import { d1File } from "../../scripts/start/d1File.ts";
import { WORLD_ROOM_ID } from "../../src/domain/records.ts";
import { planetscaleClient } from "../../src/repo/planetscale.ts";
import { type EmptyMysql, emptyMysql } from "./support/mysql.ts";
import { type Ended, refusal, runScript } from "./support/scripts.ts";

const MIGRATIONS = join(import.meta.dirname, "../../schema/migrations");
const OUR_TABLES = TABLES.map(({ name }) => name);

const migrationsOf = (dialect: "mysql" | "sqlite"): string[] =>
  readdirSync(join(MIGRATIONS, dialect)).filter((name) => name.endsWith(".sql"));

const migrate = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> =>
  runScript("migrate.ts", args, env);

async function mysqlOfThisTest(): Promise<EmptyMysql> {
  const mysql = await emptyMysql();
  onTestFinished(() => mysql.dispose());
  return mysql;
}

type Row = Readonly<Record<string, unknown>>;

/** Everything that a migration could change: columns, books, and the one row that migrations make. */
async function stateOf(url: string): Promise<{ columns: Row[]; books: Row[]; rooms: Row[] }> {
  const client = planetscaleClient(url);
  const rows = async (query: string): Promise<Row[]> => (await client.execute<Row>(query)).rows;
  return {
    columns: await rows(
      `select table_name as tab, column_name as col, column_type as type, is_nullable as nullable, column_default as preset
       from information_schema.columns where table_schema = database() order by table_name, ordinal_position`,
    ),
    books: await rows("select * from __drizzle_migrations order by id"),
    rooms: await rows("select * from conversations"),
  };
}

async function tablesAt(url: string): Promise<string[]> {
  const query = "select table_name as tab from information_schema.tables where table_schema = database()";
  const { rows } = await planetscaleClient(url).execute<Row>(query);
  return rows.map(({ tab }) => String(tab));
}

describe("npm run db:migrate for MySQL", () => {
  const DONE: Ended = { status: 0, stdout: "MySQL has all migrations.\n", stderr: "" };

  it("makes all tables in an empty database, and changes nothing where they are", async ({ expect }) => {
    const { url } = await mysqlOfThisTest();
    const env = { SQL: "planetscale", PLANETSCALE_URL: url };
    expect(await tablesAt(url)).toEqual([]);
    expect(await migrate([], env)).toEqual(DONE);
    expect((await tablesAt(url)).toSorted()).toEqual([...OUR_TABLES, "__drizzle_migrations"].toSorted());
    const made = await stateOf(url);
    expect(made.books).toHaveLength(migrationsOf("mysql").length);
    expect(made.rooms).toMatchObject([{ conversation_id: WORLD_ROOM_ID, type: 3 }]);
    expect(await migrate([], env)).toEqual(DONE);
    expect(await stateOf(url)).toEqual(made);
  });

  it("says in one sentence that the bridge is away", async ({ expect }) => {
    const { url, stop } = await mysqlOfThisTest();
    await stop();
    const { host } = new URL(url);
    expect(await migrate([], { SQL: "planetscale", PLANETSCALE_URL: url })).toEqual(
      refusal(`MySQL does not answer at ${host} (ECONNREFUSED).`),
    );
  });

  it("says in one sentence, without the password, that the bridge does not let it in", async ({ expect }) => {
    const { url } = await mysqlOfThisTest();
    const wrong = new URL(url);
    wrong.password = "another-password";
    const ended = await migrate([], { SQL: "planetscale", PLANETSCALE_URL: wrong.href });
    expect(ended).toEqual(
      refusal(
        `The migrations of MySQL at ${wrong.host} were not applied (MySQL: UNAUTHENTICATED, HTTP 401): is PLANETSCALE_URL right?`,
      ),
    );
    expect(await tablesAt(url)).toEqual([]);
  });
});

describe("npm run db:migrate with settings that are not right", () => {
  it("says what there is when nothing is asked of it", async ({ expect }) => {
    expect(await migrate([])).toEqual(
      refusal(
        "npm start migrates its own D1. For the one at Cloudflare: npm run db:migrate -- --remote. For MySQL: SQL=planetscale and PLANETSCALE_URL.",
      ),
    );
  });

  it("names the setting, what it must be, and nothing else", async ({ expect }) => {
    const wrong = "The settings are not right: ";
    expect(await migrate([], { SQL: "mysql" })).toEqual(refusal(`${wrong}SQL must be one of: d1, planetscale.`));
    expect(await migrate([], { SQL: "planetscale" })).toEqual(
      refusal(
        `${wrong}PLANETSCALE_URL must be an https:// address (http:// on this machine), since SQL is planetscale.`,
      ),
    );
    expect(await migrate([], { SQL: "planetscale", PLANETSCALE_URL: "https://example.org" })).toEqual(
      refusal(
        `${wrong}PLANETSCALE_URL must hold user and password: https://user:password@host, with %25 for a % in them.`,
      ),
    );
  });
});

describe("npm run db:migrate for D1", () => {
  it("hands what stands behind -- to wrangler, which makes all tables, once", async ({ expect }) => {
    const { folder, env } = wranglerOfThisTest();
    const args = ["--local", "--persist-to", join(folder, "state")];
    const first = await migrate(args, env);
    expect(first.status, first.stdout + first.stderr).toBe(0);
    const made = readD1(join(folder, "state"));
    expect(made.tables).toEqual(expect.arrayContaining(OUR_TABLES));
    expect(made.books.map(({ name }) => name)).toEqual(migrationsOf("sqlite").toSorted());
    expect(made.rooms).toMatchObject([{ conversation_id: WORLD_ROOM_ID, type: 3 }]);
    const second = await migrate(args, env);
    expect(second.status, second.stdout + second.stderr).toBe(0);
    expect(readD1(join(folder, "state"))).toEqual(made);
  });

  it("ends as wrangler ends", async ({ expect }) => {
    const { status, stderr } = await migrate(["--sideways"], wranglerOfThisTest().env);
    expect(status).toBe(1);
    expect(stderr).toContain("Unknown argument: sideways");
  });
});

/** A folder for all that wrangler writes: its logs and settings are no concern of this account's. */
function wranglerOfThisTest(): { folder: string; env: Record<string, string> } {
  const folder = mkdtempSync(join(tmpdir(), "gochat-migrate-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const own = { HOME: folder, XDG_CONFIG_HOME: join(folder, "config") };
  return { folder, env: { ...own, CI: "true", NO_COLOR: "1", WRANGLER_SEND_METRICS: "false" } };
}

/** @throws Error when no file below the folder has our tables */
function readD1(folder: string): { tables: unknown[]; books: Row[]; rooms: Row[] } {
  const file = d1File(folder);
  if (file === undefined) {
    throw new Error(`no D1 of ours below ${folder}`);
  }
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").all();
    return {
      tables: tables.map(({ name }) => name),
      books: database.prepare("SELECT * FROM d1_migrations ORDER BY id").all(),
      rooms: database.prepare("SELECT * FROM conversations").all(),
    };
  } finally {
    database.close();
  }
}

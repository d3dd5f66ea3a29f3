/** PlanetScale's dialect, judged by @planetscale/database, in front of a real MariaDB. */
import { randomUUID } from "node:crypto";
import { Client, type Connection, DatabaseError } from "@planetscale/database";
import { afterAll, beforeAll, describe, it } from "vitest";
import { bridgeWith, type TestBridge } from "./support/bridge.ts";
import { serviceUrl } from "./support/addresses.ts";

const TRANSACTION_TIMEOUT_MS = 400;
const table = `bridge_${randomUUID().replaceAll("-", "")}`;
const values = `${table}_values`;

let bridge: TestBridge;
let db: Client;
let connection: Connection;

beforeAll(async () => {
  bridge = await bridgeWith({
    MYSQL_URL: serviceUrl("MYSQL_URL"),
    MYSQL_CONNECTIONS: "8",
    MYSQL_MAX_ROWS: "50",
    MYSQL_MAX_RESULT_BYTES: "20000",
    MYSQL_QUERY_TIMEOUT_MS: "600",
    MYSQL_TRANSACTION_TIMEOUT_MS: String(TRANSACTION_TIMEOUT_MS),
    BRIDGE_SQL_USERS: "app:pass,other:pass",
  });
  db = new Client({ url: bridge.url.replace("//", "//app:pass@") });
  connection = db.connection();
  await connection.execute(
    `create table ${table} (id bigint unsigned auto_increment primary key, n int, f float, index (n))`,
  );
  await connection.execute(
    `create table ${values} (id bigint unsigned auto_increment primary key, n int, big bigint, price decimal(12,3),
      x double, f float, flag boolean, name varchar(100), body text, data json, bin varbinary(50), kind enum('a','b'),
      at datetime(3), day date)`,
  );
});

afterAll(async () => {
  await connection.execute(`drop table ${table}, ${values}`);
  await bridge.stop();
});

async function failure(work: Promise<unknown>): Promise<DatabaseError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof DatabaseError)) {
    throw new Error("no DatabaseError was thrown", { cause: error });
  }
  return error;
}

async function insert(n: number): Promise<string> {
  return (await connection.execute(`insert into ${table} (n) values (?)`, [n])).insertId;
}

async function count(n: number): Promise<unknown> {
  return (await connection.execute(`select count(*) as c from ${table} where n = ?`, [n])).rows[0];
}

describe("values", () => {
  it("come back as they went in, with PlanetScale's types", async ({ expect }) => {
    const name = 'it\'s \\ "quoted" \u0000 é 🙂 %_`';
    const written = await connection.execute(
      `insert into ${values} (id, n, big, price, x, f, flag, name, body, data, bin, kind, at, day)
       values (18446744073709551610, ?, 9007199254740993, 12345.678, ?, 0.5, ?, ?, '', ?, ?, 'b', ?, '2024-02-29')`,
      [
        -7,
        1.25,
        true,
        name,
        JSON.stringify({ a: [1, "é"] }),
        new Uint8Array([0, 1, 39, 92, 255]),
        new Date(1234567890123),
      ],
    );
    expect(written.insertId).toBe("18446744073709551610");
    expect(written.rowsAffected).toBe(1);
    const read = await connection.execute(`select * from ${values} where id = 18446744073709551610`);
    expect(read.rows).toEqual([
      {
        id: "18446744073709551610",
        n: -7,
        big: "9007199254740993",
        price: "12345.678",
        x: 1.25,
        f: 0.5,
        flag: 1,
        name,
        body: "",
        data: { a: [1, "é"] },
        bin: new Uint8Array([0, 1, 39, 92, 255]),
        kind: "b",
        at: "2009-02-13 23:31:30.123",
        day: "2024-02-29",
      },
    ]);
    expect(read.types).toMatchObject({ id: "UINT64", big: "INT64", price: "DECIMAL", data: "JSON", flag: "INT8" });
  });

  it("may be none", async ({ expect }) => {
    await connection.execute(`insert into ${values} (id) values (7)`);
    const read = await connection.execute(`select name, data, bin, at from ${values} where id = 7`);
    expect(read.rows).toEqual([{ name: null, data: null, bin: null, at: null }]);
    expect((await connection.execute(`select id from ${table} where n = 424242`)).rows).toEqual([]);
    expect((await connection.execute("select 1 as a", null, { as: "array" })).rows).toEqual([[1]]);
  });

  it("cannot leave their quotes, whatever the server's modes were", async ({ expect }) => {
    const hostile = "\\' or 1=1 -- ";
    expect((await connection.execute(`select ? as v`, [hostile])).rows).toEqual([{ v: hostile }]);
    const mode = (await connection.execute("select @@sql_mode as m, @@time_zone as z")).rows[0];
    expect(mode).toMatchObject({ z: "+00:00", m: expect.not.stringContaining("NO_BACKSLASH_ESCAPES") });
  });
});

describe("transactions", () => {
  it("commit, and roll back", async ({ expect }) => {
    await db.transaction(async (tx) => {
      await tx.execute(`insert into ${table} (n) values (2001)`);
      await tx.execute(`insert into ${table} (n) values (2001)`);
      expect(await count(2001)).toEqual({ c: "0" });
    });
    expect(await count(2001)).toEqual({ c: "2" });
    const thrown = db.transaction(async (tx) => {
      await tx.execute(`insert into ${table} (n) values (2002)`);
      throw new Error("changed my mind");
    });
    await expect(thrown).rejects.toThrow("changed my mind");
    expect(await count(2002)).toEqual({ c: "0" });
  });

  it("have savepoints", async ({ expect }) => {
    await db.transaction(async (tx) => {
      await tx.execute(`insert into ${table} (n) values (2003)`);
      await tx.execute("savepoint sp1");
      await tx.execute(`insert into ${table} (n) values (2004)`);
      await tx.execute("rollback to savepoint sp1");
    });
    expect([await count(2003), await count(2004)]).toEqual([{ c: "1" }, { c: "0" }]);
  });

  it("survive a statement that fails", async ({ expect }) => {
    await db.transaction(async (tx) => {
      await tx.execute(`insert into ${table} (n) values (2005)`);
      await expect(tx.execute("select nonsense from nowhere")).rejects.toThrow("errno 1146");
    });
    expect(await count(2005)).toEqual({ c: "1" });
  });

  it("end after their time, and nothing runs outside of them afterwards", async ({ expect }) => {
    const own = db.connection();
    await own.execute("begin");
    await own.execute(`insert into ${table} (n) values (2006)`);
    const rolledBack = async (): Promise<void> => {
      // A lock of the row would make this wait; the bridge ends the transaction by itself.
      await connection.execute(`update ${table} set f = 1 where n = 2006`);
    };
    await rolledBack();
    const late = await failure(own.execute(`insert into ${table} (n) values (2007)`));
    expect(late.body).toMatchObject({ code: "ABORTED" });
    expect((await failure(own.execute("commit"))).body).toMatchObject({ code: "ABORTED" });
    await own.execute("rollback");
    await own.execute(`insert into ${table} (n) values (2008)`);
    expect([await count(2006), await count(2007), await count(2008)]).toEqual([{ c: "0" }, { c: "0" }, { c: "1" }]);
  });

  it("are over when MySQL commits by itself", async ({ expect }) => {
    const own = db.connection();
    await own.execute("begin");
    await own.execute(`insert into ${table} (n) values (2009)`);
    await own.execute(`alter table ${table} comment = 'an implied commit'`);
    await own.execute("rollback");
    expect(await count(2009)).toEqual({ c: "1" });
  });

  it("take one statement at a time", async ({ expect }) => {
    const own = db.connection();
    await own.execute("begin");
    const [slow, second] = await Promise.allSettled([own.execute("select sleep(0.1)"), own.execute("select 1")]);
    expect([slow.status, second.status]).toEqual(["fulfilled", "rejected"]);
    await own.execute("rollback");
  });

  it("belong to the user who began them", async ({ expect }) => {
    const session = await execute("app", "begin", null);
    const stolen = await execute("other", `insert into ${table} (n) values (2010)`, session.session);
    expect(stolen.error).toMatchObject({ code: "ABORTED" });
    expect((await execute("app", "rollback", session.session)).error).toBeUndefined();
  });
});

describe("sessions", () => {
  it("keep what a statement left, and nobody else sees it", async ({ expect }) => {
    const own = db.connection();
    await own.execute("set @mine = 7");
    expect((await own.execute("select @mine as v")).rows).toEqual([{ v: "7" }]);
    for (let n = 0; n < 10; n++) {
      expect((await db.connection().execute("select @mine as v")).rows).toEqual([{ v: null }]);
    }
  });

  it("can be made and closed", async ({ expect }) => {
    const own = db.connection();
    await own.refresh();
    await own.execute("begin");
    await own.execute(`insert into ${table} (n) values (3001)`);
    const { session } = await execute("app", "select 1", null);
    expect(session).toMatchObject({ inTransaction: false });
    expect((await call("CloseSession", "app", { session })).status).toBe(200);
    await own.execute("rollback");
    expect(await count(3001)).toEqual({ c: "0" });
  });
});

describe("errors and limits", () => {
  it("have MySQL's numbers", async ({ expect }) => {
    const id = await insert(4001);
    const twice = await failure(connection.execute(`insert into ${table} (id) values (?)`, [id]));
    expect(twice.status).toBe(400);
    expect(twice.body).toMatchObject({
      code: "ALREADY_EXISTS",
      message: expect.stringContaining("(errno 1062) (sqlstate 23000)"),
    });
    expect((await failure(connection.execute("selec 1"))).message).toContain("errno 1064");
    expect((await failure(connection.execute("select 1; select 2"))).message).toContain("errno 1064");
    expect((await failure(connection.execute("kill 1"))).body).toMatchObject({ code: "UNIMPLEMENTED" });
  });

  it("end results that are too large, and the connection goes on", async ({ expect }) => {
    const rows = "select seq from seq_1_to_51";
    expect((await failure(connection.execute(rows))).body).toMatchObject({ code: "RESOURCE_EXHAUSTED" });
    expect((await connection.execute("select seq from seq_1_to_50")).size).toBe(50);
    expect((await failure(connection.execute("select repeat('x', 30000)"))).body).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
    });
  });

  it("end statements that take too long", async ({ expect }) => {
    expect((await failure(connection.execute("select sleep(5)"))).body).toMatchObject({ code: "DEADLINE_EXCEEDED" });
    expect((await connection.execute("select 1 as a")).rows).toEqual([{ a: 1 }]);
  });

  it("refuse wrong credentials and bodies in the client's words", async ({ expect }) => {
    const wrong = new Client({ url: bridge.url.replace("//", "//app:wrong@") });
    const refused = await failure(wrong.execute("select 1"));
    expect([refused.status, refused.body.code]).toEqual([401, "UNAUTHENTICATED"]);
    const bad = await call("Execute", "app", { query: 7 });
    expect([bad.status, await bad.json()]).toEqual([
      400,
      { error: { code: "INVALID_ARGUMENT", message: expect.any(String) } },
    ]);
    expect((await call("Nothing", "app", {})).status).toBe(405);
  });

  it("tell a database that is away from a statement that is wrong", async ({ expect }) => {
    const lonely = await bridgeWith({ MYSQL_URL: "mysql://app:app@127.0.0.1:1/app" });
    try {
      const client = new Client({ url: lonely.url.replace("//", "//app:pass@") });
      const error = await failure(client.execute("select 1"));
      expect([error.status, error.body.code]).toEqual([503, "UNAVAILABLE"]);
      // The client's ROLLBACK after a BEGIN that failed must not hide why.
      const transaction = await failure(client.transaction((tx) => tx.execute("select 1")));
      expect(transaction.status).toBe(503);
    } finally {
      await lonely.stop();
    }
  });

  it("bound how many work at the same time; the others wait", async ({ expect }) => {
    const sleeps = Array.from({ length: 20 }, () => db.connection().execute("select sleep(0.02) as s"));
    expect((await Promise.all(sleeps)).map(({ rows }) => rows)).toEqual(Array.from({ length: 20 }, () => [{ s: 0 }]));
  });
});

interface Answer {
  session: { id: string; inTransaction: boolean };
  error?: { code: string };
}

async function execute(user: string, query: string, session: unknown): Promise<Answer> {
  const answer = await call("Execute", user, { query, session });
  return (await answer.json()) as Answer;
}

function call(method: string, user: string, body: unknown): Promise<Response> {
  return fetch(`${bridge.url}/psdb.v1alpha1.Database/${method}`, {
    method: "POST",
    headers: { authorization: `Basic ${Buffer.from(`${user}:pass`).toString("base64")}` },
    body: JSON.stringify(body),
  });
}

import { DatabaseError } from "@planetscale/database";
import { describe, it } from "vitest";
import { resetBreakers } from "../telemetry/breaker.ts";
import { guarded, MysqlError, SqlUnavailable, violatedIndex } from "./failures.ts";
import { planetscaleClient, withoutStatement } from "./planetscale.ts";

const SECRET = "what a user wrote";

function refused(text: string, code = "UNKNOWN", status = 400): unknown {
  const message = `target: gochat.-.primary: vttablet: rpc error: ${text}: Sql: "insert into users values ('${SECRET}')"`;
  const cause = new DatabaseError(message, status, { code, message });
  return withoutStatement(new Error(`Failed query: insert\nparams: ${SECRET}`, { cause }));
}

describe("errors of MySQL", () => {
  it("are told without the statement", ({ expect }) => {
    const error = refused(`Duplicate entry '${SECRET}' for key 'users_email_lower' (errno 1062) (sqlstate 23000)`);
    expect(error).toBeInstanceOf(MysqlError);
    expect(error).toMatchObject({ errno: 1062, index: "users_email_lower" });
    expect(String(error)).not.toContain(SECRET);
    expect(JSON.stringify(error)).not.toContain(SECRET);
    expect(error).not.toHaveProperty("cause");
  });

  it.for([
    "Duplicate entry 'a' for key 'users_email_lower' (errno 1062)",
    "Duplicate entry 'a' for key 'users.users_email_lower' (errno 1062)",
    "Duplicate entry 'it''s \n 'quoted'' for key 'users_email_lower' (errno 1062)",
  ])("name the violated index: %s", (text, { expect }) => {
    expect(violatedIndex(refused(text))).toBe("users_email_lower");
  });

  it.for([
    ["Lock wait timeout exceeded (errno 1205) (sqlstate HY000)", "UNKNOWN", 400],
    ["Server shutdown in progress (errno 1053)", "UNKNOWN", 400],
    ["the database does not answer", "UNAVAILABLE", 503],
    ["no healthy tablet available", "UNAVAILABLE", 400],
    ["wrong password", "UNAUTHENTICATED", 401],
    ["Bad Gateway", "UNKNOWN", 502],
  ] as const)("an outage: %s", async ([text, code, status], { expect }) => {
    resetBreakers();
    await expect(guarded(() => Promise.reject(refused(text, code, status)))).rejects.toBeInstanceOf(SqlUnavailable);
  });

  it.for([
    ["You have an error in your SQL syntax near 'Network connection lost' (errno 1064)", "INVALID_ARGUMENT", 400],
    ["Data too long for column 'bio' at row 1 (errno 1406)", "UNKNOWN", 400],
    ["syntax error at position 7", "INVALID_ARGUMENT", 400],
  ] as const)("not an outage: %s", async ([text, code, status], { expect }) => {
    resetBreakers();
    await expect(guarded(() => Promise.reject(refused(text, code, status)))).rejects.toBeInstanceOf(MysqlError);
  });

  it("leave other errors as they are, out of Drizzle's wrapper", ({ expect }) => {
    const lost = new Error("Network connection lost.");
    expect(withoutStatement(new Error("Failed query: select 1", { cause: lost }))).toBe(lost);
    expect(withoutStatement(lost)).toBe(lost);
    expect(withoutStatement("text")).toBe("text");
  });
});

describe("the client", () => {
  it("decodes its credentials, keeps http, and reads whole numbers as numbers", async ({ expect }) => {
    const sent: { url: string; authorization: string | null }[] = [];
    const client = planetscaleClient("http://us%40er:p%C3%A9%2F%25@127.0.0.1:1", (input, init) => {
      const { url, headers } = new Request(input, init);
      sent.push({ url, authorization: headers.get("authorization") });
      const fields = [
        { name: "n", type: "INT64" },
        { name: "nothing", type: "INT64" },
      ];
      const rows = [{ lengths: ["2", "-1"], values: btoa("42") }];
      return Promise.resolve(Response.json({ session: {}, result: { fields, rows } }));
    });
    expect((await client.execute("select 1")).rows).toEqual([{ n: 42, nothing: null }]);
    const credentials = Buffer.from("us@er:pé/%").toString("base64");
    const url = "http://127.0.0.1:1/psdb.v1alpha1.Database/Execute";
    expect(sent).toEqual([{ url, authorization: `Basic ${credentials}` }]);
  });
});

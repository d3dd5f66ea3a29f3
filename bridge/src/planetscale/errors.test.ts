import { describe, it } from "vitest";
import { faultOf, isConnectionError } from "./errors.ts";

function mysqlError(errno: number, sqlMessage: string): Error {
  return Object.assign(new Error(sqlMessage), { errno, sqlMessage, sqlState: "23000", code: "ER_SOMETHING" });
}

describe("errors", () => {
  it("of the database are told in Vitess' words, with their number", ({ expect }) => {
    const fault = faultOf(mysqlError(1062, "Duplicate entry 'a' for key 'PRIMARY'"), "gochat");
    expect(fault).toEqual({
      status: 200,
      code: "ALREADY_EXISTS",
      message:
        "target: gochat.-.primary: vttablet: rpc error: code = ALREADY_EXISTS desc = " +
        "Duplicate entry 'a' for key 'PRIMARY' (errno 1062) (sqlstate 23000)",
    });
    expect(faultOf(mysqlError(9_999, "odd"), "db")).toMatchObject({ status: 200, code: "UNKNOWN" });
    expect(faultOf(mysqlError(1040, "Too many connections"), "db")).toMatchObject({ status: 503 });
  });

  it("of the connection are an outage, and their text stays here", ({ expect }) => {
    const refused = Object.assign(new Error("connect ECONNREFUSED 10.0.0.7:3306"), {
      code: "ECONNREFUSED",
      errno: -111,
    });
    for (const error of [refused, new Error("Queue limit reached."), undefined]) {
      const fault = faultOf(error, "db");
      expect(fault).toMatchObject({ status: 503, code: "UNAVAILABLE" });
      expect(fault.message).not.toContain("10.0.0.7");
      expect(isConnectionError(error)).toBe(true);
    }
    expect(isConnectionError(mysqlError(1062, "x"))).toBe(false);
  });
});

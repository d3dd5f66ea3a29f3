import { beforeEach, describe, it } from "vitest";
import { resetBreakers } from "../telemetry/breaker.ts";
import { guarded, SqlUnavailable, violatedIndex } from "./failures.ts";

beforeEach(resetBreakers);

function wrapped(message: string, parameters = ""): Error {
  const cause = new Error(message, { cause: new Error(message.replace("D1_ERROR: ", "")) });
  return new Error(`Failed query: insert into users values (?)\nparams: ${parameters}`, { cause });
}

async function thrownFor(error: unknown): Promise<unknown> {
  try {
    return await guarded(() => Promise.reject(error));
  } catch (caught) {
    return caught;
  }
}

describe("errors of D1", () => {
  it.for([
    "D1_ERROR: Network connection lost.",
    "D1_ERROR: D1 DB is overloaded. Requests queued for too long.",
    "D1_ERROR: Internal error in D1 DB storage caused object to be reset.",
    "Network connection lost.",
  ])("an outage: %s", async (text, { expect }) => {
    for (const error of [
      new Error(text),
      wrapped(text),
      wrapped(text, "UNIQUE constraint failed: users.email_lower"),
    ]) {
      expect(await thrownFor(error)).toBeInstanceOf(SqlUnavailable);
    }
  });

  it.for([
    "D1_ERROR: UNIQUE constraint failed: users.email_lower: SQLITE_CONSTRAINT",
    "D1_ERROR: no such table: nothing: SQLITE_ERROR",
    'D1_ERROR: near "SELEC": syntax error at offset 0: SQLITE_ERROR',
    "D1_TYPE_ERROR: Type 'object' not supported for value",
    "Cannot read properties of undefined (reading 'bind')",
  ])("not an outage: %s", async (text, { expect }) => {
    const error = wrapped(text, "D1_ERROR: Network connection lost.");
    expect(await thrownFor(error)).toBe(error);
  });

  it("names the column of a violated unique index, from the causes only", ({ expect }) => {
    expect(violatedIndex(wrapped("D1_ERROR: UNIQUE constraint failed: users.email_lower: SQLITE_CONSTRAINT"))).toBe(
      "users_email_lower",
    );
    expect(violatedIndex(wrapped("D1_ERROR: something", "UNIQUE constraint failed: users.email_lower"))).toBeNull();
    expect(violatedIndex("UNIQUE constraint failed: users.email_lower")).toBeNull();
    const cycle = new Error("round");
    cycle.cause = cycle;
    expect(violatedIndex(cycle)).toBeNull();
  });
});

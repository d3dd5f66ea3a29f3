import { sql } from "drizzle-orm";
import { afterEach, beforeEach, describe, it, vi } from "vitest";
import { breakerStates, resetBreakers } from "../telemetry/breaker.ts";
import { SqlUnavailable } from "./failures.ts";
import { mysqlDatabase } from "./mysql.ts";
import { planetscaleClient } from "./planetscale.ts";

type Answers = () => Promise<Response>;

/** A server that answers every statement so. */
function client(answer: Answers) {
  return planetscaleClient("http://user:password@127.0.0.1:1", answer);
}

/** One row that says who has answered. */
function naming(who: string): Answers {
  const result = {
    fields: [{ name: "who", type: "VARCHAR" }],
    rows: [{ lengths: [String(who.length)], values: btoa(who) }],
  };
  return () => Promise.resolve(Response.json({ session: {}, result }));
}

const hanging: Answers = () => new Promise(() => undefined);
const refusing: Answers = () => Promise.reject(new TypeError("fetch failed"));
const forbidding: Answers = () =>
  Promise.resolve(Response.json({ code: "UNAUTHENTICATED", message: "no" }, { status: 401 }));

describe("a replica", () => {
  beforeEach(() => {
    resetBreakers();
    vi.useFakeTimers();
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  it("answers what may be a little old, and nothing else", async ({ expect }) => {
    const database = mysqlDatabase(client(naming("primary")), client(naming("replica")));
    expect(await database.rows(sql`select 1`, "recent")).toEqual([{ who: "replica" }]);
    expect(await database.rows(sql`select 1`, "now")).toEqual([{ who: "primary" }]);
    expect(await database.rows(sql`select 1`)).toEqual([{ who: "primary" }]);
  });

  it.for([
    ["hangs", hanging],
    ["is away", refusing],
    ["does not let us in", forbidding],
  ] as const)(
    "that %s costs a moment, not the answer, and SQL does not count as away",
    async ([, answer], { expect }) => {
      const database = mysqlDatabase(client(naming("primary")), client(answer));
      for (let query = 0; query < 30; query++) {
        const rows = database.rows(sql`select 1`, "recent");
        await vi.advanceTimersByTimeAsync(1_000);
        expect(await rows).toEqual([{ who: "primary" }]);
      }
      expect(breakerStates()).toContainEqual({ dependency: "sql", state: "closed" });
    },
  );

  it("cannot help when the primary is away", async ({ expect }) => {
    const database = mysqlDatabase(client(refusing), client(naming("replica")));
    expect(await database.rows(sql`select 1`, "recent")).toEqual([{ who: "replica" }]);
    await expect(database.rows(sql`select 1`)).rejects.toBeInstanceOf(SqlUnavailable);
  });
});

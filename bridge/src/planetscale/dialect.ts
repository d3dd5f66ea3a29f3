/**
 * PlanetScale's HTTP dialect in front of a MySQL or MariaDB, as @planetscale/database speaks it. What the database
 * refuses is an `error` in an answer with status 200; 503 means that nobody could be asked.
 */
import { Hono, type Context } from "hono";
import * as z from "zod";
import { findUser, parseBasic } from "../credentials.ts";
import type { Deps, Dialect } from "../dialect.ts";
import type { MysqlSettings } from "../settings.ts";
import { acquire, connectionPool, run } from "./connections.ts";
import { ResultMemory } from "./memory.ts";
import { type Outcome, Sessions } from "./sessions.ts";

const PREFIX = "/psdb.v1alpha1.Database/";

const Session = z.object({ id: z.string().min(1).max(64), inTransaction: z.boolean() });
const ExecuteBody = z.object({ query: z.string().min(1), session: Session.nullish() });
const CloseBody = z.object({ session: Session.nullish() });

const HEALTH_BYTES = 1_024;
const STATUS_CODES: Readonly<Record<number, string>> = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  404: "NOT_FOUND",
  405: "UNIMPLEMENTED",
  413: "RESOURCE_EXHAUSTED",
  503: "UNAVAILABLE",
};

export function planetscaleDialect(settings: MysqlSettings, deps: Deps): Dialect {
  const pool = connectionPool(settings);
  const sessions = new Sessions(pool, settings, deps);
  return {
    name: "planetscale",
    owns: (path) => path.startsWith(PREFIX),
    admits: (authorization) => settings.users.length === 0 || userOf(settings, authorization) !== undefined,
    problem,
    routes: planetscaleRoutes(settings, sessions),
    health: async () => {
      const connection = await acquire(pool);
      try {
        await run(connection, "SELECT 1", { maxRows: 1, maxBytes: 100 }, new ResultMemory(HEALTH_BYTES).hold());
      } finally {
        connection.release();
      }
    },
    close: async () => {
      sessions.close();
      const { promise, resolve } = Promise.withResolvers<void>();
      pool.end(() => resolve());
      await promise;
    },
  };
}

function problem(status: number, message: string): { error: { code: string; message: string } } {
  return { error: { code: STATUS_CODES[status] ?? "INTERNAL", message } };
}

/** The name that sessions belong to; an open dialect has one for everybody. */
function userOf(settings: MysqlSettings, authorization: string | undefined): string | undefined {
  const given = parseBasic(authorization);
  if (settings.users.length === 0) {
    return "";
  }
  return given && findUser(settings.users, given)?.name;
}

function planetscaleRoutes(settings: MysqlSettings, sessions: Sessions): Hono {
  const routes = new Hono();
  const memory = new ResultMemory(settings.maxResultsBytes);
  const user = (c: Context): string => userOf(settings, c.req.header("authorization")) ?? "";

  routes.post(`${PREFIX}CreateSession`, (c) => c.json({ session: sessions.create() }));

  routes.post(`${PREFIX}CloseSession`, async (c) => {
    const body = CloseBody.safeParse(await jsonBody(c));
    if (!body.success) {
      return c.json(problem(400, "the body must be {session}"), 400);
    }
    if (body.data.session) {
      sessions.end(user(c), body.data.session.id);
    }
    return c.json({});
  });

  routes.post(`${PREFIX}Execute`, async (c) => {
    const body = ExecuteBody.safeParse(await jsonBody(c));
    if (!body.success) {
      return c.json(problem(400, "the body must be {query, session}"), 400);
    }
    const began = performance.now();
    const hold = memory.hold();
    try {
      const outcome = await sessions.execute(user(c), body.data.query, body.data.session ?? undefined, hold);
      return c.json({ ...answerOf(outcome), timing: (performance.now() - began) / 1000 }, statusOf(outcome));
    } finally {
      hold.release();
    }
  });

  routes.all("*", (c) => c.json(problem(405, "method not allowed"), 405, { allow: "POST" }));
  return routes;
}

function statusOf(outcome: Outcome): 200 | 400 | 503 {
  return outcome.ok ? 200 : outcome.fault.status;
}

function answerOf(outcome: Outcome): object {
  const { session } = outcome;
  if (!outcome.ok) {
    return { session, error: { code: outcome.fault.code, message: outcome.fault.message } };
  }
  const { result } = outcome;
  return result.kind === "rows"
    ? { session, result: { fields: result.fields, rows: result.rows } }
    : { session, result: { rowsAffected: result.rowsAffected, insertId: result.insertId } };
}

async function jsonBody(c: Context): Promise<unknown> {
  const body = await c.req.text();
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/**
 * The one listener: finds the dialect that owns the path, lets in who may come, bounds what is worked on at the same
 * time, and hands over. `/health` and `/metrics` are its own. Every refusal is worded in the dialect that was spoken,
 * since the clients parse it.
 */
import type { Server } from "node:http";
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { isOneOf, parseBearer } from "./credentials.ts";
import type { Dialect } from "./dialect.ts";
import { Gate } from "./gate.ts";
import { EngineHealth } from "./health.ts";
import { describeError, type Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";

export interface ServerOptions {
  readonly host: string;
  /** 0 for a free port. */
  readonly port: number;
  readonly isLoopback: boolean;
  readonly metricsToken: string | undefined;
  readonly maxBodyBytes: number;
  readonly maxInFlightBytes: number;
  readonly drainMs: number;
}

export interface BridgeServer {
  readonly port: number;
  /**
   * Lets what is being worked on end, within the drain time, then closes the dialects. First the pushes: the Worker, while it handles one,
   * asks this bridge for SQL, cache and bus. Then no new request is let in.
   */
  drain(): Promise<void>;
}

/** Of the drain time, for what the dialects do of their own accord; the rest is for requests. */
const OWN_WORK_SHARE = 0.75;

const RETRY_AFTER_S = "1";
/** What a request costs besides its body: many that only wait are not free either. */
const REQUEST_BYTES = 16 * 1024;
const UNKNOWN_PATH = { error: "There is no such path, or its engine is not configured.", status: 404 };

export async function startServer(
  options: ServerOptions,
  dialects: readonly Dialect[],
  deps: { log: Log; metrics: Metrics },
): Promise<BridgeServer> {
  const { log, metrics } = deps;
  const gate = new Gate(options.maxInFlightBytes);
  const health = new EngineHealth(dialects, deps);
  let draining = false;
  let refusing = false;
  const app = new Hono();

  app.get("/health", async (c) => {
    const checks = await health.check();
    const engines = Object.fromEntries(checks.map(({ name, up }) => [name, up ? "up" : "down"]));
    const isWell = !draining && checks.every(({ up }) => up);
    return c.json({ status: draining ? "draining" : isWell ? "ok" : "degraded", engines }, isWell ? 200 : 503);
  });

  app.get("/metrics", async (c) => {
    const token = parseBearer(c.req.header("authorization"));
    const isOpen = options.isLoopback && options.metricsToken === undefined;
    if (!isOpen && !isOneOf(options.metricsToken === undefined ? [] : [options.metricsToken], token ?? "")) {
      return c.json({ error: "Unauthorized", status: 401 }, 401);
    }
    metrics.bytesInFlight.set(gate.bytes);
    return c.body(await metrics.registry.metrics(), 200, { "content-type": metrics.registry.contentType });
  });

  for (const dialect of dialects) {
    dialect.routes.notFound((c) => c.json(dialect.problem(404, "not found"), 404));
    dialect.routes.onError((error, c) => {
      log("error", "a request failed", { dialect: dialect.name, error: describeError(error) });
      return c.json(dialect.problem(500, "internal error"), 500);
    });
  }

  const limits = new Map(dialects.map((dialect) => [dialect, limitFor(dialect)]));
  function limitFor(dialect: Dialect): ReturnType<typeof bodyLimit> {
    const onError: Parameters<typeof bodyLimit>[0]["onError"] = (c) => {
      metrics.refused.inc({ dialect: dialect.name, reason: "too_large" });
      return c.json(dialect.problem(413, `a request may have at most ${options.maxBodyBytes} bytes`), 413);
    };
    return bodyLimit({ maxSize: options.maxBodyBytes, onError });
  }

  app.all("*", async (c) => {
    const { pathname } = new URL(c.req.url);
    const dialect = dialects.find((one) => one.owns(pathname));
    if (!dialect) {
      return c.json(UNKNOWN_PATH, 404);
    }
    const began = performance.now();
    const { name } = dialect;
    if (!dialect.admits(c.req.header("authorization"))) {
      metrics.refused.inc({ dialect: name, reason: "unauthorized" });
      return c.json(dialect.problem(401, "wrong or missing credentials"), 401);
    }
    if (refusing) {
      metrics.refused.inc({ dialect: name, reason: "draining" });
      return c.json(dialect.problem(503, "the bridge is stopping"), 503, { connection: "close" });
    }
    const bytes = REQUEST_BYTES + expectedBytes(c.req.header("content-length"), c.req.method, options.maxBodyBytes);
    if (!gate.enter(bytes)) {
      metrics.refused.inc({ dialect: name, reason: "overloaded" });
      return c.json(dialect.problem(503, "the bridge is overloaded"), 503, { "retry-after": RETRY_AFTER_S });
    }
    try {
      const limit = limits.get(dialect);
      let answer: Response | undefined;
      const next = async (): Promise<void> => {
        answer = await dialect.routes.fetch(c.req.raw, c.env);
      };
      const refusal = limit ? await limit(c, next) : await next();
      const response = refusal ?? answer ?? c.json(dialect.problem(500, "internal error"), 500);
      metrics.requests.observe({ dialect: name, status: response.status }, (performance.now() - began) / 1000);
      return response;
    } finally {
      gate.leave(bytes);
    }
  });

  const server = await listen(app, options);
  // A wrong address or password is told now, and not when somebody asks.
  void health.check();
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : options.port,
    drain: async () => {
      draining = true;
      const began = performance.now();
      await Promise.all(dialects.flatMap((dialect) => dialect.drain?.(options.drainMs * OWN_WORK_SHARE) ?? []));
      refusing = true;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const leftMs = Math.max(0, options.drainMs - (performance.now() - began));
      const late = setTimeout(() => server.closeAllConnections(), leftMs);
      await closed;
      clearTimeout(late);
      await Promise.all(dialects.map((dialect) => dialect.close()));
    },
  };
}

/** A body whose length nobody told may be as long as is allowed. */
function expectedBytes(length: string | undefined, method: string, maxBytes: number): number {
  if (length !== undefined) {
    const told = Number(length);
    return Number.isFinite(told) ? Math.min(told, maxBytes) : maxBytes;
  }
  return method === "GET" || method === "HEAD" ? 0 : maxBytes;
}

function listen(app: Hono, options: ServerOptions): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname: options.host, port: options.port }) as Server;
    server.once("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      resolve(server);
    });
  });
}

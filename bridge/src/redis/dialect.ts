/**
 * The Upstash Redis REST dialect in front of a Redis: `POST /`, `/pipeline`, `/multi-exec`, and `/subscribe/…` as
 * server-sent events, with the answers that @upstash/redis reads. Errors of a command are 400, an absent Redis is 503;
 * a pipeline answers 200 with an error in the place of each command that failed.
 */
import { Hono, type Context } from "hono";
import { Redis, type RedisOptions } from "ioredis";
import { isOneOf, parseBearer } from "../credentials.ts";
import type { Deps, Dialect } from "../dialect.ts";
import { describeError } from "../log.ts";
import type { RedisSettings } from "../settings.ts";
import { type Parsed, parseCommand, parseCommands, type RedisCommand } from "./commands.ts";
import { bytesIn, encodeReply, isCommandError, type Json } from "./replies.ts";
import { type Subscribing, subscriptions } from "./subscriptions.ts";

type Answer = { result: Json } | { error: string };
type Status = 200 | 400 | 503;

/** A broken connection is tried again after 50 ms, then later, at most this long. */
const MAX_RECONNECT_MS = 1_000;
const CONNECT_TIMEOUT_MS = 5_000;
const UNAVAILABLE = "ERR redis is not available";

export function redisDialect(settings: RedisSettings, deps: Deps): Dialect {
  const options = redisOptions(settings);
  const redis = new Redis(settings.url, options);
  const logError = logChanges(deps);
  redis.on("error", (error) => {
    logError(error);
    // The client would go on in database 0, where somebody else's keys may be.
    if (error.message.startsWith("ERR DB index")) {
      redis.disconnect(true);
    }
  });
  const subscribing = subscriptions(() => new Redis(settings.url, options));
  return {
    name: "redis",
    owns: (path) => path === "/" || path === "/pipeline" || path === "/multi-exec" || /^\/p?subscribe\//.test(path),
    admits: (authorization) =>
      settings.tokens.length === 0 || isOneOf(settings.tokens, parseBearer(authorization) ?? ""),
    problem: (_status, message) => ({ error: `ERR ${message}` }),
    routes: redisRoutes(redis, subscribing, settings),
    health: async () => void (await redis.ping()),
    close: async () => {
      subscribing.close();
      redis.disconnect();
    },
  };
}

function redisOptions({ url, tls, commandTimeoutMs }: RedisSettings): RedisOptions {
  return {
    // RESP3 answers with maps; the dialect has Redis' older shapes.
    protocol: 2,
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout: commandTimeoutMs,
    // A command that may have reached Redis is not sent twice: the client decides whether INCR may be repeated.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    retryStrategy: (times) => Math.min(50 * times, MAX_RECONNECT_MS),
    ...(url.startsWith("rediss:") ? { tls: tls.ca === undefined ? {} : { ca: tls.ca } } : {}),
  };
}

function redisRoutes(redis: Redis, subscribing: Subscribing, settings: Pick<RedisSettings, "maxRepliesBytes">): Hono {
  const routes = new Hono();
  // Says which writes a client has seen. One server answers all, so every read sees every write, and a number that grows is right.
  let syncToken = Date.now();
  const send = (c: Context, status: Status, body: Answer | Answer[]): Response =>
    c.json(body, status, { "upstash-sync-token": String(++syncToken) });

  routes.post("/", async (c) => {
    const command = parseCommand(await jsonBody(c));
    if (!command.ok) {
      return send(c, 400, { error: command.error });
    }
    try {
      const reply = await redis.callBuffer(command.value.name, ...command.value.args);
      return send(c, 200, { result: encodeReply(reply, wantsBase64(c)) });
    } catch (error) {
      return isCommandError(error) ? send(c, 400, { error: error.message }) : send(c, 503, { error: UNAVAILABLE });
    }
  });

  routes.post("/pipeline", async (c) => {
    const commands = parseCommands(await jsonBody(c));
    if (!commands.ok) {
      return send(c, 400, { error: commands.error });
    }
    const results = await runPipeline(redis, commands.value, settings.maxRepliesBytes);
    if (!results) {
      return send(c, 503, { error: UNAVAILABLE });
    }
    return send(c, 200, results.map(asAnswer(wantsBase64(c))));
  });

  routes.post("/multi-exec", async (c) => {
    const commands = parseCommands(await jsonBody(c));
    const refused = commands.ok ? commands.value.find((one) => !one.ok) : commands;
    if (!commands.ok || (refused && !refused.ok)) {
      return send(c, 400, { error: refused && !refused.ok ? refused.error : "ERR" });
    }
    const outcome = await runTransaction(redis, commands.value);
    if ("error" in outcome) {
      return isCommandError(outcome.error)
        ? send(c, 400, { error: outcome.error.message })
        : send(c, 503, { error: UNAVAILABLE });
    }
    return send(c, 200, outcome.results.map(asAnswer(wantsBase64(c))));
  });

  const subscribe = (kind: "subscribe" | "psubscribe") => (c: Context) =>
    subscribing.open(kind, decodeURIComponent(new URL(c.req.url).pathname.slice(kind.length + 2)));
  for (const kind of ["subscribe", "psubscribe"] as const) {
    routes.on(["GET", "POST"], `/${kind}/:channel{.+}`, subscribe(kind));
  }
  // Any other verb on a path of ours.
  routes.all("*", (c) => c.json({ error: "ERR method not allowed" }, 405, { allow: "POST" }));
  return routes;
}

type Settled = { reply: unknown } | { error: Error };

/** Commands of a pipeline that are sent together. What they answer is in memory at once, whatever the limit is. */
const SLICE = 256;

/**
 * Not atomic. All of them run; where the answers grow beyond the limit, the further ones are errors instead.
 * @returns undefined when the connection broke, whatever was done by then
 */
async function runPipeline(
  redis: Redis,
  commands: readonly Parsed<RedisCommand>[],
  maxRepliesBytes: number,
): Promise<Settled[] | undefined> {
  const results: Settled[] = [];
  let bytes = 0;
  for (let at = 0; at < commands.length; at += SLICE) {
    const slice = await runSlice(redis, commands.slice(at, at + SLICE));
    if (slice === undefined) {
      return undefined;
    }
    for (const one of slice) {
      bytes += "reply" in one ? bytesIn(one.reply) : 0;
      results.push("reply" in one && bytes > maxRepliesBytes ? { error: new Error(TOO_MUCH) } : one);
    }
  }
  return results;
}

const TOO_MUCH = "ERR the replies of this pipeline are too large";

/** One write for all of them. */
async function runSlice(redis: Redis, commands: readonly Parsed<RedisCommand>[]): Promise<Settled[] | undefined> {
  const pipeline = redis.pipeline();
  for (const command of commands) {
    if (command.ok) {
      pipeline.callBuffer(command.value.name, ...command.value.args);
    }
  }
  const answers = (await pipeline.exec().catch(() => undefined)) ?? undefined;
  if (!answers || answers.some(([error]) => error !== null && !isCommandError(error))) {
    return undefined;
  }
  let next = 0;
  return commands.map((command) => (command.ok ? settled(answers[next++]) : { error: new Error(command.error) }));
}

/** MULTI … EXEC. What cannot be queued discards all. */
async function runTransaction(
  redis: Redis,
  commands: readonly Parsed<RedisCommand>[],
): Promise<{ results: Settled[] } | { error: unknown }> {
  const transaction = redis.multi();
  for (const command of commands) {
    if (command.ok) {
      transaction.callBuffer(command.value.name, ...command.value.args);
    }
  }
  try {
    const answers = await transaction.exec();
    return answers ? { results: answers.map(settled) } : { error: new Error("discarded") };
  } catch (error) {
    return { error };
  }
}

function settled(answer: [Error | null, unknown] | undefined): Settled {
  const [error, reply] = answer ?? [new Error(UNAVAILABLE), null];
  return error ? { error } : { reply };
}

function asAnswer(base64: boolean): (one: Settled) => Answer {
  return (one) => ("error" in one ? { error: one.error.message } : { result: encodeReply(one.reply, base64) });
}

function wantsBase64(c: Context): boolean {
  return c.req.header("upstash-encoding")?.toLowerCase() === "base64";
}

/** undefined when it is no JSON: no command then. */
async function jsonBody(c: Context): Promise<unknown> {
  const body = await c.req.text();
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** A Redis that is away says so with each attempt: only the first of them is a line. */
function logChanges({ log }: Deps): (error: Error) => void {
  let lastCode = "";
  let lastMs = 0;
  return (error) => {
    const code = describeError(error);
    const now = Date.now();
    if (code !== lastCode || now - lastMs > LOG_AGAIN_MS) {
      lastCode = code;
      lastMs = now;
      log("warn", "redis does not answer", { engine: "redis", error: code });
    }
  };
}

const LOG_AGAIN_MS = 60_000;

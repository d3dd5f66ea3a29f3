/**
 * The cache on Redis, in the dialect of Upstash: their service, or the bridge in front of any Redis. One pipeline is one request.
 *
 * Of the client's habits these are turned off: it would take texts for JSON ("123" became a number), send what callers want together
 * apart or apart together (auto-pipelining), try again what may have been done, and report home.
 */
import { Redis } from "@upstash/redis/cloudflare";
import type { UpstashRedisSettings } from "../platform/engines.ts";
import { HOT_LIFE_MS, type Cache, type CacheCommand, type CacheReply } from "./types.ts";

/** Redis refused, or was not reached. The client's own text holds the whole command, so it is not passed on. */
export class RedisFailure extends Error {
  override readonly name = "RedisFailure";

  constructor(code: string) {
    super(`redis: ${code}`);
  }
}

type Pipeline = ReturnType<Redis["pipeline"]>;
/** What one of our commands is in Redis: so many replies, and what they come to. */
type Sent = { replies: number; reply: (replies: unknown[]) => CacheReply };

/** Raises a number and never lowers it; what is no number counts as nothing. Answers what stands there now. */
const SET_MAX = `local before = redis.call('GET', KEYS[1])
local number = before and tonumber(before)
if number and number >= tonumber(ARGV[1]) then return before end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]`;

/** Deletes the key when the number there is at most this one. */
const DELETE_IF = `local before = redis.call('GET', KEYS[1])
local number = before and tonumber(before)
if number and number <= tonumber(ARGV[1]) then return redis.call('DEL', KEYS[1]) end
return 0`;

/** A client holds no connection and no state, so requests may share one. */
const clients = new WeakMap<UpstashRedisSettings, Redis>();

/** @param limitMs a request without an answer is given up after this time */
export function upstashCache(settings: UpstashRedisSettings, limitMs: number): Cache {
  const redis = clients.get(settings) ?? newClient(settings, limitMs);
  clients.set(settings, redis);
  return {
    async pipeline(commands) {
      const pipeline = redis.pipeline();
      const sent = commands.map((command) => send(pipeline, command));
      const replies = pipeline.length() === 0 ? [] : await exec(pipeline);
      let at = 0;
      return sent.map(({ replies: count, reply }) => {
        const own = replies.slice(at, at + count);
        at += count;
        return reply(own);
      });
    },
  };
}

function newClient({ url, token }: UpstashRedisSettings, limitMs: number): Redis {
  return new Redis({
    url,
    token,
    automaticDeserialization: false,
    enableAutoPipelining: false,
    enableTelemetry: false,
    // As a function: the client takes an abort for an error then, and not for an answer. It also ends the retries.
    signal: () => AbortSignal.timeout(limitMs),
    retry: { retries: 0 },
    // Base64 is for values that are no UTF-8, and ours are JSON.
    responseEncoding: false,
    // Its token is the client's, and this one is everybody's. Readers must ask the server that takes the writes: docs/operations.md.
    readYourWrites: false,
  });
}

/** All replies, or nobody's: a null for what was refused would say that somebody is away. */
async function exec(pipeline: Pipeline): Promise<unknown[]> {
  try {
    const answered = await pipeline.exec<unknown[]>({ keepErrors: true });
    if (answered.length !== pipeline.length()) {
      throw new RedisFailure("incomplete");
    }
    return answered.map(({ error, result }) => {
      if (error !== undefined && error !== null) {
        throw new RedisFailure(codeOf(error));
      }
      return result;
    });
  } catch (error) {
    if (error instanceof RedisFailure) {
      throw error;
    }
    throw new RedisFailure(error instanceof Error ? (codeIn(error.message) ?? error.name) : "no answer");
  }
}

/** The first word of what Redis says: ERR, WRONGTYPE, OOM, READONLY, … */
function codeOf(text: string): string {
  return codeIn(text) ?? "refused";
}

function codeIn(text: string): string | undefined {
  return /^([A-Z]{3,24})\b/.exec(text)?.[1];
}

/** Adds the command, and says how its replies are to be read. */
function send(pipeline: Pipeline, command: CacheCommand): Sent {
  switch (command[0]) {
    case "GET":
      pipeline.get(command[1]);
      return one(textOrNull);
    case "MGET": {
      const keys = command.slice(1).map(String);
      return keys.length === 0 ? none([]) : (pipeline.mget(keys), one(texts));
    }
    case "SET":
      setOf(pipeline, command[1], command[2], command[3]);
      return one(() => "OK");
    case "SETNX":
      setOf(pipeline, command[1], command[2], command[3], true);
      return one((reply) => (reply === "OK" ? 1 : 0));
    case "DEL": {
      const keys = command.slice(1).map(String);
      return keys.length === 0 ? none(0) : (pipeline.del(...keys), one(Number));
    }
    case "SETMAX":
      pipeline.eval(SET_MAX, [command[1]], [command[2]]);
      return one(textOrNull);
    case "DELIF":
      pipeline.eval(DELETE_IF, [command[1]], [command[2]]);
      return one(Number);
    case "ZADD":
      return addSorted(pipeline, command);
    case "ZREMRANGEBYSCORE":
      pipeline.zremrangebyscore(command[1], command[2], command[3]);
      return one(Number);
    case "ZRANGE":
      pipeline.zrange(command[1], command[2], command[3]);
      return one(texts);
  }
}

/** A command with one reply. */
function one(read: (reply: unknown) => CacheReply): Sent {
  return { replies: 1, reply: ([reply]) => read(reply) };
}

/** Nothing to ask for. */
function none(reply: CacheReply): Sent {
  return { replies: 0, reply: () => reply };
}

/** Redis takes whole milliseconds, and no life that is over already. */
function setOf(pipeline: Pipeline, key: string, value: string, lifeMs: number | undefined, absent = false): void {
  const px = lifeMs === undefined ? {} : { px: Math.max(1, Math.ceil(lifeMs)) };
  pipeline.set(key, value, absent ? { nx: true, ...px } : { ...px });
}

/** The set with its bound and its life: three commands, answered as one. */
function addSorted(pipeline: Pipeline, command: Extract<CacheCommand, ["ZADD", ...unknown[]]>): Sent {
  const [, key, keep, ...pairs] = command;
  const members = [];
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    members.push({ score: Number(pairs[i]), member: String(pairs[i + 1]) });
  }
  const [first, ...rest] = members;
  if (first === undefined) {
    return none(0);
  }
  pipeline.zadd(key, first, ...rest);
  pipeline.zremrangebyrank(key, 0, -(keep + 1));
  pipeline.pexpire(key, HOT_LIFE_MS);
  return { replies: 3, reply: () => members.length };
}

function textOrNull(reply: unknown): string | null {
  return typeof reply === "string" || typeof reply === "number" ? String(reply) : null;
}

function texts(reply: unknown): (string | null)[] {
  return Array.isArray(reply) ? reply.map(textOrNull) : [];
}

/**
 * The cache on Redis, in the dialect of Upstash: their service, or the bridge in front of any Redis. One pipeline is one request.
 *
 * Of the client's habits these are turned off: it would take texts for JSON ("123" became a number), send what callers want together
 * apart or apart together (auto-pipelining), try again what may have been done, and report home.
 */
import { Redis } from "@upstash/redis/cloudflare";
import { jsonBytes } from "../domain/jsonSize.ts";
import { partsOf, type PartLimits } from "../platform/parts.ts";
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
/** One command of Redis, and about how many bytes it is. */
type Step = { bytes: number; add(pipeline: Pipeline): unknown };
/** What one of our commands is in Redis: some of its commands, and what their replies come to. */
type Plan = { steps: Step[]; reply: (replies: unknown[]) => CacheReply };

/**
 * One request: Upstash takes 1 MB on its smallest plan, the bridge 8 MiB. Only a room that was told long messages very fast has more
 * for one flight.
 */
const REQUEST: PartLimits = { records: 1_000, bytes: 700_000 };
/** Members of a sorted set that travel in one command. */
const MEMBERS: PartLimits = { records: 300, bytes: 300_000 };

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
      const plans = commands.map(planOf);
      const replies: unknown[] = [];
      // In order, as in one: what is read comes after what was written.
      const steps = plans.flatMap((plan) => plan.steps);
      for (const part of partsOf(steps, (step) => step.bytes, REQUEST)) {
        const pipeline = redis.pipeline();
        part.forEach((step) => step.add(pipeline));
        replies.push(...(await exec(pipeline)));
      }
      let at = 0;
      return plans.map(({ steps: { length }, reply }) => {
        const own = replies.slice(at, at + length);
        at += length;
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

function planOf(command: CacheCommand): Plan {
  switch (command[0]) {
    case "GET":
      return one(textOrNull, (to) => to.get(command[1]));
    case "MGET": {
      const keys = command.slice(1).map(String);
      return keys.length === 0 ? none([]) : one(texts, (to) => to.mget(keys), keys.join("").length);
    }
    case "SET": {
      const [, key, value, lifeMs] = command;
      return one(
        () => "OK",
        (to) => to.set(key, value, lifeOf(lifeMs)),
        jsonBytes(value),
      );
    }
    case "SETNX": {
      const [, key, value, lifeMs] = command;
      const add = (to: Pipeline): unknown => to.set(key, value, { nx: true, ...lifeOf(lifeMs) });
      return one((reply) => (reply === "OK" ? 1 : 0), add, jsonBytes(value));
    }
    case "DEL": {
      const keys = command.slice(1).map(String);
      return keys.length === 0 ? none(0) : one(Number, (to) => to.del(...keys), keys.join("").length);
    }
    case "SETMAX":
      return one(textOrNull, (to) => to.eval(SET_MAX, [command[1]], [command[2]]));
    case "DELIF":
      return one(Number, (to) => to.eval(DELETE_IF, [command[1]], [command[2]]));
    case "ZADD":
      return planOfSorted(command);
    case "ZREMRANGEBYSCORE":
      return one(Number, (to) => to.zremrangebyscore(command[1], command[2], command[3]));
    case "ZRANGE":
      return one(texts, (to) => to.zrange(command[1], command[2], command[3]));
  }
}

/** Of a command's own words and short keys. */
const COMMAND_BYTES = 200;
const SCORE_BYTES = 20;

/** A command with one reply. */
function one(read: (reply: unknown) => CacheReply, add: Step["add"], bytes = 0): Plan {
  return { steps: [{ bytes: COMMAND_BYTES + bytes, add }], reply: ([reply]) => read(reply) };
}

/** Nothing to ask for. */
function none(reply: CacheReply): Plan {
  return { steps: [], reply: () => reply };
}

/** Redis takes whole milliseconds, and no life that is over already. */
function lifeOf(lifeMs: number | undefined): { px?: undefined } | { px: number } {
  return lifeMs === undefined ? {} : { px: Math.max(1, Math.ceil(lifeMs)) };
}

type Member = { score: number; member: string };

/** The set, then its bound and its life, answered as one. */
function planOfSorted(command: Extract<CacheCommand, ["ZADD", ...unknown[]]>): Plan {
  const [, key, keep, ...pairs] = command;
  const members: Member[] = [];
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    members.push({ score: Number(pairs[i]), member: String(pairs[i + 1]) });
  }
  const bytesOf = ({ member }: Member): number => jsonBytes(member) + SCORE_BYTES;
  const steps = partsOf(members, bytesOf, MEMBERS).flatMap((part): Step[] => {
    const [first, ...rest] = part;
    const bytes = COMMAND_BYTES + part.reduce((sum, member) => sum + bytesOf(member), 0);
    return first === undefined ? [] : [{ bytes, add: (to) => to.zadd(key, first, ...rest) }];
  });
  const bound: Step[] = [
    { bytes: COMMAND_BYTES, add: (to) => to.zremrangebyrank(key, 0, -(keep + 1)) },
    { bytes: COMMAND_BYTES, add: (to) => to.pexpire(key, HOT_LIFE_MS) },
  ];
  return steps.length === 0 ? none(0) : { steps: [...steps, ...bound], reply: () => members.length };
}

function textOrNull(reply: unknown): string | null {
  return typeof reply === "string" || typeof reply === "number" ? String(reply) : null;
}

function texts(reply: unknown): (string | null)[] {
  return Array.isArray(reply) ? reply.map(textOrNull) : [];
}

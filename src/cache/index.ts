/** The cache of this environment, behind its time limit and its breaker. Callers go on without it when it throws. */
import { settingsOf } from "../platform/settings.ts";
import type { ObjectEnv } from "../platform/stubs.ts";
import { breakerFor } from "../telemetry/breaker.ts";
import { cacheReads } from "../telemetry/metrics.ts";
import { embeddedCache } from "./embedded.ts";
import type { Cache, CacheCommand, CacheReply } from "./types.ts";
import { upstashCache } from "./upstash.ts";

/** A pipeline takes a few milliseconds; on a machine that is busy with other things, some hundred. */
const LIMIT_MS = 1_500;

const breaker = breakerFor("cache", { limitMs: LIMIT_MS, isOutage: () => true });

export function cacheOf(env: ObjectEnv): Cache {
  const { redis, cacheShards } = settingsOf(env);
  const cache = redis === undefined ? embeddedCache(env, cacheShards) : upstashCache(redis, LIMIT_MS);
  return {
    pipeline: async (commands) => {
      const replies = await breaker.run(() => cache.pipeline(commands));
      commands.forEach((command, index) => countReads(command, replies[index] ?? null));
      return replies;
    },
  };
}

/** Presence is not among what is counted: that it is absent says that somebody is away. */
function countReads(command: CacheCommand, reply: CacheReply): void {
  const [name, key] = command;
  if ((name !== "GET" && name !== "MGET" && name !== "ZRANGE") || NOT_COUNTED.test(String(key))) {
    return;
  }
  const asked = name === "MGET" ? command.length - 1 : 1;
  const found = Array.isArray(reply) ? reply.filter((one) => one !== null).length : Number(reply !== null);
  const hits = Math.min(asked, found);
  cacheReads.add("hit", hits);
  cacheReads.add("miss", asked - hits);
}

const NOT_COUNTED = /^(?:user:online:|presence:|health$)/;

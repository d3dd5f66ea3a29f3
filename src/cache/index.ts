/** The cache of this environment, behind its time limit and its breaker. Callers go on without it when it throws. */
import { settingsOf } from "../platform/settings.ts";
import type { ObjectEnv } from "../platform/stubs.ts";
import { breakerFor } from "../telemetry/breaker.ts";
import { embeddedCache } from "./embedded.ts";
import type { Cache } from "./types.ts";

/** A pipeline takes a few milliseconds; on a machine that is busy with other things, some hundred. */
const LIMIT_MS = 1_500;

const breaker = breakerFor("cache", { limitMs: LIMIT_MS, isOutage: () => true });

export function cacheOf(env: ObjectEnv): Cache {
  const cache = embeddedCache(env, settingsOf(env).cacheShards);
  return { pipeline: (commands) => breaker.run(() => cache.pipeline(commands)) };
}

/**
 * What SQL said last, kept in the cache for when it does not answer: the degraded answers of DESIGN section 5. While SQL is there
 * nobody reads these entries, so they cannot be the reason for an old answer.
 */
import { faultOfThrown } from "../platform/failures.ts";
import { degradedAnswers } from "../telemetry/metrics.ts";
import type { Cache, CacheCommand } from "./types.ts";

/** Goes on after the answer has left. */
export type Later = (work: Promise<unknown>) => void;

/** Entries beyond this many characters are not kept: the embedded cache has 24 MiB for everybody. */
const MAX_CHARS = 64 * 1024;

/** Did this fail because something is away? */
export function isOutage(error: unknown): boolean {
  return faultOfThrown(error).name === "UNAVAILABLE";
}

/** Keeps values by key for so long; whether that works is nobody's concern. */
export function keepLastKnown(
  cache: Cache,
  later: Later,
  lifeMs: number,
  values: readonly (readonly [key: string, value: unknown])[],
): void {
  const commands = values.flatMap(([key, value]): CacheCommand[] => {
    const text = JSON.stringify(value);
    return text.length > MAX_CHARS ? [] : [["SET", key, text, lifeMs]];
  });
  if (commands.length > 0) {
    later(cache.pipeline(commands).catch(() => undefined));
  }
}

/** What is kept under these keys, in their order; the answer that is made of it counts as degraded. */
export async function readLastKnown(cache: Cache, keys: readonly string[]): Promise<(string | null)[]> {
  degradedAnswers.add();
  try {
    const [reply] = keys.length === 0 ? [[]] : await cache.pipeline([["MGET", ...keys]]);
    return Array.isArray(reply) ? reply : [];
  } catch {
    // Away as well: then nothing is known.
    return [];
  }
}

/**
 * The value from SQL, or what was kept of it when SQL is away.
 * @throws what `load` throws, when nothing was kept, or when it is no outage
 */
export async function orLastKnown<T>(
  cache: Cache,
  later: Later,
  entry: { readonly key: string; readonly lifeMs: number },
  load: () => Promise<T>,
): Promise<{ value: T; degraded?: true }> {
  try {
    const value = await load();
    keepLastKnown(cache, later, entry.lifeMs, [[entry.key, value]]);
    return { value };
  } catch (error) {
    const [kept] = isOutage(error) ? await readLastKnown(cache, [entry.key]) : [];
    if (typeof kept !== "string") {
      throw error;
    }
    // Only this function writes there, from what `load` gave.
    return { value: JSON.parse(kept) as T, degraded: true };
  }
}

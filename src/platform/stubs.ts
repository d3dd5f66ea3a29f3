/**
 * The one place that makes stubs. A fresh stub for each operation (after a throw a stub may be
 * dead; they are cheap), ids by name.
 */
import { SHARD_SEPARATOR, shardNumber } from "../domain/sharding.ts";
import type { CacheRpc, MetricsRpc, RoomRpc, SessionRpc, ShardRpc } from "./rpc.ts";

/** What every object answers besides its methods: socket upgrades. */
export type Upgradable = { fetch(request: Request): Promise<Response> };

/** Bindings that lead to objects; the generated `Env` has them all. */
export type ObjectEnv = Pick<Env, "ROOMS" | "SESSIONS" | "SHARDS" | "CACHE_STORE" | "METRICS">;

export function roomOf(env: ObjectEnv, conversationId: string): RoomRpc {
  return env.ROOMS.getByName(conversationId);
}

/**
 * Ids of sessions by user: making one from a name hashes it, which is an eighth of the cost of a
 * delivery (measured). Ids are values; the map may vanish with the isolate at any time.
 */
const sessionIds = new Map<string, DurableObjectId>();
const SESSION_IDS = 20_000;

export function sessionOf(env: ObjectEnv, userId: string): SessionRpc & Upgradable {
  let id = sessionIds.get(userId);
  if (id === undefined) {
    if (sessionIds.size >= SESSION_IDS) {
      sessionIds.clear();
    }
    id = env.SESSIONS.idFromName(userId);
    sessionIds.set(userId, id);
  }
  return env.SESSIONS.get(id);
}

/** The shard of a user in a big room: always the same one, so that the order of their sends holds. */
export function shardOf(env: ObjectEnv, conversationId: string, userId: string, shards: number): ShardRpc & Upgradable {
  return shardAt(env, conversationId, shardNumber(userId, shards));
}

export function shardAt(env: ObjectEnv, conversationId: string, shard: number): ShardRpc & Upgradable {
  return env.SHARDS.getByName(`${conversationId}${SHARD_SEPARATOR}${shard}`);
}

/** Where the cache's objects are found. Less than the generated binding, so that a test can stand in for them. */
export type CacheEnv = { readonly CACHE_STORE: { getByName(name: string): CacheRpc } };

export function cacheAt(env: CacheEnv, shard: number): CacheRpc {
  return env.CACHE_STORE.getByName(`cache-${shard}`);
}

/** There is one: it is asked every 10 s by each isolate that is busy, and by whoever scrapes. */
export function metricsOf(env: ObjectEnv): MetricsRpc {
  return env.METRICS.getByName("metrics");
}

/**
 * What handlers work with, made once a request. They never touch a binding: every way out of the Worker is named here.
 */
import { busOf } from "../bus/index.ts";
import type { Bus } from "../bus/types.ts";
import { cacheOf } from "../cache/index.ts";
import type { Cache } from "../cache/types.ts";
import type { RoomView } from "../domain/commands.ts";
import type { ContentFilter } from "../domain/contentFilter.ts";
import { systemClock, type Clock } from "../platform/clock.ts";
import { contentFilterOf } from "../platform/contentFilter.ts";
import type { RoomRpc, SessionRpc } from "../platform/rpc.ts";
import type { Settings } from "../platform/settings.ts";
import { roomOf, sessionOf, shardOf, type Upgradable } from "../platform/stubs.ts";
import { accessTokens, type AccessTokens } from "../platform/tokens.ts";
import type { Result } from "../protocol/errors.ts";
import { publishOutbox } from "../queues/sqlOutbox.ts";
import { ensureDirect } from "../repo/directs.ts";
import { repositories, type Repo } from "../repo/index.ts";
import { brakesOf, type Brakes } from "./brakes.ts";

export interface Services {
  readonly settings: Settings;
  readonly repo: Repo;
  readonly cache: Cache;
  readonly bus: Bus;
  readonly tokens: AccessTokens;
  readonly clock: Clock;
  readonly brakes: Brakes;
  /** For names that everybody sees; a room has its own for what is said in it. */
  readonly content: ContentFilter;
  room(conversationId: string): RoomRpc;
  session(userId: string): SessionRpc & Upgradable;
  /** The shard that this user reads a big room through. */
  shard(conversationId: string, userId: string): Upgradable;
  /** The direct conversation of two friends, made if need be. */
  direct(a: string, b: string): Promise<Result<RoomView>>;
  /** Puts on the bus what this user's changes left in the SQL outbox. */
  publishEvents(ownerId: string): Promise<void>;
  /** For the few functions that the objects use as well and that take the environment. */
  readonly env: Env;
}

/** The services of this environment. */
export function servicesOf(env: Env, settings: Settings): Services {
  return {
    env,
    settings,
    repo: repositories(env),
    cache: cacheOf(env),
    bus: busOf(env),
    tokens: accessTokens(settings.jwtKeys, settings.limits.accessTokenMs),
    clock: systemClock,
    brakes: brakesOf(env),
    content: contentFilterOf(env),
    room: (conversationId) => roomOf(env, conversationId),
    session: (userId) => sessionOf(env, userId),
    shard: (conversationId, userId) => shardOf(env, conversationId, userId, settings.worldShards),
    direct: (a, b) => ensureDirect(env, a, b),
    publishEvents: async (ownerId) => {
      await publishOutbox(env, ownerId);
    },
  };
}

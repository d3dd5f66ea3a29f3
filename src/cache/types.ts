/** The cache as the rest of the Worker sees it: one call, several commands, answers in order. */
import type { CacheCommand, CacheReply } from "../platform/rpc.ts";

export type { CacheCommand, CacheReply } from "../platform/rpc.ts";

export interface Cache {
  /** Throws when the cache cannot be reached: callers go on without it. */
  pipeline(commands: CacheCommand[]): Promise<CacheReply[]>;
}

/** Keys and lives. Source: DESIGN section 4 "Cache". */
export const CACHE_KEYS = {
  online: (userId: string) => `user:online:${userId}`,
  /** Gone, but for so short a time that friends still see the user online. Durable, by its beginning, as presence itself. */
  away: (userId: string) => `user:online:away:${userId}`,
  headSeqId: (conversationId: string) => `conv_seq:${conversationId}`,
  /** Version after the last change of a message: a client that connects must not be told an older one. */
  version: (conversationId: string) => `conv_version:${conversationId}`,
  hotMessages: (conversationId: string) => `hot_messages:${conversationId}`,
  profile: (userId: string) => `user:profile:${userId}`,
  conversations: (userId: string) => `user:conversations:${userId}`,
  friends: (userId: string) => `user:friends:${userId}`,
  /**
   * Since when the cache has held presence without being emptied, epoch milliseconds. Presence
   * that is absent proves somebody away only if the cache is older than a lease.
   */
  presenceSince: "presence:since",
} as const;

/** Lives of keys by how warm they are kept, in milliseconds. Source: DESIGN section 4 "Cache", L2 and L3. */
export const LIVES_MS = { warm: 30 * 60_000, cold: 2 * 3_600_000 } as const;

/** Life of `hot_messages`, from its last change. Source: DESIGN section 4 "Cache". */
export const HOT_LIFE_MS = 7 * 24 * 3_600_000;

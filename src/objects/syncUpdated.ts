/** The part of `sync` that tells of messages which the client knows and which have changed since. */
import { CACHE_KEYS, type Cache } from "../cache/types.ts";
import type { Actor } from "../domain/commands.ts";
import { jsonBytes } from "../domain/jsonSize.ts";
import type { SeenMessage } from "../domain/records.ts";
import { roomOf } from "../platform/stubs.ts";
import type { SyncedConversation } from "../protocol/things.ts";
import { repositories } from "../repo/index.ts";

/** Changed messages in one answer for each conversation, the latest changes; history has the others as they are now. */
const UPDATED = 200;

/** JSON of all changed messages in one answer; with the new ones still below what counts as a slow reader. */
const UPDATED_BYTES = 256 * 1024;

/**
 * Versions of conversations as the fan-out of changed messages has put them into the cache before it looked who is online: a
 * client that connected after that look finds the change here, also where SQL is a moment behind.
 */
export async function readVersions(cache: Cache, conversationIds: readonly string[]): Promise<Map<string, number>> {
  if (conversationIds.length === 0) {
    return new Map();
  }
  try {
    const [reply] = await cache.pipeline([["MGET", ...conversationIds.map(CACHE_KEYS.version)]]);
    const cached = Array.isArray(reply) ? reply : [];
    return new Map(conversationIds.map((id, index) => [id, Number(cached[index] ?? 0)]));
  } catch {
    // SQL's versions are a moment behind, no more; without the cache everybody was told as if online.
    return new Map();
  }
}

/**
 * Messages that changed after `version`, as they are now; those that have left the log come from SQL. Also such as the client does
 * not have yet: they may be on their way to it in the form that they had before. Undefined for who is no member.
 */
export async function updatedSince(
  env: Env,
  actor: Actor,
  conversationId: string,
  version: number,
): Promise<SeenMessage[] | undefined> {
  const room = roomOf(env, conversationId);
  const found = await room.changedSince(actor, version, Number.MAX_SAFE_INTEGER, UPDATED);
  if (!found.ok || found.value.older.length === 0) {
    return found.ok ? found.value.messages : undefined;
  }
  const { messages, older } = found.value;
  const [rows, reactions] = await Promise.all([
    repositories(env).messages.at(conversationId, older),
    room.reactions(actor, older),
  ]);
  const seen = rows.map((row): SeenMessage => {
    const own = reactions.ok && row.recalledAt === undefined ? reactions.value[row.seqId] : undefined;
    return own === undefined ? row : { ...row, reactions: own };
  });
  return [...seen, ...messages];
}

/** What does not fit is left out, the oldest messages first: the client finds it in the history. */
export function updatedWithinBytes(conversations: readonly SyncedConversation[]): SyncedConversation[] {
  let left = UPDATED_BYTES;
  return conversations.map((synced) => {
    const last = synced.updated.findLastIndex((message) => {
      left -= jsonBytes(message);
      return left < 0;
    });
    return last < 0 ? synced : { ...synced, updated: synced.updated.slice(last + 1) };
  });
}

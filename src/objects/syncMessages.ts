/** The part of `sync` that is messages: those that a client lacks. */
import { CACHE_KEYS, type Cache } from "../cache/types.ts";
import type { Actor } from "../domain/commands.ts";
import type { SeenMessage } from "../domain/records.ts";
import { followsOn, hotRanks, SYNC_MESSAGES } from "../domain/syncPlan.ts";
import { wholePage, type HistoryRange } from "../http/history.ts";
import { roomOf } from "../platform/stubs.ts";
import { repositories } from "../repo/index.ts";
import type { ConversationItem } from "../repo/types.ts";

/** The first messages after each `after`, by conversation, with one pipeline; left out where the cache does not have them without a hole. */
export async function hotMessages(
  cache: Cache,
  items: readonly ConversationItem[],
  after: ReadonlyMap<string, number>,
): Promise<Map<string, SeenMessage[]>> {
  const behind = items.flatMap(({ conversation: { conversationId: id }, headSeqId }) => {
    const from = after.get(id) ?? 0;
    return headSeqId > from ? [{ id, from, headSeqId }] : [];
  });
  const found = new Map<string, SeenMessage[]>();
  if (behind.length === 0) {
    return found;
  }
  try {
    const replies = await cache.pipeline(
      // Ranks from the end, where the head is.
      behind.map(({ id, from, headSeqId }) => ["ZRANGE", CACHE_KEYS.hotMessages(id), ...hotRanks(from, headSeqId)]),
    );
    for (const [index, { id, from }] of behind.entries()) {
      const reply = replies[index];
      // Only the rooms write there, from typed rows.
      const rows = (Array.isArray(reply) ? reply : [])
        .filter((text) => text !== null)
        .map((text) => JSON.parse(text) as SeenMessage);
      if (followsOn(rows, from)) {
        found.set(id, rows);
      }
    }
  } catch {
    // The logs have them as well.
  }
  return found;
}

/** The first messages after `after`, from the room's log, or from SQL when they have left it; undefined for who is no member. */
export async function logged(
  env: Env,
  actor: Actor,
  conversationId: string,
  after: number,
): Promise<SeenMessage[] | undefined> {
  const room = roomOf(env, conversationId);
  const range = { after, limit: SYNC_MESSAGES };
  const page = await room.history(actor, range);
  if (!page.ok) {
    return undefined;
  }
  const older = (missing: HistoryRange) => repositories(env).conversations.messages(conversationId, missing);
  return wholePage(page.value, range, older, (seqIds) => room.reactions(actor, seqIds));
}

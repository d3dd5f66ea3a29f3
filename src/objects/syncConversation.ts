/** One conversation of a `sync`: what its member lacks, and how it stands. */
import type { Actor } from "../domain/commands.ts";
import { messageFor, WORLD, type SeenMessage, type StoredMessage } from "../domain/records.ts";
import { changesUpTo, hasChanges, knownHead, withoutThese, type Standing } from "../domain/syncPlan.ts";
import { messageAt, presentItem, type SeenBy } from "../http/views.ts";
import { roomOf } from "../platform/stubs.ts";
import type { SyncRequest } from "../protocol/frames.ts";
import type { SyncedConversation, User } from "../protocol/things.ts";
import type { ConversationItem } from "../repo/types.ts";
import { logged } from "./syncMessages.ts";
import { updatedSince } from "./syncUpdated.ts";

/** What was read for all conversations of the answer together; maps are by conversation, `peers` by user. */
type Parts = {
  env: Env;
  actor: Actor;
  request: SyncRequest;
  here: SeenBy;
  standingOf(item: ConversationItem): Standing;
  /** Versions as the cache has them. */
  cachedVersions: ReadonlyMap<string, number>;
  /** The sequence number after which its messages are wanted. */
  after: ReadonlyMap<string, number>;
  peers: ReadonlyMap<string, User>;
  newestCached: ReadonlyMap<string, StoredMessage>;
  /** Messages after `after`, where the cache has them without a hole. */
  hot: ReadonlyMap<string, SeenMessage[]>;
};

/**
 * @param item with the head that was read together with its version
 * @returns undefined for who is no member any more
 */
export async function syncConversation(parts: Parts, item: ConversationItem): Promise<SyncedConversation | undefined> {
  const { env, actor, request, here, cachedVersions, after, peers, newestCached, hot } = parts;
  const id = item.conversation.conversationId;
  const from = after.get(id) ?? 0;
  const standing = parts.standingOf(item);
  const known = knownHead(request, id);
  const isChanged = hasChanges(known, standing);
  // Where its room is asked for changes the log is as near, and newer than the cache.
  const cached = item.headSeqId > from && !isChanged ? hot.get(id) : undefined;
  const changes = isChanged ? await updatedSince(env, actor, id, known.version) : [];
  const messages = item.headSeqId > from ? (cached ?? (await logged(env, actor, id, from))) : [];
  const upTo = changesUpTo(standing, cachedVersions.get(id) ?? 0, cached !== undefined);
  if (messages === undefined || changes === undefined) {
    // Removed while this was read: a version without its changes would hide them for good, should they come back.
    return undefined;
  }
  const updated = withoutThese(changes, messages);
  const newest = messages.at(-1);
  const reached = newest?.seqId ?? from;
  // What came while this was read counts in all of it, or in none.
  const cachedLast = newestCached.get(id);
  // Behind the head that was read with the version the cache may have what was said after a removal; nobody leaves the world.
  const inWorld = item.conversation.type === WORLD ? (cachedLast?.seqId ?? 0) : 0;
  const headSeqId = Math.max(item.headSeqId, newest?.seqId ?? 0, inWorld);
  const found = newest?.seqId === headSeqId ? newest : cachedLast;
  // Who was a member when it was the head: nothing of this asks whether they still are.
  const last = found?.seqId === headSeqId ? found : await messageAt(roomOf(env, id), headSeqId);
  const lastMessage = changes.find(({ seqId }) => seqId === headSeqId) ?? last ?? null;
  const own = messages.findLast((message) => message.senderId === actor.userId)?.seqId ?? 0;
  const shown = { ...item, headSeqId, readSeqId: Math.max(item.readSeqId, own), lastMessage };
  return {
    ...presentItem(shown, actor.userId, here, peers),
    messages: messages.map((message) => messageFor(message, actor.userId)),
    hasMore: reached < headSeqId,
    ...(upTo === item.conversation.version ? {} : { changesUpTo: upTo }),
    updated: updated.map((message) => messageFor(message, actor.userId)),
  };
}

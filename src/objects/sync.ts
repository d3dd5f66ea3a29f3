/**
 * What a client that comes back has missed: one indexed query, one pipelined cache read, however
 * long it was away. Only a cold cache asks rooms, each once.
 */
import { coalesced } from "../cache/coalesced.ts";
import { CACHE_KEYS, type Cache } from "../cache/types.ts";
import type { Actor } from "../domain/commands.ts";
import { jsonBytes } from "../domain/jsonSize.ts";
import { messageFor, WORLD, type SeenMessage } from "../domain/records.ts";
import type { Later } from "../cache/lastKnown.ts";
import { conversationPage } from "../http/lists.ts";
import { peersOf, presentItem, withNewest, type SeenBy } from "../http/views.ts";
import { systemClock } from "../platform/clock.ts";
import { roomOf } from "../platform/stubs.ts";
import { ok, type Result } from "../protocol/errors.ts";
import type { SyncRequest, SyncResult } from "../protocol/frames.ts";
import type { SyncedConversation } from "../protocol/things.ts";
import { repositories } from "../repo/index.ts";
import type { ConversationItem } from "../repo/types.ts";
import { furtherUnlisted, unlistedOf } from "./syncUnlisted.ts";
import { readVersions, updatedSince, updatedWithinBytes } from "./syncUpdated.ts";

/** Conversations in one answer. */
const PAGE = 100;
/** Messages after each known head. Source: WIRE, `sync`. */
const MESSAGES = 50;
/**
 * JSON of all messages in one answer; the rest is left to `hasMore`. Well below the bytes at which a socket counts as slow
 * (`SLOW_READER_BYTES`): else the first frame behind a long answer would close it, and the client would come back for the same.
 */
const MESSAGES_BYTES = 512 * 1024;
/** Rooms asked at one time when the cache does not know them. */
const SLICE = 50;

type Known = { seqId: number; version: number };

function knownOf(request: SyncRequest, conversationId: string): Known | undefined {
  const head = request.heads[conversationId];
  if (head === undefined) {
    return undefined;
  }
  return typeof head === "number"
    ? { seqId: head, version: Number.MAX_SAFE_INTEGER }
    : { seqId: head.seqId, version: head.version ?? Number.MAX_SAFE_INTEGER };
}

/** Heads of conversations: from the cache, else from the rooms, never older than SQL's. */
export async function readHeads(
  env: Env,
  cache: Cache,
  items: readonly { conversation: { conversationId: string }; headSeqId: number }[],
  seen: ReadonlyMap<string, number> = new Map(),
): Promise<Map<string, number>> {
  const ids = items.map((item) => item.conversation.conversationId);
  const heads = new Map<string, number>();
  let cached: (string | null)[] = [];
  try {
    const [reply] = ids.length === 0 ? [] : await cache.pipeline([["MGET", ...ids.map(CACHE_KEYS.headSeqId)]]);
    cached = Array.isArray(reply) ? reply : [];
  } catch {
    // Without the cache the rooms are asked.
  }
  const cold: string[] = [];
  items.forEach((item, index) => {
    const value = cached[index];
    const id = item.conversation.conversationId;
    if (value === null || value === undefined) {
      cold.push(id);
    }
    heads.set(id, Math.max(item.headSeqId, Number(value ?? 0), seen.get(id) ?? 0));
  });
  for (let at = 0; at < cold.length; at += SLICE) {
    await Promise.all(
      cold.slice(at, at + SLICE).map(async (id) => {
        const { headSeqId } = await roomOf(env, id).readLog(0, 0);
        heads.set(id, Math.max(heads.get(id) ?? 0, headSeqId));
      }),
    );
  }
  return heads;
}

export async function buildSync(
  env: Env,
  plainCache: Cache,
  actor: Actor,
  here: SeenBy,
  request: SyncRequest,
  later: Later,
): Promise<Result<SyncResult>> {
  // What does not wait for each other is one pipeline: first heads and versions, then all about those that have changed.
  const cache = coalesced(plainCache);
  const sources = { repo: repositories(env), cache, room: (id: string) => roomOf(env, id), later };
  const further = furtherUnlisted(request.cursor);
  const page: Awaited<ReturnType<typeof conversationPage>> =
    further === undefined
      ? await conversationPage(sources, actor, { limit: PAGE, cursor: request.cursor })
      : ok({ items: [], nextCursor: further.listCursor });
  if (!page.ok) {
    return page;
  }
  const { degraded } = page.value;
  const unlisted =
    request.cursor === undefined || further !== undefined
      ? await unlistedOf(env, actor, request, page.value, further?.after)
      : { items: [], removed: [], nextCursor: null };
  const items = [...page.value.items, ...unlisted.items];
  const ids = items.map((item) => item.conversation.conversationId);
  const [heads, versions] = await Promise.all([readHeads(env, cache, items, here.heads), readVersions(cache, ids)]);
  const isNewer = ({ conversation }: ConversationItem, known: Known): boolean =>
    Math.max(conversation.version, versions.get(conversation.conversationId) ?? 0) > known.version;
  const changed = items.filter((item) => {
    const known = knownOf(request, item.conversation.conversationId);
    const head = heads.get(item.conversation.conversationId) ?? item.headSeqId;
    return known === undefined || head > known.seqId || isNewer(item, known);
  });
  const atHeads = changed.map((item) => ({
    ...item,
    headSeqId: Math.max(item.headSeqId, heads.get(item.conversation.conversationId) ?? 0),
  }));
  const after = new Map(atHeads.map((item) => [item.conversation.conversationId, afterOf(request, item)]));
  const [peers, fresh, hot] = await Promise.all([
    peersOf(sources, actor.userId, changed),
    withNewest({ cache, room: (id) => roomOf(env, id) }, changed, heads),
    hotMessages(cache, atHeads, after),
  ]);
  const conversations = await Promise.all(
    fresh.map(async (item): Promise<SyncedConversation> => {
      const id = item.conversation.conversationId;
      const from = after.get(id) ?? 0;
      const messages = item.headSeqId > from ? (hot.get(id) ?? (await logged(env, actor, id, from))) : [];
      const known = knownOf(request, id);
      const updated =
        known !== undefined && isNewer(item, known) ? await updatedSince(env, actor, id, known.version, from) : [];
      const newest = messages.at(-1);
      const reached = newest?.seqId ?? from;
      // What came while this was read counts in all of it, or in none.
      const isLast = newest !== undefined && reached > (item.lastMessage?.seqId ?? 0);
      const headSeqId = Math.max(item.headSeqId, newest?.seqId ?? 0);
      const own = messages.findLast((message) => message.senderId === actor.userId)?.seqId ?? 0;
      const readSeqId = Math.max(item.readSeqId, own);
      const shown = { ...item, headSeqId, readSeqId, ...(isLast ? { lastMessage: newest } : {}) };
      return {
        ...presentItem(shown, actor.userId, here, peers),
        messages: messages.map((message) => messageFor(message, actor.userId)),
        hasMore: reached < headSeqId,
        updated: updated.map((message) => messageFor(message, actor.userId)),
      };
    }),
  );
  return ok({
    conversations: withinBytes(conversations),
    removed: unlisted.removed,
    nextCursor: unlisted.nextCursor ?? page.value.nextCursor,
    serverTime: systemClock.now(),
    ...(degraded === undefined ? {} : { degraded }),
  });
}

/** In the order of the list: what stands first there keeps its messages. */
function withinBytes(conversations: readonly SyncedConversation[]): SyncedConversation[] {
  let left = MESSAGES_BYTES;
  return updatedWithinBytes(conversations).map((synced) => {
    const end = synced.messages.findIndex((message) => {
      left -= jsonBytes(message);
      return left < 0;
    });
    return end < 0 ? synced : { ...synced, messages: synced.messages.slice(0, end), hasMore: true };
  });
}

/** What the client has of a conversation; of the world, whose beginning is of no use to who never was there, all but the newest. */
function afterOf(request: SyncRequest, item: ConversationItem): number {
  const unknown = item.conversation.type === WORLD ? Math.max(0, item.headSeqId - MESSAGES) : 0;
  return knownOf(request, item.conversation.conversationId)?.seqId ?? unknown;
}

/** The first messages after each `after`, by conversation, with one pipeline; left out where the cache does not have them without a hole. */
async function hotMessages(
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
      behind.map(({ id, from, headSeqId }) => [
        "ZRANGE",
        CACHE_KEYS.hotMessages(id),
        from - headSeqId,
        Math.min(-1, from - headSeqId + MESSAGES - 1),
      ]),
    );
    for (const [index, { id, from }] of behind.entries()) {
      const reply = replies[index];
      // Only the rooms write there, from typed rows.
      const rows = (Array.isArray(reply) ? reply : [])
        .filter((text) => text !== null)
        .map((text) => JSON.parse(text) as SeenMessage);
      if (rows.length > 0 && rows.every((message, n) => message.seqId === from + 1 + n)) {
        found.set(id, rows);
      }
    }
  } catch {
    // The logs have them as well.
  }
  return found;
}

/** The first messages after `after`, from the room's log, or from SQL when they have left it. */
async function logged(env: Env, actor: Actor, conversationId: string, after: number): Promise<SeenMessage[]> {
  const page = await roomOf(env, conversationId).history(actor, { after, limit: MESSAGES });
  if (page.ok && page.value.firstSeqId <= after + 1) {
    return page.value.messages;
  }
  return page.ok ? repositories(env).conversations.messages(conversationId, { after, limit: MESSAGES }) : [];
}

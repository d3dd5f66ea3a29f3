/**
 * What a client that comes back has missed: one indexed query, one pipelined cache read, however
 * long it was away. Only a cold cache asks rooms, each once.
 */
import { coalesced } from "../cache/coalesced.ts";
import { CACHE_KEYS, type Cache } from "../cache/types.ts";
import type { Actor } from "../domain/commands.ts";
import { jsonBytes } from "../domain/jsonSize.ts";
import { WORLD } from "../domain/records.ts";
import { isNews, knownHead, mayCacheHead, reaches, startOf, type Standing } from "../domain/syncPlan.ts";
import type { Later } from "../cache/lastKnown.ts";
import { conversationPage } from "../http/lists.ts";
import { newestInCache, peersOf, type SeenBy } from "../http/views.ts";
import { systemClock } from "../platform/clock.ts";
import type { CacheCommand } from "../platform/rpc.ts";
import { roomOf } from "../platform/stubs.ts";
import { ok, type Result } from "../protocol/errors.ts";
import type { SyncRequest, SyncResult } from "../protocol/frames.ts";
import type { SyncedConversation } from "../protocol/things.ts";
import { repositories } from "../repo/index.ts";
import type { ConversationItem } from "../repo/types.ts";
import { asRoomsSay } from "./syncMembers.ts";
import { syncConversation } from "./syncConversation.ts";
import { hotMessages } from "./syncMessages.ts";
import { furtherUnlisted, unlistedOf } from "./syncUnlisted.ts";
import { readVersions, updatedWithinBytes } from "./syncUpdated.ts";

/** Conversations in one answer: most people's all, some 100 KB as list items. Fewer, where these alone are too long. */
const PAGES = [250, 50, 10] as const;
/** JSON of an answer's list items: announcements and last messages may be long. */
const ITEMS_BYTES = 192 * 1024;
/**
 * JSON of all messages in one answer; the rest is left to `hasMore`. With items and changed messages below the bytes at which a
 * socket counts as slow (`SLOW_READER_BYTES`): else the first frame behind a long answer would close it, and the client would come back for the same.
 */
const MESSAGES_BYTES = 384 * 1024;
/** Rooms asked at one time. */
const SLICE = 50;

/**
 * Heads of conversations: from the cache, else from the rooms, never older than SQL's. What the rooms said goes to the cache
 * (`mayCacheHead`).
 * @param versions takes the versions of conversations whose rooms were asked: a cache that was emptied has lost them
 */
export async function readHeads(
  env: Env,
  cache: Cache,
  items: readonly Pick<ConversationItem, "conversation" | "headSeqId">[],
  later: Later,
  seen: ReadonlyMap<string, number> = new Map(),
  versions: Map<string, number> = new Map(),
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
  const cold: { id: string; version: number }[] = [];
  items.forEach((item, index) => {
    const value = cached[index];
    const { conversationId: id, version } = item.conversation;
    if (value === null || value === undefined) {
      cold.push({ id, version });
    }
    heads.set(id, Math.max(item.headSeqId, Number(value ?? 0), seen.get(id) ?? 0));
  });
  const found: CacheCommand[] = [];
  for (let at = 0; at < cold.length; at += SLICE) {
    await Promise.all(
      cold.slice(at, at + SLICE).map(async ({ id, version: inSql }) => {
        const { headSeqId, version = 0 } = await roomOf(env, id).readLog(0, 0);
        heads.set(id, Math.max(heads.get(id) ?? 0, headSeqId));
        versions.set(id, version);
        if (mayCacheHead(version, inSql)) {
          found.push(["SETMAX", CACHE_KEYS.headSeqId(id), String(headSeqId)]);
        }
      }),
    );
  }
  if (found.length > 0) {
    // Without the cache they are asked again.
    later(cache.pipeline(found).catch(() => undefined));
  }
  return heads;
}

export async function buildSync(
  env: Env,
  cache: Cache,
  actor: Actor,
  here: SeenBy,
  request: SyncRequest,
  later: Later,
): Promise<Result<SyncResult>> {
  const [most, ...fewer] = PAGES;
  let synced = await syncPage(env, cache, actor, here, request, later, most);
  // A page of what the list does not hold has a limit of its own.
  const hasList = furtherUnlisted(request.cursor) === undefined;
  for (const limit of hasList ? fewer : []) {
    if (synced.ok && itemBytes(synced.value.conversations) > ITEMS_BYTES) {
      synced = await syncPage(env, cache, actor, here, request, later, limit);
    }
  }
  return synced;
}

function itemBytes(conversations: readonly SyncedConversation[]): number {
  return conversations.reduce((sum, one) => sum + jsonBytes({ ...one, messages: [], updated: [] }), 0);
}

/** @param limit how many conversations of the list are looked at */
async function syncPage(
  env: Env,
  plainCache: Cache,
  actor: Actor,
  here: SeenBy,
  request: SyncRequest,
  later: Later,
  limit: number,
): Promise<Result<SyncResult>> {
  // What does not wait for each other is one pipeline: first heads and versions, then all about those that have changed.
  const cache = coalesced(plainCache);
  const sources = { repo: repositories(env), cache, room: (id: string) => roomOf(env, id), later };
  const further = furtherUnlisted(request.cursor);
  const page: Awaited<ReturnType<typeof conversationPage>> =
    further === undefined
      ? await conversationPage(sources, actor, { limit, cursor: request.cursor }, "listWithoutMessages")
      : ok({ items: [], nextCursor: further.listCursor });
  if (!page.ok) {
    return page;
  }
  const { degraded } = page.value;
  const unlisted =
    request.cursor === undefined || further !== undefined
      ? await unlistedOf(env, actor, request, page.value, further?.after)
      : { items: [], removed: [], nextCursor: null };
  const listed = [...page.value.items, ...unlisted.items];
  const ids = listed.map((item) => item.conversation.conversationId);
  const roomVersions = new Map<string, number>();
  const [heads, cachedVersions] = await Promise.all([
    readHeads(env, cache, listed, later, here.heads, roomVersions),
    readVersions(cache, ids),
  ]);
  const versions = new Map(cachedVersions);
  for (const [id, version] of roomVersions) {
    versions.set(id, Math.max(version, versions.get(id) ?? 0));
  }
  const { items, removed } = await asRoomsSay(env, actor, listed, versions);
  const standingOf = ({
    conversation: { conversationId: id, type, version },
    ...item
  }: ConversationItem): Standing => ({
    headSeqId: Math.max(item.headSeqId, heads.get(id) ?? 0),
    version: Math.max(version, versions.get(id) ?? 0),
    readSeqId: type === WORLD ? here.worldReadSeqId : Math.max(item.readSeqId, here.reads.get(id) ?? 0),
  });
  const changed = items.filter((item) =>
    isNews(knownHead(request, item.conversation.conversationId), standingOf(item)),
  );
  const atHeads = changed.map((item) => ({ ...item, headSeqId: standingOf(item).headSeqId }));
  const after = new Map(
    atHeads.map(({ conversation: { conversationId: id, type }, headSeqId }) => [
      id,
      startOf(knownHead(request, id), type, headSeqId),
    ]),
  );
  // The others end with what they lack.
  const isPastReach = ({ conversation: { conversationId: id }, headSeqId }: ConversationItem): boolean =>
    !reaches(after.get(id) ?? 0, headSeqId);
  const [peers, newestCached, hot] = await Promise.all([
    peersOf(sources, actor.userId, changed),
    newestInCache({ cache }, atHeads.filter(isPastReach)),
    hotMessages(cache, atHeads, after),
  ]);
  const parts = { env, actor, request, here, standingOf, cachedVersions, after, peers, newestCached, hot };
  const synced = async (item: ConversationItem): Promise<SyncedConversation[]> => {
    const one = await syncConversation(parts, item);
    if (one === undefined) {
      removed.push(item.conversation.conversationId);
    }
    return one === undefined ? [] : [one];
  };
  const conversations: SyncedConversation[] = [];
  for (let at = 0; at < atHeads.length; at += SLICE) {
    const slice = await Promise.all(atHeads.slice(at, at + SLICE).map(synced));
    conversations.push(...slice.flat());
  }
  return ok({
    conversations: withinBytes(conversations),
    removed: [...unlisted.removed, ...removed],
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

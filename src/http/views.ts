/** Views of conversations that several routes answer with. */
import { CACHE_KEYS } from "../cache/types.ts";
import type { Actor, RoomView } from "../domain/commands.ts";
import { messageFor, WORLD, WORLD_ROOM_ID, type ConversationState, type StoredMessage } from "../domain/records.ts";
import { peerOfDirect } from "../platform/ids.ts";
import type { RoomRpc } from "../platform/rpc.ts";
import type { Result } from "../protocol/errors.ts";
import type { ConversationAnswer } from "../protocol/rest.ts";
import type { ListItem, User } from "../protocol/things.ts";
import type { ConversationItem } from "../repo/types.ts";
import { profilesOf, type ListSources } from "./lists.ts";
import { presentConversation, presentUser } from "./present.ts";
import type { Services } from "./services.ts";

/**
 * The world room as this user has it: its head from the room; its name and member count from SQL, which counts the
 * accounts; the pointer from the user's own object. With SQL away it is shown without its count.
 */
export async function worldView(services: Services, actor: Actor): Promise<Result<RoomView>> {
  const [view, known, readSeqId] = await Promise.all([
    services.room(WORLD_ROOM_ID).view(actor),
    worldInSql(services, actor.userId),
    services.session(actor.userId).worldReadSeqId(),
  ]);
  if (!view.ok) {
    return view;
  }
  const conversation = { ...view.value.conversation, ...known };
  return { ok: true, value: { ...view.value, conversation, readSeqId: Math.min(readSeqId, view.value.headSeqId) } };
}

/**
 * The world room after a change, which SQL may be a moment behind; what its room does not know (who is in it, since when,
 * how far this user has read) is as everybody sees it.
 */
export async function changedWorld(services: Services, actor: Actor, changed: RoomView): Promise<RoomView> {
  const view = await worldView(services, actor);
  if (!view.ok) {
    return changed;
  }
  const { memberCount, createdAt } = view.value.conversation;
  return { ...view.value, conversation: { ...changed.conversation, memberCount, createdAt } };
}

/** The world room with what SQL knows of it; with SQL away as its room has it. */
export async function worldState(services: Services, inRoom: ConversationState): Promise<ConversationState> {
  return { ...inRoom, ...(await worldInSql(services, "")) };
}

async function worldInSql(services: Services, userId: string): Promise<ConversationState | undefined> {
  const items = await services.repo.conversations.items(userId, [WORLD_ROOM_ID]).catch(() => []);
  return items[0]?.conversation;
}

/** A conversation as its room shows it to this user. */
export function viewOf(services: Services, actor: Actor, conversationId: string): Promise<Result<RoomView>> {
  return conversationId === WORLD_ROOM_ID ? worldView(services, actor) : services.room(conversationId).view(actor);
}

/** The answer for one conversation. */
export function presentView(view: RoomView): ConversationAnswer {
  return {
    ...presentConversation(view.conversation, view.headSeqId),
    role: view.role,
    readSeqId: view.readSeqId,
    unreadCount: Math.max(0, view.headSeqId - view.readSeqId),
  };
}

/** The profiles of the other side of each direct conversation, by user id. */
export async function peersOf(
  sources: Omit<ListSources, "room">,
  userId: string,
  items: readonly ConversationItem[],
): Promise<Map<string, User>> {
  const ids = items.flatMap((item) => peerOfDirect(item.conversation.conversationId, userId) ?? []);
  const { users } = await profilesOf(sources, ids);
  return new Map([...users].map(([id, row]) => [id, presentUser(row)]));
}

/** What the user's own object knows better than SQL: newest sequences that passed through, and how far the user has read. */
export type SeenBy = {
  readonly heads: ReadonlyMap<string, number>;
  readonly reads: ReadonlyMap<string, number>;
  readonly worldReadSeqId: number;
};

export async function seenBy(services: Services, userId: string): Promise<SeenBy> {
  const session = services.session(userId);
  const [heads, reads, worldReadSeqId] = await Promise.all([
    session.heads(),
    session.reads(),
    session.worldReadSeqId(),
  ]);
  return { heads: new Map(Object.entries(heads)), reads: new Map(Object.entries(reads)), worldReadSeqId };
}

/** Where last messages are looked for. */
type Rooms = Pick<Services, "cache" | "room">;

/** Rooms asked at one time for a last message that neither SQL nor the cache has. */
const ROOMS_AT_ONCE = 50;

/**
 * The items with their newest heads, and the last message of each. SQL is a moment behind the rooms; where it is, the
 * message comes from the cache, all of them with one pipeline, and what the cache does not have yet from its room.
 */
export async function withNewest(
  services: Rooms,
  items: readonly ConversationItem[],
  heads: ReadonlyMap<string, number>,
  inCache?: ReadonlyMap<string, StoredMessage>,
): Promise<ConversationItem[]> {
  const fresh = items.map((item) => ({
    ...item,
    headSeqId: Math.max(item.headSeqId, heads.get(item.conversation.conversationId) ?? 0),
  }));
  const isBehind = (item: ConversationItem): boolean => item.headSeqId > (item.lastMessage?.seqId ?? 0);
  const take = (
    item: ConversationItem & { lastMessage: StoredMessage | null },
    newer: StoredMessage | undefined,
  ): void => {
    if (newer !== undefined && newer.seqId > (item.lastMessage?.seqId ?? 0)) {
      item.lastMessage = newer;
    }
  };
  const behind = fresh.filter(isBehind);
  const cached = inCache ?? (await newestInCache(services, behind));
  for (const item of behind) {
    take(item, cached.get(item.conversation.conversationId));
  }
  const still = behind.filter(isBehind);
  for (let at = 0; at < still.length; at += ROOMS_AT_ONCE) {
    const slice = still.slice(at, at + ROOMS_AT_ONCE);
    await Promise.all(
      slice.map(async (item) => {
        const room = services.room(item.conversation.conversationId);
        take(item, await messageAt(room, item.headSeqId));
      }),
    );
  }
  return fresh;
}

/** The last message of each that the cache has; none without it. */
export async function newestInCache(
  services: Pick<Rooms, "cache">,
  items: readonly ConversationItem[],
): Promise<Map<string, StoredMessage>> {
  if (items.length === 0) {
    return new Map();
  }
  const ids = items.map((item) => item.conversation.conversationId);
  try {
    const replies = await services.cache.pipeline(ids.map((id) => ["ZRANGE", CACHE_KEYS.hotMessages(id), -1, -1]));
    const found = replies.flatMap((reply) => (Array.isArray(reply) && typeof reply[0] === "string" ? reply[0] : []));
    // Only the rooms write there, from typed rows.
    const newest = found.map((text) => JSON.parse(text) as StoredMessage);
    return new Map(newest.map((message) => [message.conversationId, message]));
  } catch {
    // A cache error is never a user's error (DESIGN section 4): the rooms are asked.
    return new Map();
  }
}

/**
 * One message as its room has it: for who is or was a member, nothing here asks. Undefined when there is none, or the room does not
 * answer: one room must not cost a list.
 */
export async function messageAt(room: Pick<RoomRpc, "readLog">, seqId: number): Promise<StoredMessage | undefined> {
  if (seqId === 0) {
    return undefined;
  }
  try {
    const log = await room.readLog(seqId - 1, 1);
    return log.messages.find((message) => message.seqId === seqId);
  } catch {
    return undefined;
  }
}

/** One entry of a user's list. A sender has read their own message, also when SQL does not know it yet. */
export function presentItem(
  item: ConversationItem,
  userId: string,
  here: Pick<SeenBy, "reads" | "worldReadSeqId">,
  peers: ReadonlyMap<string, User>,
): ListItem {
  const { conversation, lastMessage, headSeqId, role, muted, pinned } = item;
  const pointer =
    conversation.type === WORLD
      ? here.worldReadSeqId
      : Math.max(item.readSeqId, here.reads.get(conversation.conversationId) ?? 0);
  const own = lastMessage?.senderId === userId ? lastMessage.seqId : 0;
  const readSeqId = Math.min(headSeqId, Math.max(pointer, own));
  const peer = peers.get(peerOfDirect(conversation.conversationId, userId) ?? "");
  return {
    conversation: presentConversation(conversation, headSeqId),
    ...(lastMessage === null ? {} : { lastMessage: messageFor(lastMessage, userId) }),
    unreadCount: headSeqId - readSeqId,
    readSeqId,
    role,
    muted,
    pinned,
    ...(peer === undefined ? {} : { peer }),
  };
}

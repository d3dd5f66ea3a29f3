/** What a sync reads of one conversation, and how it tells of it. */
import type { ChangedMessages, HistoryPage } from "../../src/domain/commands.ts";
import { changedSince } from "../../src/domain/messageViews.ts";
import {
  messageFor,
  WORLD,
  type ConversationState,
  type SeenMessage,
  type StoredMessage,
} from "../../src/domain/records.ts";
import {
  changesUpTo,
  followsOn,
  hasChanges,
  hotRanks,
  SYNC_MESSAGES,
  withoutThese,
  type KnownHead,
  type Standing,
} from "../../src/domain/syncPlan.ts";
import type { Result } from "../../src/protocol/errors.ts";
import type { SyncedConversation } from "../../src/protocol/things.ts";
import { eachOf } from "./eachOf.ts";
import { historyPage, olderReactions } from "./history.ts";
import { call, type Failed } from "./net.ts";
import type { Sim } from "./sim.ts";
import type { SqlItem } from "./sqlNode.ts";
import type { UserNode } from "./userNode.ts";

/** Changed messages of a conversation in one answer. */
const UPDATED = 200;

/** `cachedVersion`: what the cache says, 0 for nothing. */
export type Stand = Standing & { cachedVersion: number };
export type Standings = ReadonlyMap<string, Stand>;
/** A conversation that the client has to be told of. */
export type News = { item: SqlItem; standing: Stand; known: KnownHead | undefined; after: number };
export type Asker = { sim: Sim; user: UserNode };

export type Hot = { messages: StoredMessage[]; last: StoredMessage | undefined };

/** Newest messages and the last one of each, with one pipeline; nothing without the cache. */
export function readHot(
  { sim, user }: Asker,
  news: readonly News[],
  done: (hot: ReadonlyMap<string, Hot>) => void,
): void {
  if (news.length === 0) {
    done(new Map());
    return;
  }
  const ranges = news.flatMap(({ item: { id }, standing, after }): { id: string; ranks: [number, number] }[] => [
    { id, ranks: [-1, -1] },
    { id, ranks: standing.headSeqId > after ? hotRanks(after, standing.headSeqId) : [0, -Infinity] },
  ]);
  call<StoredMessage[][]>(
    sim,
    user,
    sim.cache,
    "hot",
    (reply) => sim.cache.hot(ranges, reply),
    (rows) => {
      const found = new Map<string, Hot>();
      news.forEach(({ item: { id } }, index) => {
        if (rows !== "failed") {
          found.set(id, { last: rows[2 * index]?.[0], messages: rows[2 * index + 1] ?? [] });
        }
      });
      done(found);
    },
  );
}

/** One conversation: its new messages, the known ones that changed, and its place in the list. */
export function gather(
  asker: Asker,
  news: News,
  hot: Hot | undefined,
  done: (synced: SyncedConversation | "removed" | Failed) => void,
): void {
  const { item, standing, known, after } = news;
  const { sim, user } = asker;
  let messages: SeenMessage[] = [];
  let updated: SeenMessage[] = [];
  let last = item.lastMessage;
  let isRemoved = false;
  let fromCache = false;
  const wishes: ((next: (ok: boolean) => void) => void)[] = [];
  if (standing.headSeqId > after) {
    if (hot !== undefined && !hasChanges(known, standing) && followsOn(hot.messages, after)) {
      messages = hot.messages;
      fromCache = true;
    } else {
      wishes.push((next) =>
        historyPage(sim, user, user.actor, item.id, { after, limit: SYNC_MESSAGES }, (page) => {
          messages = page !== "failed" && page.ok ? page.value : [];
          isRemoved ||= page !== "failed" && !page.ok;
          next(page !== "failed");
        }),
      );
    }
  }
  if (hasChanges(known, standing)) {
    wishes.push((next) =>
      updatedSince(asker, item.id, known.version, (rows) => {
        updated = rows === "failed" || rows === undefined ? [] : rows;
        isRemoved ||= rows === undefined;
        next(rows !== "failed");
      }),
    );
  }
  if ((hot?.last?.seqId ?? 0) > (last?.seqId ?? 0)) {
    last = hot?.last;
  }
  if (standing.headSeqId > (last?.seqId ?? 0)) {
    wishes.push((next) =>
      readLog(sim, user, item.id, standing.headSeqId - 1, 1, (page) => {
        // One room that does not answer must not cost the list.
        last = (page === "failed" ? undefined : page.messages.at(-1)) ?? last;
        next(true);
      }),
    );
  }
  eachOf(
    wishes,
    (wish, next: (ok: boolean) => void) => wish(next),
    (ok) => {
      if (ok && isRemoved) {
        done("removed");
      } else {
        const upTo = changesUpTo(standing, standing.cachedVersion, fromCache);
        const synced = present(asker, news, messages, withoutThese(updated, messages), last);
        done(ok ? { ...synced, changesUpTo: upTo } : "failed");
      }
    },
  );
}

/** Messages that changed after `version`, as they are now; those that have left the log come from SQL. */
function updatedSince(
  { sim, user }: Asker,
  id: string,
  version: number,
  done: (rows: SeenMessage[] | undefined | Failed) => void,
): void {
  const room = sim.room(id);
  call<Result<ChangedMessages>>(
    sim,
    user,
    room,
    "changedSince",
    (reply) => room.step((core) => changedSince(core, user.actor, version, Number.MAX_SAFE_INTEGER, UPDATED), reply),
    (found) => {
      if (found === "failed" || !found.ok || found.value.older.length === 0) {
        done(found === "failed" ? "failed" : found.ok ? found.value.messages : undefined);
        return;
      }
      const { messages, older } = found.value;
      call<StoredMessage[]>(
        sim,
        user,
        sim.sql,
        "at",
        (reply) => sim.sql.at(id, older, reply),
        (rows) => {
          if (rows === "failed") {
            done("failed");
            return;
          }
          olderReactions(sim, user, user.actor, id, older, (reactions) => {
            const own = reactions === "failed" ? {} : reactions;
            const seen = rows.map((row): SeenMessage => {
              const seenBy = row.recalledAt === undefined ? own[row.seqId] : undefined;
              return seenBy === undefined ? row : { ...row, reactions: seenBy };
            });
            done(reactions === "failed" ? "failed" : [...seen, ...messages]);
          });
        },
      );
    },
  );
}

export function readLog(
  sim: Sim,
  user: UserNode,
  id: string,
  after: number,
  limit: number,
  done: (page: HistoryPage | Failed) => void,
): void {
  const room = sim.room(id);
  call<HistoryPage>(
    sim,
    user,
    room,
    "readLog",
    (reply) => room.step((core) => core.readLog(after, limit), reply),
    done,
  );
}

function present(
  { user }: Asker,
  { item, standing, after }: News,
  messages: readonly SeenMessage[],
  updated: readonly SeenMessage[],
  last: StoredMessage | undefined,
): SyncedConversation {
  const { id, conversation } = item;
  const newest = messages.at(-1);
  const reached = newest?.seqId ?? after;
  const lastMessage = reached > (last?.seqId ?? 0) ? newest : last;
  const headSeqId = Math.max(standing.headSeqId, newest?.seqId ?? 0, last?.seqId ?? 0);
  const isOwn = (message: StoredMessage): boolean => message.senderId === user.name;
  const own = messages.findLast(isOwn)?.seqId ?? 0;
  const lastOwn = lastMessage !== undefined && isOwn(lastMessage) ? lastMessage.seqId : 0;
  const pointer = Math.max(item.readSeqId, own, lastOwn, user.reads.get(id) ?? 0);
  const readSeqId = conversation.type === WORLD ? 0 : Math.min(headSeqId, pointer);
  return {
    conversation: { ...wire(conversation), headSeqId },
    ...(lastMessage === undefined ? {} : { lastMessage: messageFor(lastMessage, user.name) }),
    unreadCount: headSeqId - readSeqId,
    readSeqId,
    role: 1,
    muted: false,
    pinned: false,
    messages: messages.map((message) => messageFor(message, user.name)),
    hasMore: reached < headSeqId,
    updated: updated.map((message) => messageFor(message, user.name)),
  };
}

function wire({ closedAt: _closedAt, ...state }: ConversationState): Omit<ConversationState, "closedAt"> {
  return state;
}

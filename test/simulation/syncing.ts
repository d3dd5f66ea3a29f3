/**
 * What a client that comes back has missed, as src/objects/sync.ts builds it: one SQL query, one
 * cache read, and only a cold cache asks rooms. Also a page of history, for the repair of gaps.
 */
import type { Actor, HistoryPage, RoomView } from "../../src/domain/commands.ts";
import {
  messageFor,
  WORLD,
  WORLD_ROOM_ID,
  type ConversationState,
  type StoredMessage,
} from "../../src/domain/records.ts";
import { worldState } from "../../src/domain/membership.ts";
import type { Fault, Result } from "../../src/protocol/errors.ts";
import type { SyncRequest, SyncResult } from "../../src/protocol/frames.ts";
import type { Message, SyncedConversation } from "../../src/protocol/things.ts";
import { call, type Failed, type Peer } from "./net.ts";
import type { Sim } from "./sim.ts";
import type { UserNode } from "./userNode.ts";

/** Messages after each known head. Source: WIRE, `sync`. */
const MESSAGES = 50;

type Page = { after?: number | undefined; before?: number | undefined; limit: number };
type Item = { id: string; headSeqId: number; readSeqId: number; version: number };

export function answerSync(
  sim: Sim,
  user: UserNode,
  request: SyncRequest,
  answer: (result: SyncResult | Failed) => void,
): void {
  const waitUs = user.presence.trustCacheAt - sim.kernel.now;
  if (waitUs > 0) {
    const { life } = user;
    user.busy += 1;
    sim.kernel.after(waitUs, "sync waits", user.name, () => {
      if (user.life === life) {
        user.busy -= 1;
        answerSync(sim, user, request, answer);
      }
    });
    return;
  }
  call<Item[]>(
    sim,
    user,
    sim.sql,
    "list",
    (reply) => sim.sql.list(user.name, reply),
    (listed) => {
      if (listed === "failed") {
        answer("failed");
        return;
      }
      const here = new Set(listed.map((item) => item.id));
      const unlisted = Object.keys(request.heads).filter((id) => !here.has(id));
      asked(sim, user, unlisted, (answers) => {
        if (answers === "failed") {
          answer("failed");
          return;
        }
        const items = [...listed, ...answers.items];
        withHeads(sim, user, items, (heads) => {
          if (heads === "failed") {
            answer("failed");
          } else {
            build(sim, user, request, items, answers.removed, heads, answer);
          }
        });
      });
    },
  );
}

/** SQL may be late: only a room itself can say that somebody is not its member any more. */
function asked(
  sim: Sim,
  user: UserNode,
  ids: readonly string[],
  done: (answers: { items: Item[]; removed: string[] } | Failed) => void,
): void {
  const items: Item[] = [];
  const removed: string[] = [];
  eachOf(
    ids,
    (id, next: (ok: boolean) => void) => {
      const room = sim.room(id);
      call<Result<RoomView>>(
        sim,
        user,
        room,
        "view",
        (reply) => room.step((core) => core.view(user.actor), reply),
        (view) => {
          if (view !== "failed" && view.ok) {
            const { headSeqId, readSeqId, conversation } = view.value;
            items.push({ id, headSeqId, readSeqId, version: conversation.version });
          } else if (view !== "failed") {
            removed.push(id);
          }
          next(view !== "failed");
        },
      );
    },
    (ok) => done(ok ? { items, removed } : "failed"),
  );
}

/** Heads from the cache, else from the rooms, never older than SQL's or than what passed through here. */
function withHeads(
  sim: Sim,
  user: UserNode,
  items: readonly Item[],
  done: (heads: Map<string, number> | Failed) => void,
): void {
  const ids = items.map((item) => item.id);
  call<(number | undefined)[]>(
    sim,
    user,
    sim.cache,
    "heads",
    (reply) => sim.cache.heads(ids, reply),
    (cached) => {
      const heads = new Map<string, number>();
      const cold: string[] = [];
      items.forEach((item, index) => {
        const value = cached === "failed" ? undefined : cached[index];
        if (value === undefined) {
          cold.push(item.id);
        }
        heads.set(item.id, Math.max(item.headSeqId, value ?? 0, user.heads.get(item.id) ?? 0));
      });
      eachOf(
        cold,
        (id, next: (ok: boolean) => void) => {
          const room = sim.room(id);
          call<HistoryPage>(
            sim,
            user,
            room,
            "readLog",
            (reply) => room.step((core) => core.readLog(0, 0), reply),
            (page) => {
              if (page !== "failed") {
                heads.set(id, Math.max(heads.get(id) ?? 0, page.headSeqId));
              }
              next(page !== "failed");
            },
          );
        },
        (ok) => done(ok ? heads : "failed"),
      );
    },
  );
}

function build(
  sim: Sim,
  user: UserNode,
  request: SyncRequest,
  items: readonly Item[],
  removed: string[],
  heads: ReadonlyMap<string, number>,
  answer: (result: SyncResult | Failed) => void,
): void {
  const conversations: SyncedConversation[] = [];
  const changed = items.filter((item) => {
    const known = knownOf(request, item.id);
    return known === undefined || (heads.get(item.id) ?? 0) > known.seqId || item.version > known.version;
  });
  eachOf(
    changed,
    (item, next: (ok: boolean) => void) => {
      const head = heads.get(item.id) ?? item.headSeqId;
      const world = item.id === WORLD_ROOM_ID;
      const after = knownOf(request, item.id)?.seqId ?? (world ? Math.max(0, head - MESSAGES) : 0);
      const finish = (messages: readonly StoredMessage[]): void => {
        conversations.push(present(sim, user.actor, item, head, after, messages));
        next(true);
      };
      if (head <= after) {
        finish([]);
        return;
      }
      historyPage(sim, user, user.actor, item.id, { after, limit: MESSAGES }, (page) => {
        if (page === "failed") {
          next(false);
        } else {
          finish(page.ok ? page.value : []);
        }
      });
    },
    (ok) => {
      if (sim.kernel.verbose) {
        sim.kernel.say(`${user.name} syncs ${JSON.stringify(request.heads)} → ${JSON.stringify([...heads])} ${ok}`);
      }
      answer(ok ? { conversations, removed, nextCursor: null, serverTime: sim.kernel.ms } : "failed");
    },
  );
}

/** Rows after `after`: from the room's log, or from SQL when they have left it. */
export function historyPage(
  sim: Sim,
  from: Peer,
  actor: Actor,
  id: string,
  wanted: Page,
  done: (page: Result<StoredMessage[]> | Failed) => void,
): void {
  const room = sim.room(id);
  const { after, limit } = wanted;
  call<Result<HistoryPage>>(
    sim,
    from,
    room,
    "history",
    (reply) => room.step((core) => core.history(actor, wanted), reply),
    (page) => {
      if (page === "failed") {
        done("failed");
      } else if (!page.ok) {
        done(page);
      } else if (after === undefined || page.value.firstSeqId <= after + 1) {
        done({ ok: true, value: page.value.messages });
      } else {
        call<StoredMessage[]>(
          sim,
          from,
          sim.sql,
          "page",
          (reply) => sim.sql.page(id, after, limit, reply),
          (rows) => done(rows === "failed" ? "failed" : { ok: true, value: rows }),
        );
      }
    },
  );
}

/** A device's own request, over REST. */
export function restHistory(
  sim: Sim,
  user: UserNode,
  id: string,
  { after, before, limit }: Page,
  done: (page: Message[] | Fault | undefined) => void,
): void {
  historyPage(sim, sim.gateway, user.actor, id, { after, before, limit }, (page) => {
    if (page === "failed") {
      done(undefined);
    } else {
      done(page.ok ? page.value.map((message) => messageFor(message, user.name)) : page.fault);
    }
  });
}

type Known = { seqId: number; version: number };

function knownOf(request: SyncRequest, id: string): Known | undefined {
  const head = request.heads[id];
  if (head === undefined) {
    return undefined;
  }
  const none = Number.MAX_SAFE_INTEGER;
  return typeof head === "number"
    ? { seqId: head, version: none }
    : { seqId: head.seqId, version: head.version ?? none };
}

function present(
  sim: Sim,
  actor: Actor,
  item: Item,
  head: number,
  after: number,
  messages: readonly StoredMessage[],
): SyncedConversation {
  const state: ConversationState =
    sim.sql.conversations.get(item.id)?.state ?? sim.room(item.id).store.load().state ?? worldState(item.id);
  const own = messages.findLast((message) => message.senderId === actor.userId)?.seqId ?? 0;
  const readSeqId = state.type === WORLD ? 0 : Math.min(head, Math.max(item.readSeqId, own));
  return {
    conversation: { ...state, headSeqId: head },
    unreadCount: head - readSeqId,
    readSeqId,
    role: 1,
    muted: false,
    pinned: false,
    messages: messages.map((message) => messageFor(message, actor.userId)),
    hasMore: (messages.at(-1)?.seqId ?? after) < head,
    updated: [],
  };
}

/** One after the other would take too long; all at once, and `done` hears whether each succeeded. */
function eachOf<Element>(
  items: readonly Element[],
  each: (item: Element, next: (ok: boolean) => void) => void,
  done: (ok: boolean) => void,
): void {
  let left = items.length;
  let ok = true;
  if (left === 0) {
    done(true);
  }
  for (const item of items) {
    each(item, (good) => {
      ok = ok && good;
      left -= 1;
      if (left === 0) {
        done(ok);
      }
    });
  }
}

/**
 * What a client that comes back has missed, as src/objects/sync.ts builds it: one SQL query, one pipeline for heads and
 * versions, one for newest messages, and only a cold cache asks rooms.
 */
import type { RoomView } from "../../src/domain/commands.ts";
import { WORLD } from "../../src/domain/records.ts";
import { isNews, knownHead, startOf } from "../../src/domain/syncPlan.ts";
import type { Result } from "../../src/protocol/errors.ts";
import type { SyncRequest, SyncResult } from "../../src/protocol/frames.ts";
import type { SyncedConversation } from "../../src/protocol/things.ts";
import { eachOf } from "./eachOf.ts";
import { call, type Failed } from "./net.ts";
import type { Sim } from "./sim.ts";
import type { SqlItem } from "./sqlNode.ts";
import { gather, readHot, readLog, type Asker, type News, type Stand, type Standings } from "./syncReads.ts";
import type { UserNode } from "./userNode.ts";

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
  const asker = { sim, user };
  call<SqlItem[]>(
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
      asked(asker, unlisted, (answers) => {
        if (answers === "failed") {
          answer("failed");
          return;
        }
        const items = [...listed, ...answers.items];
        withStandings(asker, items, (standings) => {
          if (standings === "failed") {
            answer("failed");
          } else {
            asRoomsSay(asker, items, standings, (now) => {
              if (now === "failed") {
                answer("failed");
              } else {
                build(asker, request, now.items, [...answers.removed, ...now.removed], standings, answer);
              }
            });
          }
        });
      });
    },
  );
}

/** SQL may be late: only a room itself can say that somebody is not its member any more. */
function asked(
  { sim, user }: Asker,
  ids: readonly string[],
  done: (answers: { items: SqlItem[]; removed: string[] } | Failed) => void,
): void {
  const items: SqlItem[] = [];
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
            items.push({ id, headSeqId, readSeqId, conversation, lastMessage: undefined });
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

/** Where a later change is known SQL has missed something, perhaps a removal: the room itself says how things stand. */
function asRoomsSay(
  asker: Asker,
  items: readonly SqlItem[],
  standings: Standings,
  done: (now: { items: SqlItem[]; removed: string[] } | Failed) => void,
): void {
  const isBehind = ({ id, conversation: { type, version } }: SqlItem): boolean =>
    type !== WORLD && (standings.get(id)?.version ?? 0) > version;
  asked(
    asker,
    items.filter(isBehind).map((item) => item.id),
    (answers) =>
      done(
        answers === "failed"
          ? "failed"
          : { items: [...items.filter((item) => !isBehind(item)), ...answers.items], removed: answers.removed },
      ),
  );
}

/** Heads from the cache, else from the rooms, never older than SQL's or than what passed through here; versions as they are known. */
function withStandings(
  { sim, user }: Asker,
  items: readonly SqlItem[],
  done: (standings: Standings | Failed) => void,
): void {
  const ids = items.map((item) => item.id);
  call<{ headSeqId: number | undefined; version: number | undefined }[]>(
    sim,
    user,
    sim.cache,
    "heads",
    (reply) => sim.cache.standings(ids, reply),
    (cached) => {
      const standings = new Map<string, Stand>();
      const cold: string[] = [];
      items.forEach((item, index) => {
        const { headSeqId, version } = (cached === "failed" ? undefined : cached[index]) ?? {};
        if (headSeqId === undefined) {
          cold.push(item.id);
        }
        standings.set(item.id, {
          headSeqId: Math.max(item.headSeqId, headSeqId ?? 0, user.heads.get(item.id) ?? 0),
          version: Math.max(item.conversation.version, version ?? 0),
          cachedVersion: version ?? 0,
          readSeqId: item.conversation.type === WORLD ? 0 : Math.max(item.readSeqId, user.reads.get(item.id) ?? 0),
        });
      });
      eachOf(
        cold,
        (id, next: (ok: boolean) => void) => {
          readLog(sim, user, id, 0, 0, (page) => {
            const standing = standings.get(id);
            if (page !== "failed" && standing !== undefined) {
              standing.headSeqId = Math.max(standing.headSeqId, page.headSeqId);
              standing.version = Math.max(standing.version, page.version ?? 0);
            }
            next(page !== "failed");
          });
        },
        (ok) => done(ok ? standings : "failed"),
      );
    },
  );
}

function build(
  asker: Asker,
  request: SyncRequest,
  items: readonly SqlItem[],
  removed: string[],
  standings: Standings,
  answer: (result: SyncResult | Failed) => void,
): void {
  const { sim, user } = asker;
  const news = items.flatMap((item): News[] => {
    const standing = standings.get(item.id) ?? {
      headSeqId: item.headSeqId,
      version: item.conversation.version,
      cachedVersion: 0,
      readSeqId: item.readSeqId,
    };
    const known = knownHead(request, item.id);
    const after = startOf(known, item.conversation.type, standing.headSeqId);
    return isNews(known, standing) ? [{ item, standing, known, after }] : [];
  });
  const conversations: SyncedConversation[] = [];
  readHot(asker, news, (hot) => {
    eachOf(
      news,
      (one, next: (ok: boolean) => void) => {
        gather(asker, one, hot.get(one.item.id), (synced) => {
          if (synced === "removed") {
            removed.push(one.item.id);
          } else if (synced !== "failed") {
            conversations.push(synced);
          }
          next(synced !== "failed");
        });
      },
      (ok) => {
        if (sim.kernel.verbose) {
          const told = conversations.map(
            ({ conversation: { conversationId, version }, changesUpTo: upTo, messages, updated }) =>
              [
                conversationId,
                version,
                upTo,
                messages.map((m) => m.seqId).join(),
                updated.map((m) => m.seqId).join(),
              ].join(":"),
          );
          sim.kernel.say(`${user.name} syncs ${JSON.stringify(request.heads)} → ${told.join(" ")} ${ok}`);
        }
        answer(ok ? { conversations, removed, nextCursor: null, serverTime: sim.kernel.ms } : "failed");
      },
    );
  });
}

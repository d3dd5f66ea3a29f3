/** Changed messages and read receipts on their way to whoever is concerned, as src/queues/messageNotice.ts and messageEvents.ts. */
import { needsMessage, staleSeqIds, tellingOf, versionToTell, type Telling } from "../../src/domain/changeNotices.ts";
import type { HistoryPage } from "../../src/domain/commands.ts";
import { sendersBetween } from "../../src/domain/messageViews.ts";
import { olderReceiptsUpTo, RECEIPT_SENDERS, receiptsAfter, receiptSenders } from "../../src/domain/receipts.ts";
import { WORLD, type FanoutTask, type MessageNotice, type StoredMessage } from "../../src/domain/records.ts";
import type { ServerFrame } from "../../src/protocol/frames.ts";
import type { Presence } from "./cacheNode.ts";
import { callEach } from "./eachOf.ts";
import { call, type Peer, type Reply } from "./net.ts";
import type { Sim } from "./sim.ts";

/** Members read from a room at one time. */
const MEMBER_PAGE = 500;

/** What became of a task: `later`: it is acknowledged, but its outbox row stays and brings it again. */
export type Told = "settled" | "later" | "again";

export function tellChange(
  sim: Sim,
  peer: Peer,
  task: FanoutTask,
  notice: MessageNotice,
  finished: (told: Told) => void,
): void {
  const { conversationId: id } = task;
  call<true>(
    sim,
    peer,
    sim.cache,
    "notice",
    (reply) => sim.cache.purge(id, staleSeqIds(notice), versionToTell(notice), reply),
    (answer) => {
      const cached: Told = answer === "failed" ? "later" : "settled";
      withMessage(sim, peer, id, notice, (message) => {
        const telling = message === "failed" ? "failed" : tellingOf(id, notice, message);
        if (telling === "failed") {
          finished("again");
        } else if (telling === undefined) {
          finished(cached);
        } else if (task.type === WORLD) {
          tellShards(sim, peer, telling, (ok) => finished(ok ? cached : "later"));
        } else {
          forOnlineMembers(
            sim,
            peer,
            id,
            (userId, done) => push(sim, peer, userId, telling.frame, done),
            (ok) => finished(ok || sim.plant.unreachedCountsAsTold === true ? cached : "again"),
          );
        }
      });
    },
  );
}

function withMessage(
  sim: Sim,
  peer: Peer,
  id: string,
  notice: MessageNotice,
  done: Reply<StoredMessage | undefined>,
): void {
  if (!needsMessage(notice)) {
    done(undefined);
    return;
  }
  const room = sim.room(id);
  call<HistoryPage>(
    sim,
    peer,
    room,
    "readLog",
    (reply) => room.step((core) => core.readLog(notice.seqId - 1, 1), reply),
    (page) => done(page === "failed" ? page : page.messages.find((one) => one.messageId === notice.messageId)),
  );
}

function tellShards(sim: Sim, peer: Peer, telling: Telling, finished: (ok: boolean) => void): void {
  callEach(
    sim.shards,
    (shard, done: Reply<true>) => call<true>(sim, peer, shard, "tell", (reply) => shard.tell(telling, reply), done),
    finished,
  );
}

/** A frame to all sockets of a user. */
export function push(sim: Sim, peer: Peer, userId: string, frame: ServerFrame, done: Reply<number>): void {
  const user = sim.user(userId);
  call<number>(sim, peer, user, "push", (reply) => user.deliver([frame], reply), done);
}

/** Everybody who is in the room and online, or may be: without the cache nobody is known to be away. */
export function forOnlineMembers<T>(
  sim: Sim,
  peer: Peer,
  id: string,
  each: (userId: string, done: Reply<T>) => void,
  finished: (ok: boolean) => void,
  after = "",
): void {
  const room = sim.room(id);
  call<string[]>(
    sim,
    peer,
    room,
    "memberIds",
    (reply) => room.step((core) => core.members(after, MEMBER_PAGE).map((member) => member.userId), reply),
    (userIds) => {
      if (userIds === "failed") {
        finished(false);
        return;
      }
      call<Presence>(
        sim,
        peer,
        sim.cache,
        "presence",
        (reply) => sim.cache.presence(userIds, reply),
        (presence) => {
          const online = presence === "failed" || !presence.complete ? userIds : presence.online;
          callEach(online, each, (ok) => {
            const last = userIds.at(-1);
            if (last === undefined || userIds.length < MEMBER_PAGE) {
              finished(ok);
            } else {
              forOnlineMembers(sim, peer, id, each, (rest) => finished(ok && rest), last);
            }
          });
        },
      );
    },
  );
}

/** Somebody has read on: those who wrote what was read are told, each once for each time this is tried. */
export function tellReceipts(
  sim: Sim,
  peer: Peer,
  id: string,
  reader: string,
  from: number,
  to: number,
  handled: (ok: boolean) => void,
): void {
  const room = sim.room(id);
  const after = receiptsAfter(from, to);
  const tell = (logged: readonly string[], older: readonly string[]): void => {
    const frame: ServerFrame = {
      type: "message-read-receipt",
      data: { conversationId: id, userId: reader, readSeqId: to },
    };
    callEach(
      receiptSenders(reader, logged, older),
      (userId, done: Reply<number>) => {
        const user = sim.user(userId);
        call<number>(
          sim,
          peer,
          user,
          "receipt",
          (reply) => {
            sim.ledger.receipts.reached(userId, id, reader, to);
            user.deliver([frame], reply);
          },
          done,
        );
      },
      handled,
    );
  };
  call<{ userIds: string[]; firstSeqId: number }>(
    sim,
    peer,
    room,
    "senders",
    (reply) =>
      room.step((core) => {
        const { firstSeqId } = core.counters;
        return { userIds: sendersBetween(core, after, to, RECEIPT_SENDERS), firstSeqId };
      }, reply),
    (logged) => {
      const end = logged === "failed" ? undefined : olderReceiptsUpTo(after, to, logged);
      if (logged === "failed") {
        handled(false);
      } else if (end === undefined) {
        tell(logged.userIds, []);
      } else {
        call<string[]>(
          sim,
          peer,
          sim.sql,
          "senders",
          (reply) => sim.sql.senders(id, after, end, reply),
          (older) => {
            if (older === "failed") {
              handled(false);
            } else {
              tell(logged.userIds, older);
            }
          },
        );
      }
    },
  );
}

/** Pages of history as src/http/history.ts makes them: from the room's log, completed from SQL where they reach behind it. */
import type { Actor, HistoryPage } from "../../src/domain/commands.ts";
import { messageFor, type SeenMessage, type StoredMessage } from "../../src/domain/records.ts";
import { reactionsOf } from "../../src/domain/messageViews.ts";
import { joinHistory, joinReactions, olderRange, withoutReactions, type HistoryRange } from "../../src/http/history.ts";
import type { Fault, Result } from "../../src/protocol/errors.ts";
import type { Message, Reaction } from "../../src/protocol/things.ts";
import { call, type Failed, type Peer } from "./net.ts";
import type { Sim } from "./sim.ts";
import type { UserNode } from "./userNode.ts";

/** A page with reactions, for a member. Without `after` only what the log has: nobody here reads further back. */
export function historyPage(
  sim: Sim,
  from: Peer,
  actor: Actor,
  id: string,
  wanted: HistoryRange,
  done: (page: Result<SeenMessage[]> | Failed) => void,
): void {
  const room = sim.room(id);
  call<Result<HistoryPage>>(
    sim,
    from,
    room,
    "history",
    (reply) => room.step((core) => core.history(actor, wanted), reply),
    (page) => {
      if (page === "failed" || !page.ok) {
        done(page);
        return;
      }
      const missing = olderRange(page.value, wanted);
      if (missing?.after === undefined) {
        done({ ok: true, value: page.value.messages });
        return;
      }
      const { after, before = Number.MAX_SAFE_INTEGER, limit } = missing;
      call<StoredMessage[]>(
        sim,
        from,
        sim.sql,
        "page",
        (reply) => sim.sql.page(id, after, before, limit, reply),
        (older) => {
          if (older === "failed") {
            done("failed");
          } else {
            const rows = joinHistory(page.value, wanted, older);
            olderReactions(sim, from, actor, id, withoutReactions(page.value, rows), (reactions) =>
              done(reactions === "failed" ? "failed" : { ok: true, value: joinReactions(page.value, rows, reactions) }),
            );
          }
        },
      );
    },
  );
}

/** Reactions of messages that have left the log: their room keeps them. */
export function olderReactions(
  sim: Sim,
  from: Peer,
  actor: Actor,
  id: string,
  seqIds: readonly number[],
  done: (reactions: Record<number, Reaction[]> | Failed) => void,
): void {
  if (seqIds.length === 0) {
    done({});
    return;
  }
  const room = sim.room(id);
  call<Result<Record<number, Reaction[]>>>(
    sim,
    from,
    room,
    "reactions",
    (reply) => room.step((core) => reactionsOf(core, actor, seqIds), reply),
    (found) => done(found === "failed" ? "failed" : found.ok ? found.value : {}),
  );
}

/** A device's own request, over REST. */
export function restHistory(
  sim: Sim,
  user: UserNode,
  id: string,
  range: HistoryRange,
  done: (page: Message[] | Fault | undefined) => void,
): void {
  historyPage(sim, sim.gateway, user.actor, id, range, (page) => {
    if (page === "failed") {
      done(undefined);
    } else {
      done(page.ok ? page.value.map((message) => messageFor(message, user.name)) : page.fault);
    }
  });
}

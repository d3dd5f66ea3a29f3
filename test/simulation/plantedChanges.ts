/** Planted bugs in what becomes of messages after they were sent, and in what is read of them. */
import type { MemberState } from "../../src/domain/records.ts";
import { changed, forgetful, type PlantedBug } from "./plantTools.ts";

export const PLANTED_IN_CHANGES: Record<string, PlantedBug> = {
  "tombstone with a history": {
    what: "a recall leaves earlier versions and reactions in the room",
    plant: { store: (store) => forgetful(store, { forget: () => undefined }) },
  },
  "answers keep the preview": {
    what: "a recall does not look for the answers that quote the message",
    plant: { store: (store) => forgetful(store, { repliesTo: () => [] }) },
  },
  "SQL keeps what was said of a recalled message": {
    what: "an edit or a reaction that reaches SQL after the recall is stored",
    plant: { sqlKeepsOfRecalled: true },
  },
  "old forms stay in the cache": {
    what: "a changed message is not taken out of the newest ones",
    plant: { cacheKeepsOldForms: true },
  },
  "versions are not in the cache": {
    what: "who connects between a change and its telling is not told, where SQL is behind",
    plant: { cacheForgetsVersions: true },
  },
  "who was not reached counts as told": {
    what: "the news of a change is settled although a call failed",
    plant: { unreachedCountsAsTold: true },
  },
  "news settled when sent": {
    what: "the outbox row of a change's news goes when it is on the bus",
    plant: {
      effects: (effects, _room, core) => {
        for (const effect of effects) {
          if (effect.kind === "publish") {
            const news = effect.rows.filter((row) => row.topic === "gochat.tasks.fanout");
            core.settled(
              news.flatMap((row) => (JSON.parse(row.body) as { outboxIds: number[] }).outboxIds),
              0,
            );
          }
        }
        return effects;
      },
    },
  },
  "a changed message keeps its number": {
    what: "an edit is stored under the number of the send, so SQL cannot tell which is newer",
    plant: {
      store: (store) =>
        changed(store, {
          replaceMessage: (row) =>
            store.replaceMessage({ ...row, logId: store.message(row.message.seqId)?.logId ?? row.logId }),
        }),
    },
  },
  "the last frame wins": {
    what: "a client takes the news of a message in the order in which they come",
    plant: {
      client: (core) => {
        const frame = core.frame.bind(core);
        let count = 0;
        core.frame = (link, received, now) => {
          if (received.type !== "message-updated") {
            return frame(link, received, now);
          }
          count += 1;
          const { message } = received.data;
          const data = { message: { ...message, editedAt: now + count }, version: Number.MAX_SAFE_INTEGER };
          return frame(link, { type: "message-updated", data }, now);
        };
      },
    },
  },
  "read pointer goes back": {
    what: "a read pointer is set where a device says it is",
    plant: {
      store: (store) =>
        changed(store, {
          member: (userId) => {
            const member = store.member(userId);
            return member === undefined ? undefined : { ...member, readSeqId: 0 };
          },
        }),
    },
  },
  "read pointer past the head": {
    what: "a device may have read what was not written yet",
    plant: {
      core: (core) => {
        const { room } = core;
        Object.defineProperty(core, "headSeqId", { get: () => room.headSeqId + 2 });
      },
    },
  },
  "receipts are told once": {
    what: "a receipt that was lost on its way is not sent again",
    plant: {
      effects: (effects, _room, core) => {
        for (const effect of effects) {
          if (effect.kind === "publish") {
            const read = effect.rows.map((row) => JSON.parse(row.body) as { event_type?: string; event_id?: string });
            const ids = read.filter((event) => event.event_type === "message.read").map(({ event_id: id = "" }) => id);
            core.settled(
              ids.map((id) => Number(id.slice(id.lastIndexOf(":") + 1))),
              0,
            );
          }
        }
        return effects;
      },
    },
  },
  "a mute is not looked at": {
    what: "who is muted sends and edits all the same",
    plant: {
      store: (store) =>
        changed(store, {
          member: (userId) => withoutMute(store.member(userId)),
        }),
    },
  },
  "news to those who were there once": {
    what: "the members who are told of a change are read once and kept",
    plant: {
      core: (core) => {
        const kept = new Map<string, MemberState>();
        const members = core.members.bind(core);
        core.members = (cursor, limit) => {
          for (const member of members(cursor, limit)) {
            kept.set(member.userId, member);
          }
          return [...kept.values()].filter(({ userId }) => userId > cursor).slice(0, limit);
        };
      },
    },
  },
};

function withoutMute(member: MemberState | undefined): MemberState | undefined {
  if (member === undefined) {
    return undefined;
  }
  const { mutedUntil: _until, ...rest } = member;
  return rest;
}

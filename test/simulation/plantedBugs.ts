/**
 * Bugs of the kind that somebody writes on a Friday, one line each. The suite plants them one at a
 * time and must catch every one: an oracle that never fails proves nothing.
 */
import type { ClientEffect } from "../../sdk/src/core/index.ts";
import { RoomContext } from "../../src/domain/roomContext.ts";
import { DeliveryRounds } from "../../src/domain/rounds.ts";
import { MS } from "./kernel.ts";
import { PLANTED_IN_CHANGES } from "./plantedChanges.ts";
import { changed, patched, without, type PlantedBug } from "./plantTools.ts";

export const PLANTED_BUGS: Record<string, PlantedBug> = {
  ...PLANTED_IN_CHANGES,
  "ack before commit": {
    what: "answers leave before what they promise is durable",
    plant: { answersBeforeCommit: true },
  },
  "deliver before commit": {
    what: "messages leave for their readers before they are durable",
    plant: { deliversBeforeCommit: true },
  },
  "dedupe in memory only": {
    what: "a resend is recognised only by the object that took the first copy",
    plant: {
      store: (store, room) => {
        room.store.noUniqueIndex = true;
        const seen = new Set<string>();
        return changed(store, {
          findSend: (sender, key) => (seen.has(`${sender} ${key}`) ? store.findSend(sender, key) : undefined),
          insertMessage: (row) => {
            seen.add(`${row.message.senderId} ${row.message.clientMsgId}`);
            store.insertMessage(row);
          },
        });
      },
    },
  },
  "resend gets a new id": {
    what: "the answer to a resend is made again instead of read back",
    plant: {
      core: (core) => {
        const append = core.append.bind(core);
        core.append = (sends, now) => {
          const head = core.headSeqId;
          return append(sends, now).map((outcome) =>
            outcome.ok && outcome.value.seqId <= head
              ? { ok: true, value: { ...outcome.value, messageId: `${outcome.value.messageId}x` } }
              : outcome,
          );
        };
      },
    },
  },
  "sequence restored from the watermark": {
    what: "after a restart the next sequence is taken from a counter that is written now and then",
    plant: {
      store: (store) =>
        changed(store, {
          load: () => {
            const image = store.load();
            return { ...image, headSeqId: Math.max(image.headSeqId, image.counters.logId) };
          },
        }),
    },
  },
  "persisted when published": {
    what: "the watermark moves when the bus has the batch, not when SQL has it",
    plant: {
      effects: (effects, _room, core) => {
        for (const effect of effects) {
          if (effect.kind === "persist" && effect.batch.toSeqId > 0) {
            const { fromSeqId, toSeqId } = effect.batch;
            core.persisted(fromSeqId, toSeqId, [], Number.MAX_SAFE_INTEGER / 2);
          }
        }
        return [...effects, ...core.takeEffects()];
      },
    },
  },
  "given up counts as persisted": {
    what: "a batch that the consumer gave up moves the watermark as well",
    plant: {
      core: (core) => {
        core.persistFailed = (from, to, now) => core.persisted(from, to, [], now);
      },
    },
  },
  "restart forgets what was on its way": {
    what: "a room that wakes takes everything in its log for delivered",
    plant: {
      store: (store) =>
        changed(store, {
          load: () => {
            const image = store.load();
            return { ...image, counters: { ...image.counters, deliveredSeqId: image.headSeqId } };
          },
        }),
    },
  },
  "failed delivery counts as done": {
    what: "the answer to a delivery is not looked at",
    plant: {
      core: (core) => {
        const delivered = core.delivered.bind(core);
        core.delivered = (userId, delivery, sockets, now) =>
          delivered(userId, delivery, sockets === "failed" ? 1 : sockets, now);
      },
    },
  },
  "round waits for ever": {
    what: "a delivery that nobody answers is never given up",
    plant: { install: () => patched(DeliveryRounds.prototype, "expire", () => () => undefined) },
  },
  "first message of a flight is skipped": {
    what: "a receiver found online begins one message too late",
    plant: {
      install: () =>
        patched(
          DeliveryRounds.prototype,
          "found",
          (original) =>
            function (this: DeliveryRounds, userId, cursor, now) {
              original.call(this, userId, cursor + 1, now);
            },
        ),
    },
  },
  "away once, away for ever": {
    what: "whoever was away is not asked for again",
    plant: {
      core: (core) => {
        const away = new Set<string>();
        const take = core.takeEffects.bind(core);
        const cached = core.cached.bind(core);
        let asked: string[] = [];
        core.takeEffects = () =>
          take().map((effect) => {
            if (effect.kind !== "cache") {
              return effect;
            }
            asked = effect.presenceOf.filter((userId) => !away.has(userId));
            return { ...effect, presenceOf: asked };
          });
        core.cached = (answer, now) => {
          for (const userId of answer === "failed" || !answer.complete ? [] : asked) {
            if (answer !== "failed" && !answer.online.includes(userId)) {
              away.add(userId);
            }
          }
          cached(answer, now);
        };
      },
    },
  },
  "cache down means nobody is here": {
    what: "a failed presence read is taken for an empty one",
    plant: {
      core: (core) => {
        const cached = core.cached.bind(core);
        core.cached = (answer, now) => cached(answer === "failed" ? { online: [], complete: true } : answer, now);
      },
    },
  },
  "empty cache means nobody is here": {
    what: "presence is believed although the cache was emptied a moment ago",
    plant: {
      core: (core) => {
        const cached = core.cached.bind(core);
        core.cached = (answer, now) => cached(answer === "failed" ? answer : { ...answer, complete: true }, now);
      },
    },
  },
  "alarm never armed": {
    what: "nothing wakes the room to send again what was lost",
    plant: { effects: without("alarm") },
  },
  "alarm outside the commit": {
    what: "a crash loses the alarm together with the memory",
    plant: { crashed: (room) => room.store.setAlarm(0) },
  },
  "outbox row deleted when sent": {
    what: "rows go when the batch is on the bus, not when SQL has it",
    plant: {
      effects: (effects, _room, core) => {
        for (const effect of effects) {
          if (effect.kind === "persist") {
            core.settled(effect.batch.outboxIds, 0);
          }
        }
        return effects;
      },
    },
  },
  "older record wins": {
    what: "SQL takes records in the order in which they come",
    plant: { sqlIgnoresLogId: true },
  },
  "own messages stay unread": {
    what: "the sender's read pointer is not written",
    plant: { install: () => patched(RoomContext.prototype, "saveOwnRead", () => () => undefined) },
  },
  "log pruned before SQL has it": {
    what: "rows leave the log by their age alone",
    plant: {
      install: () =>
        patched(
          RoomContext.prototype,
          "prune",
          () =>
            function (this: RoomContext) {
              const upTo = this.headSeqId - this.limits.hotMessages;
              if (upTo >= this.counters.firstSeqId) {
                this.counters = { ...this.counters, firstSeqId: upTo + 1 };
                this.store.transaction(() => {
                  this.store.pruneMessages(upTo);
                  this.store.saveCounters(this.counters);
                });
              }
            },
        ),
    },
  },
  "removed member still served": {
    what: "rounds keep a receiver that is no longer a member",
    plant: { install: () => patched(DeliveryRounds.prototype, "remove", () => () => undefined) },
  },
  "refused fan-out counts as done": {
    what: "a big room forgets a task that the bus did not take",
    plant: {
      core: (core) => {
        core.fanoutRefused = (now) => core.fannedOut(core.headSeqId, now);
      },
    },
  },
  "shard takes a failed call for served": {
    what: "the answer of a session to its shard is not looked at",
    plant: {
      shard: (core) => {
        const answered = core.answered.bind(core);
        core.answered = (userId, to, sockets, now) => answered(userId, to, sockets === "failed" ? 1 : sockets, now);
      },
    },
  },
  "shard drops a reader that failed once": {
    what: "one failed call, and a session is forgotten",
    plant: {
      shard: (core) => {
        const answered = core.answered.bind(core);
        core.answered = (userId, to, sockets, now) => answered(userId, to, sockets === "failed" ? 0 : sockets, now);
      },
    },
  },
  "sender's other devices forgotten": {
    what: "an acknowledged message is not shown on the sender's other sockets",
    plant: { noEcho: true },
  },
  "presence when there is time": {
    what: "a client asks for what it missed before rooms can know that it is here",
    plant: { presenceBehindUs: 300 * MS },
  },
  "client does not dedupe": {
    what: "pushed messages are shown as they come",
    plant: {
      client: (core) => {
        const frame = core.frame.bind(core);
        core.frame = (link, received, now) => {
          const steps = frame(link, received, now);
          if (received.type !== "new-message") {
            return steps;
          }
          const { message } = received.data;
          const shown = steps.filter((step) => step.kind !== "emit" || step.event.type !== "message");
          const again: ClientEffect = {
            kind: "emit",
            event: { type: "message", conversationId: message.conversationId, message, live: true },
          };
          return [...shown, again];
        };
      },
    },
  },
  "client drops pending on reconnect": {
    what: "what was not acknowledged is forgotten with the connection",
    plant: {
      client: (core) => {
        const closed = core.socketClosed.bind(core);
        core.socketClosed = (link, code, now, retryAfterMs) => {
          for (const { data } of core.pending()) {
            core.cancel(data.clientMsgId, now);
          }
          return closed(link, code, now, retryAfterMs);
        };
      },
    },
  },
  "client resends with a new key": {
    what: "a retry makes a new clientMsgId",
    plant: {
      clientFrame: (frame, sim) => {
        if (frame.type !== "send-message") {
          return frame;
        }
        const { clientMsgId } = frame.data;
        const tries = sim.ledger.submissions.get(clientMsgId)?.frames ?? 1;
        return tries > 1 ? { ...frame, data: { ...frame.data, clientMsgId: `${clientMsgId}.${tries}` } } : frame;
      },
    },
  },
};

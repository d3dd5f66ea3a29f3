/** The queue consumers, as src/queues/ has them: stateless, idempotent, they decide no order. */
import type { FanoutTask, PersistBatch } from "../../src/domain/records.ts";
import { WORLD } from "../../src/domain/records.ts";
import type { RoomCore } from "../../src/domain/room.ts";
import type { ServerFrame } from "../../src/protocol/frames.ts";
import type { BusBody } from "./backing.ts";
import { call, Peer, type Reply } from "./net.ts";
import type { RoomNode } from "./roomNode.ts";
import type { Sim } from "./sim.ts";

const MEMBER_PAGE = 500;

type RoomEvent = {
  event_id: string;
  event_type: string;
  conversation_id: string;
  operator_id?: string;
  payload: {
    member_ids?: string[];
    members?: { user_id: string }[];
    user_id?: string;
    reason?: "removed" | "left" | "dismissed";
    conversation?: Extract<ServerFrame, { type: "conversation-joined" }>["data"]["conversation"];
    sender_id?: string;
    client_msg_id?: string;
    message_id?: string;
    seq_id?: number;
  };
};

export class Consumers extends Peer {
  readonly #sim: Sim;

  constructor(sim: Sim) {
    super("consumers");
    this.#sim = sim;
  }

  consume(body: BusBody, attempts: number): void {
    const retry = (): void => this.#sim.bus.retry(body, attempts);
    switch (body.topic) {
      case "persist":
        return this.#persist(body.batch, attempts, retry);
      case "fanout":
        return this.#fanout(body.task, retry);
      case "event":
        return this.#event(JSON.parse(body.body) as RoomEvent, retry);
    }
  }

  #persist(batch: PersistBatch, attempts: number, retry: () => void): void {
    const sim = this.#sim;
    const room = sim.room(batch.conversationId);
    const { fromSeqId, toSeqId, outboxIds, records } = batch;
    call<true>(
      sim,
      this,
      sim.sql,
      "apply",
      (reply) => sim.sql.apply(records, reply),
      (answer) => {
        if (answer === "failed") {
          if (attempts >= sim.maxAttempts) {
            this.#tell(room, "persistFailed", (core, now) => core.persistFailed(fromSeqId, toSeqId, now));
          }
          retry();
          return;
        }
        this.#tell(room, "persisted", (core, now) => core.persisted(fromSeqId, toSeqId, outboxIds, now));
      },
    );
  }

  /** What became of something, to its room. */
  #tell(room: RoomNode, kind: string, work: (core: RoomCore, nowMs: number) => void, done: Reply<void> = ignore): void {
    call<void>(this.#sim, this, room, kind, (reply) => room.step(work, reply), done);
  }

  #fanout(task: FanoutTask, retry: () => void): void {
    const sim = this.#sim;
    const room = sim.room(task.conversationId);
    const finished = (served: boolean): void => {
      if (!served) {
        retry();
        return;
      }
      this.#tell(
        room,
        "fannedOut",
        (core, now) => core.fannedOut(task.toSeqId, now),
        (answer) => {
          if (answer === "failed") {
            retry();
          }
        },
      );
    };
    if (task.type === WORLD) {
      const { fromSeqId, toSeqId, messages } = task;
      this.#all(
        sim.shards,
        (shard, done) => {
          call<true>(
            sim,
            this,
            shard,
            "shard push",
            (reply) => {
              shard.push({ fromSeqId, toSeqId, messages }, reply);
            },
            done,
          );
        },
        finished,
      );
    } else {
      this.#toMembers(task, "", true, finished);
    }
  }

  #toMembers(task: FanoutTask, after: string, servedSoFar: boolean, finished: (served: boolean) => void): void {
    const sim = this.#sim;
    const room = sim.room(task.conversationId);
    call<string[]>(
      sim,
      this,
      room,
      "memberIds",
      (reply) => {
        room.step((core) => core.members(after, MEMBER_PAGE).map((member) => member.userId), reply);
      },
      (userIds) => {
        if (userIds === "failed") {
          finished(false);
          return;
        }
        call<{ online: string[]; complete: boolean }>(
          sim,
          this,
          sim.cache,
          "presence",
          (reply) => {
            sim.cache.presence(userIds, reply);
          },
          (presence) => {
            const online = presence === "failed" || !presence.complete ? userIds : presence.online;
            this.#all(
              online,
              (userId, done) => this.#toMember(task, userId, done),
              (served) => {
                const last = userIds.at(-1);
                if (last === undefined || userIds.length < MEMBER_PAGE) {
                  finished(served && servedSoFar);
                } else {
                  this.#toMembers(task, last, served && servedSoFar, finished);
                }
              },
            );
          },
        );
      },
    );
  }

  /** To senders as well: their other devices may have missed what was acknowledged. */
  #toMember(task: FanoutTask, userId: string, done: Reply<number>): void {
    const user = this.#sim.user(userId);
    call<number>(this.#sim, this, user, "deliver", (reply) => user.deliverMessages(task.messages, reply), done);
  }

  // ---- events

  #event(event: RoomEvent, retry: () => void): void {
    const sim = this.#sim;
    const room = sim.room(event.conversation_id);
    const handled = (ok: boolean): void => {
      if (!ok) {
        retry();
        return;
      }
      const id = Number(event.event_id.slice(event.event_id.lastIndexOf(":") + 1));
      this.#tell(room, "settled", (core, now) => core.settled([id], now));
    };
    const { payload } = event;
    const conversationId = event.conversation_id;
    switch (event.event_type) {
      case "conversation.created":
        return this.#push(payload.member_ids ?? [], frameOf("conversation-created", payload), handled);
      case "conversation.member.added":
        return this.#push(
          (payload.members ?? []).map((member) => member.user_id),
          frameOf("conversation-joined", payload),
          handled,
        );
      case "conversation.member.removed":
        return this.#push(
          [payload.user_id ?? ""],
          { type: "conversation-removed", data: { conversationId, reason: payload.reason ?? "removed" } },
          handled,
        );
      case "message.persist.failed":
        return this.#push(
          [payload.sender_id ?? ""],
          {
            type: "message-persist-failed",
            data: {
              clientMsgId: payload.client_msg_id ?? "",
              conversationId,
              messageId: payload.message_id ?? "",
              seqId: payload.seq_id ?? 0,
            },
          },
          handled,
        );
      default:
        // Receipts go to senders only; nothing in the simulation depends on them.
        return handled(true);
    }
  }

  #push(userIds: readonly string[], frame: ServerFrame | undefined, handled: (ok: boolean) => void): void {
    if (frame === undefined) {
      handled(true);
      return;
    }
    this.#all(
      userIds,
      (userId, done: Reply<number>) => {
        const user = this.#sim.user(userId);
        call<number>(this.#sim, this, user, "push", (reply) => user.deliver([frame], reply), done);
      },
      handled,
    );
  }

  /** All at once; `finished` hears whether every one succeeded. */
  #all<Item, T>(
    items: readonly Item[],
    each: (item: Item, done: Reply<T>) => void,
    finished: (ok: boolean) => void,
  ): void {
    let left = items.length;
    let ok = true;
    if (left === 0) {
      finished(true);
    }
    for (const item of items) {
      each(item, (value) => {
        ok = ok && value !== "failed";
        left -= 1;
        if (left === 0) {
          finished(ok);
        }
      });
    }
  }
}

function ignore(): void {}

function frameOf(
  type: "conversation-created" | "conversation-joined",
  payload: RoomEvent["payload"],
): ServerFrame | undefined {
  const { conversation } = payload;
  return conversation === undefined ? undefined : { type, data: { conversation } };
}

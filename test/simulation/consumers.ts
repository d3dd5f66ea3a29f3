/** The queue consumers, as src/queues/ has them: stateless, idempotent, they decide no order. */
import { inLastForm, isHeldUp } from "../../src/domain/changeNotices.ts";
import type { HistoryPage } from "../../src/domain/commands.ts";
import { current } from "../../src/domain/groupViews.ts";
import type { FanoutTask, PersistBatch } from "../../src/domain/records.ts";
import { WORLD } from "../../src/domain/records.ts";
import type { RoomCore } from "../../src/domain/room.ts";
import type { ServerFrame } from "../../src/protocol/frames.ts";
import type { BusBody } from "./busNode.ts";
import { forOnlineMembers, push, tellChange, tellReceipts } from "./consumerNotices.ts";
import { callEach } from "./eachOf.ts";
import { call, Peer, type Reply } from "./net.ts";
import type { RoomNode } from "./roomNode.ts";
import type { Sim } from "./sim.ts";

type RoomEvent = {
  event_id: string;
  event_type: string;
  conversation_id: string;
  operator_id?: string;
  user_id?: string;
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
    from_seq?: number;
    to_seq?: number;
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
        return this.#fanout(body.task, attempts, retry);
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

  #fanout(task: FanoutTask, attempts: number, retry: () => void): void {
    const sim = this.#sim;
    const room = sim.room(task.conversationId);
    if (task.notice !== undefined) {
      tellChange(sim, this, task, task.notice, (told) => {
        if (sim.kernel.verbose) {
          sim.kernel.say(`${task.conversationId} ${told}: ${JSON.stringify(task.notice)}`);
        }
        if (told === "settled") {
          this.#tell(room, "settled", (core, now) => core.settled(task.outboxIds ?? [], now));
        } else if (told === "again" && attempts < sim.maxAttempts) {
          retry();
        }
      });
      return;
    }
    if (isHeldUp(task, attempts, sim.kernel.ms)) {
      call<HistoryPage>(
        sim,
        this,
        room,
        "readLog",
        (reply) => room.step((core) => core.readLog(task.fromSeqId - 1, task.messages.length), reply),
        (page) => {
          if (page === "failed") {
            retry();
          } else {
            this.#serve({ ...task, messages: inLastForm(task.messages, page.messages) }, retry);
          }
        },
      );
    } else {
      this.#serve(task, retry);
    }
  }

  #serve(task: FanoutTask, retry: () => void): void {
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
      callEach(
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
      forOnlineMembers(sim, this, task.conversationId, (userId, done) => this.#toMember(task, userId, done), finished);
    }
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
        return this.#created(payload, handled);
      case "conversation.updated":
        return this.#updated(conversationId, handled);
      case "conversation.member.added":
        return this.#added(event, handled);
      case "conversation.member.removed":
        return this.#removed(event, handled);
      case "message.read": {
        const { from_seq: from = 0, to_seq: to = 0 } = payload;
        return tellReceipts(sim, this, conversationId, event.user_id ?? "", from, to, handled);
      }
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
        // For other consumers, or about what nothing in the simulation depends on.
        return handled(true);
    }
  }

  /** Events come in any order: each is told as the room has it now. */
  #asNow<T>(
    id: string,
    kind: string,
    read: (core: RoomCore) => T,
    handled: (ok: boolean) => void,
    then: (value: T) => void,
  ): void {
    const room = this.#sim.room(id);
    call<T>(
      this.#sim,
      this,
      room,
      kind,
      (reply) => room.step(read, reply),
      (value) => {
        if (value === "failed") {
          handled(false);
        } else {
          then(value);
        }
      },
    );
  }

  #created({ member_ids: userIds = [], conversation }: RoomEvent["payload"], handled: (ok: boolean) => void): void {
    if (conversation === undefined) {
      handled(true);
    } else {
      this.#push(userIds, { type: "conversation-created", data: { conversation } }, handled);
    }
  }

  #updated(id: string, handled: (ok: boolean) => void): void {
    const sim = this.#sim;
    this.#asNow(
      id,
      "current",
      (core) => current(core),
      handled,
      (now) => {
        if (now === null || now.conversation.type === WORLD) {
          handled(true);
          return;
        }
        const data = { conversation: { ...now.conversation, headSeqId: now.headSeqId } };
        const frame: ServerFrame = { type: "conversation-updated", data };
        forOnlineMembers(sim, this, id, (userId, done: Reply<number>) => push(sim, this, userId, frame, done), handled);
      },
    );
  }

  #added({ conversation_id: id, payload }: RoomEvent, handled: (ok: boolean) => void): void {
    const userIds = (payload.members ?? []).map((member) => member.user_id);
    const read = (core: RoomCore) => current(core, userIds);
    this.#asNow(id, "members among", read, handled, (now) => {
      const headSeqId = payload.conversation?.headSeqId;
      if (now === null || headSeqId === undefined) {
        handled(true);
        return;
      }
      // With the head as it was then: up to there, and no further, the new ones have nothing to read.
      const data = { conversation: { ...now.conversation, headSeqId } };
      this.#push(
        now.members.map((member) => member.userId),
        { type: "conversation-joined", data },
        handled,
      );
    });
  }

  #removed({ conversation_id: id, payload }: RoomEvent, handled: (ok: boolean) => void): void {
    const { user_id: userId = "", reason = "removed" } = payload;
    this.#asNow(
      id,
      "members among",
      (core) => current(core, [userId]),
      handled,
      (now) => {
        this.#push(
          now !== null && now.members.length > 0 ? [] : [userId],
          { type: "conversation-removed", data: { conversationId: id, reason } },
          handled,
        );
      },
    );
  }

  #push(userIds: readonly string[], frame: ServerFrame, handled: (ok: boolean) => void): void {
    callEach(userIds, (userId, done: Reply<number>) => push(this.#sim, this, userId, frame, done), handled);
  }
}

function ignore(): void {}

/**
 * A conversation's object: `RoomCore` over a store that forgets, behind the platform's output gate.
 * It drives the core exactly as `src/objects/ConversationRoom.ts` does: alarms in the commit of the
 * step, everything else after it.
 */
import { changedSeqIds } from "../../src/domain/changeNotices.ts";
import type { RoomChange, SendCommand } from "../../src/domain/commands.ts";
import { continueRecalls } from "../../src/domain/messageChanges.ts";
import type { FanoutTask, PersistBatch, StoredMessage } from "../../src/domain/records.ts";
import { RoomCore, type RoomEffect } from "../../src/domain/room.ts";
import type { Result } from "../../src/protocol/errors.ts";
import type { BusBody } from "./busNode.ts";
import type { Presence } from "./cacheNode.ts";
import { MemoryRoomStore, type Commit } from "./memoryStore.ts";
import { MS, SECOND } from "./kernel.ts";
import { call, Peer, type Reply } from "./net.ts";
import { RoomPurge } from "./roomPurge.ts";
import type { Sim } from "./sim.ts";

/** A commit under way, and what waits behind the gate for it. */
type Pending = { commit: Commit; gated: (() => void)[] };

export class RoomNode extends Peer {
  readonly id: string;
  readonly #sim: Sim;
  store = new MemoryRoomStore();
  #core: RoomCore | undefined;
  readonly #pending: Pending[] = [];
  readonly #hot: RoomPurge;
  #lastCommitAt = 0;
  /** The alarm that the platform will fire (epoch milliseconds), 0 for none. */
  #armedFor = 0;

  constructor(sim: Sim, id: string) {
    super(id);
    this.#sim = sim;
    this.id = id;
    this.#hot = new RoomPurge(sim, this);
  }

  /** Runs a step of the core; the answer leaves when everything written before it is durable. */
  step<T>(work: (core: RoomCore, nowMs: number) => T, reply: Reply<T>): void {
    this.#sim.mayDie("roomCrash", this, () => this.crash());
    const core = this.#wake();
    const value = work(core, this.#sim.kernel.ms);
    const { plant } = this.#sim;
    const effects = plant.effects?.(core.takeEffects(), this, core) ?? core.takeEffects();
    for (const effect of effects) {
      if (effect.kind === "alarm") {
        this.store.setAlarm(effect.at);
      }
      if (this.#sim.kernel.verbose) {
        this.#sim.kernel.say(`${this.id} wants ${describe(effect)}`);
      }
    }
    this.#commit();
    if (plant.answersBeforeCommit === true) {
      reply(value);
    } else {
      this.#gate(() => reply(value));
    }
    for (const effect of effects) {
      if (effect.kind === "alarm") {
        continue;
      }
      if (effect.kind === "deliver" && plant.deliversBeforeCommit === true) {
        this.#carryOut(effect);
      } else {
        this.#gate(() => this.#carryOut(effect));
      }
    }
  }

  /** A REST call's change: the old form of its messages is out of the cache before anybody is answered. */
  change<T>(work: (core: RoomCore, nowMs: number) => Result<RoomChange<T>>, reply: Reply<Result<RoomChange<T>>>): void {
    this.step(work, (changed) => {
      if (changed === "failed" || !changed.ok) {
        reply(changed);
      } else {
        this.#hot.purge(changedSeqIds(changed.value.records), () => reply(changed));
      }
    });
  }

  /** Sends arrive; their answer is a promise when it leaves. */
  append(sends: readonly SendCommand[], reply: Reply<Result<StoredMessage>[]>): void {
    const { ledger } = this.#sim;
    ledger.offered(this.id, sends);
    this.step(
      (core, now) => core.append(sends, now),
      (outcomes) => {
        ledger.promised(this.id, sends, outcomes);
        reply(outcomes);
      },
    );
  }

  /** The object dies: what was not committed never happened, what waited behind the gate never leaves. */
  crash(): void {
    if (this.#sim.kernel.verbose) {
      this.#sim.kernel.say(`${this.id} crashes, ${this.#pending.length} commits lost`);
    }
    const lost = this.#pending.splice(0);
    this.store.revert(lost.map(({ commit }) => commit));
    this.#sim.plant.crashed?.(this);
    this.#core = undefined;
    this.#armedFor = 0;
    this.#hot.forget();
    this.forget();
    // The platform runs an alarm again whose handler did not finish.
    this.#armAlarm(2 * SECOND);
  }

  /** Forgets its memory when nothing is under way; false when something is. */
  evict(): boolean {
    if (this.#core === undefined || this.busy > 0 || this.calls.size > 0 || this.#pending.length > 0) {
      return false;
    }
    this.#core = undefined;
    return true;
  }

  get awake(): boolean {
    return this.#core !== undefined;
  }

  // ---- the core's life

  #wake(): RoomCore {
    if (this.#core === undefined) {
      const { kernel, random, limits, plant } = this.#sim;
      const store = plant.store?.(this.store, this) ?? this.store;
      this.#core = new RoomCore(this.id, store, random.unit, kernel.ms, limits);
      plant.core?.(this.#core, this);
    }
    return this.#core;
  }

  #commit(): void {
    const commit = this.store.takeCommit();
    if (commit === undefined) {
      return;
    }
    const { kernel, random } = this.#sim;
    const us = this.#sim.hit("commitSlow") ? random.between(10, 300) * MS : random.between(60, 300);
    this.#pending.push({ commit, gated: [] });
    this.#lastCommitAt = Math.max(this.#lastCommitAt + 1, kernel.now + us);
    const { life } = this;
    kernel.after(this.#lastCommitAt - kernel.now, "commit", this.name, () => {
      if (this.life === life) {
        this.#committed();
      }
    });
  }

  #committed(): void {
    const done = this.#pending.shift();
    if (done === undefined) {
      return;
    }
    this.#sim.ledger.committed(this, done.commit);
    this.#armAlarm(0);
    for (const leave of done.gated) {
      leave();
    }
  }

  #gate(leave: () => void): void {
    const last = this.#pending.at(-1);
    if (last === undefined) {
      leave();
    } else {
      last.gated.push(leave);
    }
  }

  // ---- alarms

  #armAlarm(atLeastUs: number): void {
    const at = this.store.alarmAt;
    if (at === 0 || at === this.#armedFor) {
      return;
    }
    this.#armedFor = at;
    const { kernel, random } = this.#sim;
    const late = this.#sim.hit("alarmLate") ? random.between(1, 30) * SECOND : random.between(0, 5 * MS);
    kernel.after(Math.max(atLeastUs, (at - kernel.ms) * MS, 0) + late, "alarm", this.name, () => {
      if (this.#armedFor === at) {
        this.#armedFor = 0;
        if (this.store.alarmAt === at) {
          this.#onAlarm();
        } else {
          this.#armAlarm(0);
        }
      }
    });
  }

  #onAlarm(): void {
    this.store.setAlarm(0);
    const { kernel, random } = this.#sim;
    this.step(wake, () => undefined);
    if (this.#sim.hit("alarmRepeated")) {
      kernel.after(random.between(1, 3_000) * MS, "alarm again", this.name, () => {
        this.step(wake, () => undefined);
      });
    }
  }

  // ---- effects

  /** The answer to an effect, if this is still the object that asked. */
  #answer(step: (core: RoomCore, nowMs: number) => void): void {
    this.step(step, () => undefined);
  }

  /**
   * Messages that changed while their effect waited leave in their new form; that form, too, has to be durable first. The
   * platform holds back whatever leaves until everything written before is.
   */
  #asNow(effect: Extract<RoomEffect, { kind: "deliver" | "cache" }>): StoredMessage[] | undefined {
    const messages = this.#wake().room.asNow(effect.messages);
    if (
      messages !== effect.messages &&
      this.#pending.length > 0 &&
      messages.some((message, index) => message !== effect.messages[index])
    ) {
      this.#gate(() => this.#carryOut(effect));
      return undefined;
    }
    return messages;
  }

  #carryOut(effect: Exclude<RoomEffect, { kind: "alarm" }>): void {
    const sim = this.#sim;
    switch (effect.kind) {
      case "deliver": {
        const messages = this.#asNow(effect);
        return messages === undefined ? undefined : this.#deliver(effect, messages);
      }
      case "push": {
        const user = sim.user(effect.userId);
        return call<number>(
          sim,
          this,
          user,
          "push",
          (reply) => user.deliver(effect.frames, reply),
          () => undefined,
        );
      }
      case "cache": {
        const messages = this.#asNow(effect);
        return messages === undefined ? undefined : this.#updateCache(effect, messages);
      }
      case "persist":
        return this.#publishPersist(effect.batch);
      case "publish":
        for (const { topic, body } of effect.rows) {
          const item: BusBody =
            topic === "gochat.tasks.fanout"
              ? { topic: "fanout", task: JSON.parse(body) as FanoutTask }
              : { topic: "event", name: topic, body };
          call<true>(sim, this, sim.bus, "publish", (reply) => sim.bus.publish(item, reply), nothing);
        }
        return;
      case "fanout":
        return call<true>(
          sim,
          this,
          sim.bus,
          "publish",
          (reply) => sim.bus.publish({ topic: "fanout", task: effect.task }, reply),
          (answer) => {
            if (answer === "failed") {
              this.#answer((core, now) => core.fanoutRefused(now));
            }
          },
        );
      case "timer": {
        const { life } = this;
        this.busy += 1;
        sim.kernel.after(effect.inMs * MS, "timer", this.name, () => {
          if (this.life === life) {
            this.busy -= 1;
            this.#answer((core, now) => core.onTimer(effect.name, now));
          }
        });
      }
    }
  }

  #publishPersist(batch: PersistBatch): void {
    const { bus } = this.#sim;
    call<true>(
      this.#sim,
      this,
      bus,
      "publish",
      (reply) => bus.publish({ topic: "persist", batch }, reply),
      (answer) => {
        if (answer === "failed") {
          this.#answer((core, now) => core.persistRefused(now));
        }
      },
    );
  }

  #updateCache(effect: Extract<RoomEffect, { kind: "cache" }>, current: StoredMessage[]): void {
    const sim = this.#sim;
    const { headSeqId, version, stale, presenceOf } = effect;
    const messages = this.#wake().room.cacheable(current);
    const landed = this.#hot.left();
    const { life } = this;
    call<Presence>(
      sim,
      this,
      sim.cache,
      "pipeline",
      (reply) =>
        sim.cache.roomPipeline(
          this.id,
          { headSeqId, version, stale, messages, presenceOf, isLate: () => this.life !== life },
          reply,
        ),
      (answer) => {
        if (sim.kernel.verbose) {
          sim.kernel.say(`${this.id} cache says ${JSON.stringify(answer)}`);
        }
        landed();
        this.#answer((core, now) => core.cached(answer, now));
      },
    );
  }

  #deliver(effect: Extract<RoomEffect, { kind: "deliver" }>, messages: StoredMessage[]): void {
    const { from, to } = effect;
    const sim = this.#sim;
    for (const userId of effect.userIds) {
      sim.ledger.readers.leaves(userId, messages);
      const user = sim.user(userId);
      call<number>(
        sim,
        this,
        user,
        "deliver",
        (reply) => user.deliverMessages(messages, reply, { conversationId: this.id, from, to }),
        (sockets) => {
          if (sim.kernel.verbose) {
            sim.kernel.say(`${this.id} delivered ${from}–${to} to ${userId}: ${sockets}`);
          }
          this.#answer((core, now) => core.delivered(userId, { from, to }, sockets, now));
        },
      );
    }
  }
}

/** As the object's alarm handler. */
function wake(core: RoomCore, nowMs: number): void {
  core.onAlarm(nowMs);
  continueRecalls(core, nowMs);
}

function nothing(): void {}

function describe(effect: RoomEffect): string {
  switch (effect.kind) {
    case "deliver":
      return `deliver ${effect.from}–${effect.to} to ${effect.userIds.join(",")}`;
    case "push":
      return `push to ${effect.userId}`;
    case "cache":
      return `cache head ${effect.headSeqId}, presence of ${effect.presenceOf.join(",")}`;
    case "persist":
      return `persist ${effect.batch.fromSeqId}–${effect.batch.toSeqId} and ${effect.batch.outboxIds.length} rows`;
    case "publish":
      return `publish ${effect.rows.length} events`;
    case "fanout":
      return `fanout ${effect.task.fromSeqId}–${effect.task.toSeqId}`;
    case "timer":
      return `timer ${effect.name} in ${effect.inMs} ms`;
    case "alarm":
      return `alarm at ${effect.at}`;
  }
}

/** Leaf of the world room, as src/objects/FanoutShard.ts: `ShardCore` downwards, a `Lane` upwards. */
import type { Telling } from "../../src/domain/changeNotices.ts";
import type { HistoryPage, SendCommand } from "../../src/domain/commands.ts";
import { Lane } from "../../src/domain/lane.ts";
import { WORLD_ROOM_ID, type StoredMessage } from "../../src/domain/records.ts";
import { ShardCore, type ShardEffect } from "../../src/domain/shard.ts";
import { NOTES_WINDOW_MS, ShardNotes } from "../../src/domain/shardNotes.ts";
import { err, type Result } from "../../src/protocol/errors.ts";
import type { ServerFrame } from "../../src/protocol/frames.ts";
import { callEach } from "./eachOf.ts";
import { MS, SECOND } from "./kernel.ts";
import { check } from "./check.ts";
import { call, Peer, type Reply } from "./net.ts";
import type { Sim } from "./sim.ts";

const UP_LANE = { flight: 256, waiting: 4_096 };
const UNREACHABLE_RETRY_MS = 1_000;
const PULL_ROWS = 200;
/** Source: `SLOW_SESSION_MS` of the core. */
const SLOW_US = 2 * SECOND;

type Batch = { left: number; outcomes: Result<StoredMessage>[]; reply: Reply<Result<StoredMessage>[]> };
type Parcel = { command: SendCommand; batch: Batch; index: number };

export class ShardNode extends Peer {
  readonly #sim: Sim;
  /** Registered sessions are rows; they survive. */
  readonly #registered = new Set<string>();
  #core: ShardCore;
  #up = new Lane<Parcel>(UP_LANE);
  /** Deliveries in the air, since when (virtual microseconds). */
  readonly #unanswered = new Map<string, { to: number; since: number }>();
  /** World sequence up to which each registered session was reached, where this life of the shard knows it. */
  readonly #reached = new Map<string, number>();
  /** Pushes answered only when their messages were handed over: what dies here is pushed again. */
  #owed: { toSeqId: number; reply: Reply<true> }[] = [];

  #notes = new ShardNotes<ServerFrame>();
  /** Whoever waits for the window of notes that gathers now. */
  #telling: Reply<true>[] = [];

  constructor(sim: Sim, name: string) {
    super(name);
    this.#sim = sim;
    this.#core = this.#newCore();
  }

  crash(): void {
    for (const [userId, { since }] of this.#unanswered) {
      if (this.#sim.kernel.now - since > SLOW_US) {
        // It was no longer waited for, so what it had not answered is forgotten with the shard.
        this.#sim.ledger.excused.add(userId);
      }
    }
    this.#unanswered.clear();
    this.#reached.clear();
    if (this.#sim.kernel.verbose) {
      this.#sim.kernel.say(`${this.name} crashes`);
    }
    this.#owed = [];
    this.#notes = new ShardNotes();
    this.#telling = [];
    this.#up = new Lane<Parcel>(UP_LANE);
    this.#core = this.#newCore();
    this.forget();
  }

  /** Answers up to where everything was sent before: the newcomer's own business to have read. */
  register(userId: string, reply: Reply<number>): void {
    if (this.#sim.kernel.verbose) {
      this.#sim.kernel.say(`${this.name} registers ${userId}`);
    }
    const joined = (): void => {
      this.#registered.add(userId);
      this.#core.join(userId);
      this.#reached.set(userId, this.#reached.get(userId) ?? this.#core.sentSeqId);
      reply(this.#core.sentSeqId);
    };
    if (this.#core.cursor === undefined) {
      this.#begin(joined, reply);
    } else {
      joined();
    }
  }

  /** A shard that has just woken learns where the room stands. */
  #begin(done: () => void, failed: Reply<number>): void {
    const sim = this.#sim;
    const room = sim.room(WORLD_ROOM_ID);
    call<HistoryPage>(
      sim,
      this,
      room,
      "readLog",
      (reply) => room.step((core) => core.readLog(0, 0), reply),
      (page) => {
        if (page === "failed") {
          failed("failed");
          return;
        }
        const { headSeqId, deliveredSeqId } = page;
        // Readers of an earlier life may lack what was on its way then.
        const from = this.#registered.size > 0 ? (deliveredSeqId ?? headSeqId) : headSeqId;
        this.#step((core, now) => core.begin(from, headSeqId, now));
        done();
      },
    );
  }

  unregister(userId: string, reply: Reply<number>): void {
    if (this.#sim.kernel.verbose) {
      this.#sim.kernel.say(`${this.name} unregisters ${userId}`);
    }
    this.#registered.delete(userId);
    this.#core.leave(userId);
    this.#reached.delete(userId);
    reply(0);
  }

  push(task: { fromSeqId: number; toSeqId: number; messages: StoredMessage[] }, reply: Reply<true>): void {
    this.#owed.push({ toSeqId: task.toSeqId, reply });
    this.#step((core, now) => core.pushed(task.messages, now));
  }

  /** Edits, recalls and reactions: gathered for a window, then to every session. Whoever is not reached learns it from the next sync. */
  tell({ key, version, seqId, frame, message }: Telling, reply: Reply<true>): void {
    if (message !== undefined) {
      this.#core.amended(seqId, message);
    }
    const begins = this.#notes.add({ key, version, frame, isReaction: message === undefined });
    this.#telling.push(reply);
    if (!begins) {
      return;
    }
    const { life } = this;
    this.#sim.kernel.after(NOTES_WINDOW_MS * MS, "notes", this.name, () => {
      if (this.life === life) {
        this.#tellAll();
      }
    });
  }

  #tellAll(): void {
    const frames = this.#notes.take();
    const waiting = this.#telling.splice(0);
    const userIds = this.#core.sessionIds();
    callEach(
      userIds,
      (userId, done: Reply<number>) => {
        const user = this.#sim.user(userId);
        call<number>(
          this.#sim,
          this,
          user,
          "notes",
          (reply) => user.deliver(frames, reply),
          () => done(0),
        );
      },
      () => waiting.forEach((reply) => reply(true)),
    );
  }

  // ---- up

  send(sends: SendCommand[], reply: Reply<Result<StoredMessage>[]>): void {
    const batch: Batch = { left: sends.length, outcomes: [], reply };
    sends.forEach((command, index) => {
      if (!this.#up.offer({ command, batch, index })) {
        this.#outcome({ command, batch, index }, err({ name: "RATE_LIMITED", retryAfterMs: UNREACHABLE_RETRY_MS }));
      }
    });
    this.#depart();
  }

  #depart(): void {
    const flight = this.#up.depart();
    if (flight === undefined) {
      return;
    }
    const sim = this.#sim;
    const room = sim.room(WORLD_ROOM_ID);
    const commands = flight.map((parcel) => parcel.command);
    call<Result<StoredMessage>[]>(
      sim,
      this,
      room,
      "append",
      (reply) => room.append(commands, reply),
      (outcomes) => {
        const lost = outcomes === "failed";
        const landed = lost ? [...this.#up.land(), ...this.#up.abandon()] : this.#up.land();
        landed.forEach((parcel, index) => {
          const outcome = lost ? undefined : outcomes[index];
          this.#outcome(parcel, outcome ?? err({ name: "UNAVAILABLE", retryAfterMs: UNREACHABLE_RETRY_MS }));
        });
        this.#depart();
      },
    );
  }

  #outcome(parcel: Parcel, outcome: Result<StoredMessage>): void {
    const { batch, index } = parcel;
    batch.outcomes[index] = outcome;
    batch.left -= 1;
    if (batch.left === 0) {
      batch.reply(batch.outcomes);
    }
  }

  // ---- down

  #newCore(): ShardCore {
    const core = new ShardCore();
    this.#sim.plant.shard?.(core);
    for (const userId of this.#registered) {
      core.join(userId);
    }
    return core;
  }

  #step(work: (core: ShardCore, nowMs: number) => void): void {
    this.#sim.mayDie("shardCrash", this, () => this.crash());
    work(this.#core, this.#sim.kernel.ms);
    for (const effect of this.#core.takeEffects()) {
      this.#carryOut(effect);
    }
    const handedOver = this.#core.handedOver(this.#sim.kernel.ms);
    for (const owed of this.#owed.filter(({ toSeqId }) => toSeqId <= handedOver)) {
      this.#everybodyReached(owed.toSeqId);
      owed.reply(true);
    }
    this.#owed = this.#owed.filter(({ toSeqId }) => toSeqId > handedOver);
  }

  /** What is confirmed has come to every session, but for those that take too long to answer. */
  #everybodyReached(toSeqId: number): void {
    const { kernel } = this.#sim;
    for (const [userId, seqId] of this.#reached) {
      const slow = kernel.now - (this.#unanswered.get(userId)?.since ?? kernel.now) >= SLOW_US - MS;
      check(
        seqId >= toSeqId || slow,
        "what a shard confirms has reached its sessions",
        () => `${this.name} confirms ${toSeqId}, ${userId} was reached up to ${seqId}`,
      );
    }
  }

  #carryOut(effect: ShardEffect): void {
    const sim = this.#sim;
    if (sim.kernel.verbose) {
      const to = effect.kind === "deliver" ? `${effect.to} to ${effect.userIds.join(",")}` : "";
      sim.kernel.say(`${this.name} wants ${effect.kind} ${to}`);
    }
    switch (effect.kind) {
      case "broadcast":
        // Passive sockets: nobody in the simulation opens one.
        return;
      case "deliver": {
        const { life } = this;
        for (const userId of effect.userIds) {
          const user = sim.user(userId);
          this.#unanswered.set(userId, { to: effect.to, since: sim.kernel.now });
          call<number>(
            sim,
            this,
            user,
            "deliver",
            (reply) => {
              if (this.life === life && this.#reached.has(userId)) {
                this.#reached.set(userId, Math.max(this.#reached.get(userId) ?? 0, effect.to));
              }
              user.deliverMessages(effect.messages, reply);
            },
            (sockets) => {
              // The late answer to a call that was given up says nothing about the newer one.
              if (this.#unanswered.get(userId)?.to === effect.to) {
                this.#unanswered.delete(userId);
              }
              this.#step((core, now) => core.answered(userId, effect.to, sockets, now));
            },
          );
        }
        return;
      }
      case "pull": {
        const room = sim.room(WORLD_ROOM_ID);
        return call<{ messages: StoredMessage[]; headSeqId: number }>(
          sim,
          this,
          room,
          "readLog",
          (reply) => room.step((core) => core.readLog(effect.after, PULL_ROWS), reply),
          (page) =>
            this.#step((core, now) =>
              page === "failed" ? core.pulled("failed", 0, now) : core.pulled(page.messages, page.headSeqId, now),
            ),
        );
      }
      case "timer": {
        const { life } = this;
        sim.kernel.after(effect.inMs * MS, "shard timer", this.name, () => {
          if (this.life === life) {
            this.#step((core, now) => core.onTimer(now));
          }
        });
        return;
      }
      case "forget":
        this.#registered.delete(effect.userId);
        this.#reached.delete(effect.userId);
    }
  }
}

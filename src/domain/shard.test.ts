import fc from "fast-check";
import { describe, it } from "vitest";
import type { StoredMessage } from "./records.ts";
import { FRAME_MESSAGES, SHARD_BACKLOG, SHARD_WINDOW_MS, ShardCore, type ShardEffect } from "./shard.ts";

const NOW = 1_700_000_000_000;
/** Calls to sessions in the air at a time, failures until a session is forgotten, and the limits of patience: as in the core. */
const IN_AIR = 100;
const STRIKES = 8;
const SLOW_MS = 2_000;
const LOST_MS = 10_000;

function message(seqId: number): StoredMessage {
  return {
    messageId: `m${seqId}`,
    conversationId: "world_chat_room",
    seqId,
    senderId: "u1",
    messageType: "text",
    content: `text ${seqId}`,
    createdAt: NOW,
    clientMsgId: `k${seqId}`,
  };
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, n) => from + n);
}

function seqIds(messages: readonly StoredMessage[]): number[] {
  return messages.map((one) => one.seqId);
}

type Kind = ShardEffect["kind"];

class Harness {
  readonly core = new ShardCore();
  now = NOW;
  #effects: ShardEffect[] = [];

  /** The room stands at `head` and nobody lacks anything. */
  static at(head: number, ...users: string[]): Harness {
    const shard = new Harness();
    shard.core.begin(head, head, NOW);
    users.forEach((user) => shard.core.join(user));
    return shard;
  }

  push(from: number, to = from): this {
    this.core.pushed(range(from, to).map(message), this.now);
    return this;
  }

  /** Time passes in steps, with the timer firing as it was armed at the latest. */
  pass(ms: number): this {
    const end = this.now + ms;
    while (this.now < end) {
      this.now = Math.min(end, this.now + 50);
      this.core.onTimer(this.now);
    }
    return this;
  }

  answer(user: string, to: number, sockets: number | "failed" = 1): this {
    this.core.answered(user, to, sockets, this.now);
    return this;
  }

  take<K extends Kind>(kind: K): Extract<ShardEffect, { kind: K }>[] {
    this.#effects.push(...this.core.takeEffects());
    const taken = this.#effects.filter((effect): effect is Extract<ShardEffect, { kind: K }> => effect.kind === kind);
    this.#effects = this.#effects.filter((effect) => effect.kind !== kind);
    return taken;
  }

  /** Sequences of each frame since the last call. */
  frames(): number[][] {
    return this.take("broadcast").map(({ messages }) => seqIds(messages));
  }

  /** Calls since the last call, as `users: sequences`. */
  calls(): string[] {
    return this.take("deliver").map(({ userIds, messages }) => `${userIds.join(" ")}: ${seqIds(messages).join(" ")}`);
  }

  pulls(): number[] {
    return this.take("pull").map(({ after }) => after);
  }
}

describe("windows", () => {
  it("open at once after silence, then gather for their time", ({ expect }) => {
    const shard = Harness.at(0).push(1);
    expect(shard.frames()).toEqual([[1]]);
    shard.push(2).push(3);
    expect(shard.frames()).toEqual([]);
    expect(shard.take("timer")).toEqual([{ kind: "timer", inMs: SHARD_WINDOW_MS }]);
    shard.now += SHARD_WINDOW_MS;
    shard.core.onTimer(shard.now);
    expect(shard.frames()).toEqual([[2, 3]]);
  });

  it("arm one timer, and none when nothing waits", ({ expect }) => {
    const shard = Harness.at(0).push(1);
    range(2, 20).forEach((seqId) => shard.push(seqId));
    expect(shard.take("timer")).toHaveLength(1);
    shard.pass(SHARD_WINDOW_MS).take("timer");
    shard.pass(60_000);
    expect(shard.take("timer")).toEqual([]);
  });

  it("cut into frames, none of them too long, what is more than one holds", ({ expect }) => {
    const shard = Harness.at(0).push(1, 2 * FRAME_MESSAGES + 1);
    const frames = shard.frames();
    expect(frames.map((frame) => frame.length)).toEqual([FRAME_MESSAGES, FRAME_MESSAGES, 1]);
    expect(frames.flat()).toEqual(range(1, 2 * FRAME_MESSAGES + 1));
  });

  it("hold everything that came, also more than is kept for later", ({ expect }) => {
    const shard = Harness.at(0).push(1);
    shard.frames();
    const many = 4 * SHARD_BACKLOG;
    range(2, many).forEach((seqId) => shard.push(seqId));
    shard.pass(SHARD_WINDOW_MS);
    expect(shard.frames().flat()).toEqual(range(2, many));
  });

  it("wait longer where their frames take long to leave, up to a limit", ({ expect }) => {
    const shard = Harness.at(0).push(1);
    const restAfter = (tookMs: number): number => {
      shard.frames();
      shard.now += tookMs;
      shard.core.flushed(shard.now);
      const flushedAt = shard.now;
      const next = (shard.core.cursor ?? 0) + 1;
      shard.push(next);
      for (let at = 0; shard.frames().length === 0 && at < 5_000; at++) {
        shard.now += 1;
        shard.core.onTimer(shard.now);
      }
      return shard.now - flushedAt;
    };
    expect(restAfter(10)).toBe(SHARD_WINDOW_MS - 10);
    expect(restAfter(SHARD_WINDOW_MS)).toBe(2 * SHARD_WINDOW_MS);
    expect(restAfter(60_000)).toBe(1_000);
    // And is as quick as ever when they leave at once.
    expect(restAfter(0)).toBe(SHARD_WINDOW_MS);
  });

  it("take a timer that fires a little early for theirs", ({ expect }) => {
    const shard = Harness.at(0).push(1).push(2);
    shard.frames();
    shard.now += SHARD_WINDOW_MS - 1;
    shard.core.onTimer(shard.now);
    // Not yet; but it armed itself again.
    expect(shard.take("timer").at(-1)).toEqual({ kind: "timer", inMs: 1 });
    shard.now += 1;
    shard.core.onTimer(shard.now);
    expect(shard.frames()).toEqual([[2]]);
  });
});

describe("the order of a room", () => {
  it("reaches sockets once and whole, however tasks are repeated, mixed up or lost", ({ expect }) => {
    const task = fc.record({
      from: fc.integer({ min: 1, max: 40 }),
      length: fc.integer({ min: 1, max: 6 }),
      waitMs: fc.constantFrom(0, 0, 30, 200),
      readable: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(task, { maxLength: 40 }), (tasks) => {
        const head = 45;
        const shard = Harness.at(0);
        const readLog = (readable: boolean): void => {
          for (const after of shard.pulls()) {
            const page = range(after + 1, Math.min(head, after + 7)).map(message);
            shard.core.pulled(readable ? page : "failed", head, shard.now);
          }
        };
        for (const { from, length, waitMs, readable } of tasks) {
          shard.push(from, from + length - 1).pass(waitMs);
          readLog(readable);
        }
        shard.push(head);
        for (let n = 0; n < 20; n++) {
          shard.pass(1_000);
          readLog(true);
        }
        expect(shard.frames().flat()).toEqual(range(1, head));
      }),
    );
  });

  it("waits for what is missing, and asks the log for it once at a time", ({ expect }) => {
    const shard = Harness.at(3).push(6);
    expect(shard.frames()).toEqual([]);
    shard.push(7);
    expect(shard.pulls()).toEqual([3]);
    shard.core.pulled([4, 5, 6, 7].map(message), 7, shard.now);
    expect(shard.frames()).toEqual([[4, 5, 6, 7]]);
    expect(shard.pulls()).toEqual([]);
  });

  it("does not hammer a log that cannot be read", ({ expect }) => {
    const shard = Harness.at(3).push(6);
    shard.pulls();
    shard.core.pulled("failed", 0, shard.now);
    shard.pass(900).push(7);
    expect(shard.pulls()).toEqual([]);
    shard.pass(200);
    expect(shard.pulls()).toEqual([3]);
  });

  it("goes on behind rows that have left the log", ({ expect }) => {
    const shard = Harness.at(3).push(9);
    shard.core.pulled([8, 9].map(message), 9, shard.now);
    expect(shard.frames()).toEqual([[8, 9]]);
    expect(shard.core.backlogAfter(7)?.length).toBe(2);
    expect(shard.core.backlogAfter(3)).toBeUndefined();
  });

  it("gives up a promise that the log does not keep", ({ expect }) => {
    const shard = Harness.at(3).push(9);
    shard.core.pulled([], 3, shard.now);
    shard.pulls();
    shard.pass(60_000);
    expect(shard.pulls()).toEqual([]);
    expect(shard.push(4).frames()).toEqual([[4]]);
  });
});

describe("a shard that has just woken", () => {
  it("takes what it is told first for the beginning", ({ expect }) => {
    const shard = new Harness().push(7, 8);
    expect(shard.frames()).toEqual([[7, 8]]);
    expect(shard.pulls()).toEqual([]);
  });

  it("reads what its readers of before may lack", ({ expect }) => {
    const shard = new Harness();
    shard.core.join("a");
    shard.core.begin(3, 5, shard.now);
    expect(shard.pulls()).toEqual([3]);
    shard.core.pulled([4, 5].map(message), 5, shard.now);
    expect(shard.calls()).toEqual(["a: 4 5"]);
  });

  it("does not begin twice, nor before where the room stands", ({ expect }) => {
    const shard = Harness.at(5);
    shard.core.begin(0, 9, shard.now);
    shard.core.start(0);
    expect(shard.core.cursor).toBe(5);
    const other = new Harness();
    other.core.begin(9, 5, other.now);
    expect(other.core.cursor).toBe(5);
    expect(other.pulls()).toEqual([]);
  });
});

describe("a socket that comes with a cursor", () => {
  it("gets what was sent after it, and the rest with the next window", ({ expect }) => {
    const shard = Harness.at(0).push(1, 3).push(4);
    expect(seqIds(shard.core.backlogAfter(1) ?? [])).toEqual([2, 3]);
    expect(shard.core.backlogAfter(3)).toEqual([]);
    expect(shard.core.backlogAfter(99)).toEqual([]);
  });

  it("is told to read elsewhere when the backlog does not reach so far", ({ expect }) => {
    expect(new ShardCore().backlogAfter(0)).toBeUndefined();
    expect(Harness.at(5).core.backlogAfter(4)).toBeUndefined();
    expect(Harness.at(5).core.backlogAfter(5)).toEqual([]);
    const shard = Harness.at(0);
    range(1, 3 * SHARD_BACKLOG).forEach((seqId) => shard.push(seqId).pass(SHARD_WINDOW_MS));
    expect(shard.core.backlogAfter(0)).toBeUndefined();
    expect(shard.core.backlogAfter(2 * SHARD_BACKLOG)).toHaveLength(SHARD_BACKLOG);
  });
});

describe("sessions", () => {
  it("take in one call what came while they were busy; those that stand alike share it", ({ expect }) => {
    const shard = Harness.at(0, "a", "b").push(1);
    expect(shard.calls()).toEqual(["a b: 1"]);
    shard.answer("b", 1);
    shard.push(2).pass(SHARD_WINDOW_MS).push(3).pass(SHARD_WINDOW_MS);
    expect(shard.calls()).toEqual(["b: 2"]);
    shard.answer("a", 1).answer("b", 2);
    expect(shard.calls()).toEqual(["a: 2 3", "b: 3"]);
  });

  it("get nothing from before they came", ({ expect }) => {
    const shard = Harness.at(0).push(1, 3);
    shard.core.join("a");
    shard.push(4).pass(SHARD_WINDOW_MS);
    expect(shard.calls()).toEqual(["a: 4"]);
  });

  it("that have no socket any more are forgotten", ({ expect }) => {
    const shard = Harness.at(0, "a").push(1).answer("a", 1, 0);
    expect(shard.take("forget")).toEqual([{ kind: "forget", userId: "a" }]);
    shard.calls();
    shard.push(2).pass(60_000);
    expect(shard.calls()).toEqual([]);
    expect(shard.core.sessionCount).toBe(0);
  });

  it("that registered again meanwhile are not forgotten by an older answer", ({ expect }) => {
    const shard = Harness.at(0, "a").push(1);
    shard.core.join("a");
    shard.calls();
    shard.answer("a", 1, 0);
    expect(shard.take("forget")).toEqual([]);
    // What the answer said nothing about is said again.
    expect(shard.calls()).toEqual(["a: 1"]);
    shard.answer("a", 1, 0);
    expect(shard.take("forget")).toHaveLength(1);
  });

  it("that failed are tried again, later each time, and forgotten in the end", ({ expect }) => {
    const shard = Harness.at(0, "a").push(1);
    const triedAt: number[] = [];
    for (let n = 0; n < STRIKES; n++) {
      while (shard.calls().length === 0) {
        shard.pass(50);
      }
      triedAt.push(shard.now);
      shard.answer("a", 1, "failed");
    }
    const pauses = triedAt.slice(1).map((at, n) => at - (triedAt[n] ?? 0));
    expect(pauses).toEqual([200, 400, 800, 1_600, 3_200, 6_400, 12_800]);
    expect(shard.take("forget")).toHaveLength(1);
  });

  it("that failed once and then answered have all their chances again", ({ expect }) => {
    const shard = Harness.at(0, "a");
    for (let seqId = 1; seqId <= 3 * STRIKES; seqId++) {
      shard.push(seqId).pass(SHARD_WINDOW_MS).answer("a", seqId, "failed").pass(300).answer("a", seqId);
    }
    expect(shard.take("forget")).toEqual([]);
    expect(shard.core.handedOver(shard.now)).toBe(3 * STRIKES);
  });

  it("that never answer are taken for failed after a while, and told again", ({ expect }) => {
    const shard = Harness.at(0, "a").push(1);
    shard.calls();
    shard.pass(LOST_MS - 50);
    expect(shard.calls()).toEqual([]);
    shard.pass(500);
    expect(shard.calls()).toEqual(["a: 1"]);
  });

  it("are called so many at a time, in the order in which they fell behind, nobody twice before all", ({ expect }) => {
    const users = range(1, 2 * IN_AIR + 50).map((n) => `u${n}`);
    const shard = Harness.at(0, ...users).push(1);
    const first = shard.take("deliver").flatMap((call) => call.userIds);
    expect(first).toEqual(users.slice(0, IN_AIR));
    shard.push(2).pass(SHARD_WINDOW_MS);
    expect(shard.calls()).toEqual([]);
    const served: string[] = [...first];
    for (const user of first) {
      shard.answer(user, 1);
      const next = shard.take("deliver").flatMap((call) => call.userIds);
      expect(next).toHaveLength(1);
      served.push(...next);
    }
    expect(served).toEqual(users.slice(0, 2 * IN_AIR));
  });

  it("whose answer comes when they were given up, or have left, make no room twice", ({ expect }) => {
    const users = range(1, 4 * IN_AIR).map((n) => `u${n}`);
    const shard = Harness.at(0, ...users).push(1);
    const lost = shard.take("deliver").flatMap((call) => call.userIds);
    expect(lost).toHaveLength(IN_AIR);
    const inAir = new Set<string>();
    const called = (): void => {
      for (const user of shard.take("deliver").flatMap((call) => call.userIds)) {
        inAir.add(user);
      }
    };
    shard.pass(LOST_MS + 50);
    called();
    expect([...inAir]).toEqual(users.slice(IN_AIR, 2 * IN_AIR));
    // All these answers come late, and two of those called now are gone: their places are free once.
    lost.forEach((user) => shard.answer(user, 1));
    called();
    expect(inAir.size).toBe(IN_AIR);
    for (const user of [...inAir].slice(0, 2)) {
      shard.core.leave(user);
      shard.answer(user, 1);
      inAir.delete(user);
    }
    called();
    expect(inAir.size).toBe(IN_AIR);
    for (let rounds = 0; shard.core.handedOver(shard.now) < 1 && rounds < 1_000; rounds++) {
      const [user] = inAir;
      if (user === undefined) {
        // Those who were given up are called again when their time has come.
        shard.pass(250);
      } else {
        inAir.delete(user);
        shard.answer(user, 1);
      }
      called();
      expect(inAir.size).toBeLessThanOrEqual(IN_AIR);
    }
    expect(shard.core.handedOver(shard.now)).toBe(1);
  });

  it("that left while they waited for their turn are not called, and those that came back only when they are behind", ({
    expect,
  }) => {
    const users = range(1, IN_AIR).map((n) => `u${n}`);
    const shard = Harness.at(0, ...users, "leaves", "returns").push(1);
    shard.take("deliver");
    shard.core.leave("leaves");
    shard.core.leave("returns");
    shard.core.join("returns");
    shard.answer("u1", 1).answer("u2", 1);
    expect(shard.calls()).toEqual([]);
    shard.push(2).pass(SHARD_WINDOW_MS);
    users.slice(2).forEach((user) => shard.answer(user, 1));
    const calls = shard.take("deliver").filter(({ userIds }) => userIds.includes("returns"));
    expect(calls.map(({ messages }) => seqIds(messages))).toEqual([[2]]);
  });
});

describe("what is handed over", () => {
  it("is what every session has taken, and nothing that still waits for its window", ({ expect }) => {
    const shard = Harness.at(0, "a", "b").push(1);
    expect(shard.core.handedOver(shard.now)).toBe(0);
    shard.answer("a", 1);
    expect(shard.core.handedOver(shard.now)).toBe(0);
    shard.answer("b", 1);
    expect(shard.core.handedOver(shard.now)).toBe(1);
    shard.push(2);
    expect(shard.core.handedOver(shard.now)).toBe(1);
  });

  it("does not wait for a session that takes too long, but for one that failed", ({ expect }) => {
    const shard = Harness.at(0, "slow")
      .push(1)
      .pass(SLOW_MS - 50);
    expect(shard.core.handedOver(shard.now)).toBe(0);
    shard.pass(50);
    expect(shard.core.handedOver(shard.now)).toBe(1);
    shard.answer("slow", 1, "failed");
    expect(shard.core.handedOver(shard.now)).toBe(0);
  });

  it("does not go back for somebody who has just come", ({ expect }) => {
    const shard = Harness.at(0, "a").push(1).answer("a", 1);
    shard.core.join("b");
    expect(shard.core.handedOver(shard.now)).toBe(1);
  });
});

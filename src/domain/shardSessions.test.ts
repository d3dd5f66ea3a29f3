/** Sessions that a shard hands messages to: busy, slow, failing, gone and back. */
import { describe, it } from "vitest";
import { SHARD_WINDOW_MS } from "./shard.ts";
import { range, seqIds, ShardHarness } from "./testing/shardHarness.ts";

/** Calls to sessions in the air at a time, failures until a session is forgotten, and the limits of patience: as in the core. */
const IN_AIR = 100;
const STRIKES = 8;
const SLOW_MS = 2_000;
const LOST_MS = 10_000;

describe("sessions", () => {
  it("take in one call what came while they were busy; those that stand alike share it", ({ expect }) => {
    const shard = ShardHarness.at(0, "a", "b").push(1);
    expect(shard.calls()).toEqual(["a b: 1"]);
    shard.answer("b", 1);
    shard.push(2).pass(SHARD_WINDOW_MS).push(3).pass(SHARD_WINDOW_MS);
    expect(shard.calls()).toEqual(["b: 2"]);
    shard.answer("a", 1).answer("b", 2);
    expect(shard.calls()).toEqual(["a: 2 3", "b: 3"]);
  });

  it("get nothing from before they came", ({ expect }) => {
    const shard = ShardHarness.at(0).push(1, 3);
    shard.core.join("a");
    shard.push(4).pass(SHARD_WINDOW_MS);
    expect(shard.calls()).toEqual(["a: 4"]);
  });

  it("that have no socket any more are forgotten", ({ expect }) => {
    const shard = ShardHarness.at(0, "a").push(1).answer("a", 1, 0);
    expect(shard.take("forget")).toEqual([{ kind: "forget", userId: "a" }]);
    shard.calls();
    shard.push(2).pass(60_000);
    expect(shard.calls()).toEqual([]);
    expect(shard.core.sessionCount).toBe(0);
  });

  it("that registered again meanwhile are not forgotten by an older answer", ({ expect }) => {
    const shard = ShardHarness.at(0, "a").push(1);
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
    const shard = ShardHarness.at(0, "a").push(1);
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
    const shard = ShardHarness.at(0, "a");
    for (let seqId = 1; seqId <= 3 * STRIKES; seqId++) {
      shard.push(seqId).pass(SHARD_WINDOW_MS).answer("a", seqId, "failed").pass(300).answer("a", seqId);
    }
    expect(shard.take("forget")).toEqual([]);
    expect(shard.core.handedOver(shard.now)).toBe(3 * STRIKES);
  });

  it("that never answer are taken for failed after a while, and told again", ({ expect }) => {
    const shard = ShardHarness.at(0, "a").push(1);
    shard.calls();
    shard.pass(LOST_MS - 50);
    expect(shard.calls()).toEqual([]);
    shard.pass(500);
    expect(shard.calls()).toEqual(["a: 1"]);
  });

  it("are called so many at a time, in the order in which they fell behind, nobody twice before all", ({ expect }) => {
    const users = range(1, 2 * IN_AIR + 50).map((n) => `u${n}`);
    const shard = ShardHarness.at(0, ...users).push(1);
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
    const shard = ShardHarness.at(0, ...users).push(1);
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
    const shard = ShardHarness.at(0, ...users, "leaves", "returns").push(1);
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
    const shard = ShardHarness.at(0, "a", "b").push(1);
    expect(shard.core.handedOver(shard.now)).toBe(0);
    shard.answer("a", 1);
    expect(shard.core.handedOver(shard.now)).toBe(0);
    shard.answer("b", 1);
    expect(shard.core.handedOver(shard.now)).toBe(1);
    shard.push(2);
    expect(shard.core.handedOver(shard.now)).toBe(1);
  });

  it("does not wait for a session that takes too long, but for one that failed", ({ expect }) => {
    const shard = ShardHarness.at(0, "slow")
      .push(1)
      .pass(SLOW_MS - 50);
    expect(shard.core.handedOver(shard.now)).toBe(0);
    shard.pass(50);
    expect(shard.core.handedOver(shard.now)).toBe(1);
    shard.answer("slow", 1, "failed");
    expect(shard.core.handedOver(shard.now)).toBe(0);
  });

  it("does not go back for somebody who has just come", ({ expect }) => {
    const shard = ShardHarness.at(0, "a").push(1).answer("a", 1);
    shard.core.join("b");
    expect(shard.core.handedOver(shard.now)).toBe(1);
  });
});

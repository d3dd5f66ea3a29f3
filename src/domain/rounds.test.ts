import { describe, it } from "vitest";
import { DeliveryRounds, GATHER_MS, type Delivery } from "./rounds.ts";

/** Rounds whose messages are so long that one delivery holds `fit` of them. */
function rounds(fit: number) {
  const deliveries: Delivery[] = [];
  const gathers: number[] = [];
  const core = new DeliveryRounds(
    {
      deliver: (delivery) => deliveries.push(delivery),
      reach: (from, to) => Math.min(to, from + fit),
      patience: () => undefined,
      retry: () => undefined,
      gather: (inMs) => gathers.push(inMs),
      unsure: () => undefined,
    },
    0,
  );
  return { core, deliveries, gathers };
}

describe("delivery rounds", () => {
  it("cut a batch of long messages, and lose nothing at the cut", ({ expect }) => {
    const { core, deliveries } = rounds(6);
    core.found("a", 0, 0);
    core.committed(14, 0);
    for (let n = 0; n < deliveries.length; n++) {
      const delivery = deliveries[n];
      if (delivery !== undefined) {
        core.answered("a", delivery, 1, 0);
      }
    }
    core.onGathered(5);
    const last = deliveries.at(-1);
    if (last !== undefined) {
      core.answered("a", last, 1, 5);
    }
    expect(deliveries.map(({ from, to }) => [from, to])).toEqual([
      [0, 6],
      [6, 12],
      [12, 14],
    ]);
    expect(core.delivered()).toBe(14);
  });

  it("do not measure a handful", ({ expect }) => {
    const { core, deliveries } = rounds(1);
    core.found("a", 0, 0);
    core.committed(4, 0);
    expect(deliveries).toEqual([{ from: 0, to: 4, userIds: ["a"] }]);
  });

  it("after a round of several, wait for what its readers answer with, on top of what waits already", ({ expect }) => {
    const { core, deliveries } = rounds(6);
    core.found("a", 0, 0);
    core.found("b", 0, 0);
    core.committed(4, 0);
    core.committed(6, 0);
    answerAll(core, deliveries);
    // Two came meanwhile, four readers answer: the round is theirs together.
    core.committed(7, 1);
    core.committed(9, 1);
    expect(deliveries).toHaveLength(1);
    core.committed(10, 1);
    expect(deliveries.at(-1)).toEqual({ from: 4, to: 10, userIds: ["a", "b"] });
  });

  it("are not cut short by the timer of a round that has begun", ({ expect }) => {
    const { core, deliveries, gathers } = rounds(6);
    core.found("a", 0, 0);
    core.found("b", 0, 0);
    core.committed(4, 0);
    answerAll(core, deliveries);
    core.committed(5, 10);
    core.committed(8, 10);
    answerAll(core, deliveries);
    core.committed(9, 11);
    expect(gathers).toEqual([GATHER_MS]);
    core.onGathered(12);
    expect(gathers).toEqual([GATHER_MS, 1]);
    expect(deliveries).toHaveLength(2);
    core.onGathered(13);
    expect(deliveries.at(-1)).toEqual({ from: 8, to: 9, userIds: ["a", "b"] });
  });
});

/** Every receiver of the newest delivery takes it over. */
function answerAll(core: DeliveryRounds, deliveries: readonly Delivery[]): void {
  const last = deliveries.at(-1);
  for (const userId of last?.userIds ?? []) {
    core.answered(userId, { from: last?.from ?? 0, to: last?.to ?? 0 }, 1, 0);
  }
}

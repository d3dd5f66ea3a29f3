import { describe, it } from "vitest";
import { DeliveryRounds, type Delivery } from "./rounds.ts";

/** Rounds whose messages are so long that one delivery holds `fit` of them. */
function rounds(fit: number) {
  const deliveries: Delivery[] = [];
  const core = new DeliveryRounds(
    {
      deliver: (delivery) => deliveries.push(delivery),
      reach: (from, to) => Math.min(to, from + fit),
      patience: () => undefined,
      retry: () => undefined,
      gather: () => undefined,
      unsure: () => undefined,
    },
    0,
  );
  return { core, deliveries };
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
});

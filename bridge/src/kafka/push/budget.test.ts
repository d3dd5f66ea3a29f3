import { describe, it } from "vitest";
import { Budget } from "./budget.ts";

describe("a budget", () => {
  it("is shared by all partitions of all groups, and read half at a time", ({ expect }) => {
    const budget = new Budget(1_000, 200);
    expect(budget.bytesPerPartition).toBe(200);
    budget.share("a", 4);
    expect(budget.bytesPerPartition).toBe(125);
    budget.share("b", 6);
    expect(budget.bytesPerPartition).toBe(50);
    budget.share("a", 0);
    expect(budget.bytesPerPartition).toBe(84);
  });
});

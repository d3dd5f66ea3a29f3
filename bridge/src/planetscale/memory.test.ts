import { describe, it } from "vitest";
import { ResultMemory } from "./memory.ts";

describe("the memory of results", () => {
  it("is shared, and given back", ({ expect }) => {
    const memory = new ResultMemory(100);
    const [one, two] = [memory.hold(), memory.hold()];
    expect([one.take(60), two.take(40), two.take(1), one.take(1)]).toEqual([true, true, false, false]);
    one.release();
    one.release();
    expect([memory.bytes, one.take(1), two.take(60)]).toEqual([40, false, true]);
    two.release();
    expect(memory.bytes).toBe(0);
  });

  it("never refuses the only one", ({ expect }) => {
    const memory = new ResultMemory(100);
    const alone = memory.hold();
    expect([alone.take(90), alone.take(90)]).toEqual([true, true]);
    expect(memory.hold().take(1)).toBe(false);
  });
});

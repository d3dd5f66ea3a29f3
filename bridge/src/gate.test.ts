import { describe, it } from "vitest";
import { Gate } from "./gate.ts";

describe("the gate", () => {
  it("lets in up to its bytes, and again when some have left", ({ expect }) => {
    const gate = new Gate(100);
    expect(gate.enter(60)).toBe(true);
    expect(gate.enter(41)).toBe(false);
    expect(gate.enter(40)).toBe(true);
    gate.leave(60);
    expect(gate.bytes).toBe(40);
    expect(gate.enter(60)).toBe(true);
  });

  it("never refuses the only one", ({ expect }) => {
    const gate = new Gate(100);
    expect(gate.enter(1_000)).toBe(true);
    expect(gate.enter(1)).toBe(false);
  });
});

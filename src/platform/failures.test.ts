import { describe, it } from "vitest";
import { faultOfThrown } from "./failures.ts";

describe("faults of what was thrown", () => {
  it.for([
    [Object.assign(new Error("Durable Object is overloaded."), { overloaded: true, retryable: true }), "RATE_LIMITED"],
    [Object.assign(new Error("gone"), { retryable: true }), "UNAVAILABLE"],
    [new Error("Network connection lost."), "UNAVAILABLE"],
    [new Error("Durable Object reset because its code was updated."), "UNAVAILABLE"],
    [new Error("wrapper", { cause: new Error("Network connection lost.") }), "UNAVAILABLE"],
    [Object.assign(new Error("away"), { name: "SqlUnavailable" }), "UNAVAILABLE"],
    [new TypeError("x is not a function"), "INTERNAL"],
    [new Error("the network of roads"), "INTERNAL"],
    [Object.assign(new Error("no"), { overloaded: "true", retryable: 1 }), "INTERNAL"],
    ["Network connection lost.", "INTERNAL"],
    [undefined, "INTERNAL"],
    [null, "INTERNAL"],
  ] as const)("%s", ([thrown, name], { expect }) => {
    expect(faultOfThrown(thrown).name).toBe(name);
  });

  it("ends on a cycle of causes", ({ expect }) => {
    const a = new Error("a");
    const b = new Error("b", { cause: a });
    a.cause = b;
    expect(faultOfThrown(a)).toEqual({ name: "INTERNAL" });
  });
});

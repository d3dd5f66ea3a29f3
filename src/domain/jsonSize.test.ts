import { describe, it } from "vitest";
import { jsonBytes, utf8Bytes } from "./jsonSize.ts";

const exact = (text: string): number => new TextEncoder().encode(text).length;

describe("sizes of JSON", () => {
  it("are exact below the surrogates, and never too small above", ({ expect }) => {
    for (const text of ["", "plain", "\u007f\u0080\u07ff\u0800\uffff", "¿qué? 你好", '"quoted" \\ and \n']) {
      expect(utf8Bytes(text)).toBe(exact(text));
    }
    expect(utf8Bytes("👍👍")).toBeGreaterThanOrEqual(exact("👍👍"));
  });

  it("count what JSON makes of control characters, quotes and lone surrogates", ({ expect }) => {
    expect(jsonBytes("\u0001".repeat(1000))).toBe(6002);
    expect(jsonBytes('"'.repeat(10))).toBe(22);
    expect(jsonBytes("\ud800")).toBe(8);
    expect(jsonBytes({ key: "a", n: 1 })).toBe(17);
    expect(jsonBytes(undefined)).toBe(0);
  });
});

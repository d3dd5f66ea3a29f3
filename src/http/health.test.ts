import { readFileSync } from "node:fs";
import { describe, it } from "vitest";
import { VERSION } from "./health.ts";

describe("the version", () => {
  it("is the package's", ({ expect }) => {
    const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
    expect(VERSION).toBe(version);
  });
});

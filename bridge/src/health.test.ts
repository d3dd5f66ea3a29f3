import { describe, it } from "vitest";
import { EngineHealth } from "./health.ts";
import type { LogFields } from "./log.ts";
import { createMetrics } from "./metrics.ts";

describe("the health of engines", () => {
  it("is told in the log when it changes, with what to look at, and not with each question", async ({ expect }) => {
    const lines: [level: string, message: string, fields?: LogFields][] = [];
    const deps = { log: (...line: (typeof lines)[number]) => void lines.push(line), metrics: createMetrics() };
    const refused = Object.assign(new Error("Access denied for user 'app'"), {
      code: "ER_ACCESS_DENIED_ERROR",
      sqlState: "28000",
    });
    let answer: () => Promise<void> = () => Promise.reject(refused);
    const health = new EngineHealth([{ name: "planetscale", health: () => answer() }], deps);

    expect(await health.check()).toEqual([{ name: "planetscale", up: false }]);
    expect(await health.check()).toEqual([{ name: "planetscale", up: false }]);
    const down = "MySQL does not answer: is it running, and is MYSQL_URL right?";
    expect(lines).toEqual([["warn", down, { engine: "planetscale", error: "Error ER_ACCESS_DENIED_ERROR" }]]);
    answer = () => Promise.resolve();
    expect(await health.check()).toEqual([{ name: "planetscale", up: true }]);
    expect(lines.slice(1)).toEqual([["info", "MySQL answers again", { engine: "planetscale" }]]);
    await health.check();
    expect(lines).toHaveLength(2);
  });
});

import { readFileSync } from "node:fs";
import { describe, it } from "vitest";
import { TOPIC_NAMES, TOPICS } from "../protocol/events.ts";
import { deadNext, MAX_RETRIES, maxAttempts, retryDelayS } from "./retry.ts";

describe("retries", () => {
  it.for(TOPIC_NAMES)("of %s are those of wrangler.toml", (topic, { expect }) => {
    const toml = readFileSync(new URL("../../wrangler.toml", import.meta.url), "utf8");
    const [, ...consumers] = toml.split("[[queues.consumers]]");
    const consumer = consumers.find((part) => part.includes(`queue = "${TOPICS[topic].queue}"`)) ?? "";
    expect(/^max_retries = (\d+)/m.exec(consumer)?.[1]).toBe(String(MAX_RETRIES[topic]));
  });

  it("are given up with the last delivery, not before", ({ expect }) => {
    const topic = "gochat.tasks.fanout";
    const attempts = [1, maxAttempts(topic) - 1, maxAttempts(topic)];
    expect(attempts.map((n) => deadNext(topic, { attempts: n }))).toEqual([false, false, true]);
  });

  it("wait longer each time, within bounds", ({ expect }) => {
    expect([0, 1, 2, 3, 7, 100].map(retryDelayS)).toEqual([1, 1, 2, 4, 60, 60]);
  });
});

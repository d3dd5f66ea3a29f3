/** The cases that the embedded cache passes inside workerd (test/workers/cacheContract.test.ts), on Redis behind the bridge. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, it, vi } from "vitest";
import type { Service } from "../../scripts/services/service.ts";
import { upstashCache } from "../../src/cache/upstash.ts";
import { cacheContract } from "../support/cacheContract.ts";
import { launchBridge } from "./support/bridgeProcess.ts";
import { serviceUrl } from "./support/addresses.ts";

const TOKEN = "a-token-for-tests";
const LIMIT_MS = 1_500;

let bridge: Service;
beforeAll(async () => {
  bridge = await launchBridge({ REDIS_URL: serviceUrl("REDIS_URL"), BRIDGE_REDIS_TOKENS: TOKEN });
});
afterAll(() => bridge?.dispose());

const open = (token = TOKEN) => ({
  cache: upstashCache({ url: `http://${bridge.address}`, token }, LIMIT_MS),
  prefix: `${randomUUID()}:`,
});

cacheContract("Redis", { open, wait: () => undefined });

describe("the cache on Redis, when it does not answer", () => {
  it("refuses a wrong token", async ({ expect }) => {
    await expect(open("another token").cache.pipeline([["GET", "a"]])).rejects.toThrow(/^redis: [A-Z]+$/);
  });

  it("fails while the bridge is away, and works when it is back", async ({ expect }) => {
    const { cache, prefix } = open();
    await cache.pipeline([["SET", `${prefix}a`, "1"]]);
    await bridge.kill();
    await expect(cache.pipeline([["GET", `${prefix}a`]])).rejects.toThrow(/^redis: /);
    await bridge.start();
    await vi.waitFor(async () => expect(await cache.pipeline([["GET", `${prefix}a`]])).toEqual(["1"]), 10_000);
  });
});

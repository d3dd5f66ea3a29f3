import { env } from "cloudflare:workers";
import { afterEach } from "vitest";
import { embeddedCache } from "../../src/cache/embedded.ts";
import { cacheContract } from "../support/cacheContract.ts";
import { advance, newUserId, resetClock } from "./support/harness.ts";

afterEach(resetClock);

const STEP_MS = 100;

for (const objects of [1, 4]) {
  cacheContract(`embedded, ${objects} ${objects === 1 ? "object" : "objects"}`, {
    open: () => ({ cache: embeddedCache(env, objects), prefix: `${newUserId()}:` }),
    wait: () => advance(STEP_MS),
  });
}

import { env } from "cloudflare:workers";
import { applyD1Migrations } from "cloudflare:test";
import { beforeEach } from "vitest";
import { resetBreakers } from "../../src/telemetry/breaker.ts";

await applyD1Migrations(env.DB, env.TEST_MIGRATIONS);

// What a test made fail is no news to the next one.
beforeEach(resetBreakers);

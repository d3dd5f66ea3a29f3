/** Puts the parts together: the dialects whose settings are there, behind one listener. */
import type { Dialect } from "./dialect.ts";
import { kafkaDialect } from "./kafka/dialect.ts";
import type { Log } from "./log.ts";
import { createMetrics } from "./metrics.ts";
import { planetscaleDialect } from "./planetscale/dialect.ts";
import { redisDialect } from "./redis/dialect.ts";
import { type BridgeServer, startServer } from "./server.ts";
import type { Settings } from "./settings.ts";

export async function startBridge(settings: Settings, log: Log): Promise<BridgeServer> {
  const deps = { log, metrics: createMetrics() };
  const dialects: Dialect[] = [];
  if (settings.kafka) {
    dialects.push(kafkaDialect(settings.kafka, deps));
  }
  if (settings.redis) {
    dialects.push(redisDialect(settings.redis, deps));
  }
  if (settings.mysql) {
    dialects.push(planetscaleDialect(settings.mysql, deps));
  }
  return startServer(settings, dialects, deps);
}

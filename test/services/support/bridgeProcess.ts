/** The bridge as a child process, in front of the servers that `npm run test:services` has started. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Service, type Recipe } from "../../../scripts/services/service.ts";

const MAIN = join(import.meta.dirname, "../../../bridge/src/main.ts");

/** @param env its settings besides the port; those of this process are not handed on */
export function launchBridge(env: Readonly<Record<string, string>>): Promise<Service> {
  const recipe: Recipe = {
    name: "the bridge",
    ready: /^ready on http/m,
    command: (_folder, port) => ({
      file: process.execPath,
      args: [MAIN],
      env: { ...NOTHING, BRIDGE_PORT: String(port), ...env },
    }),
  };
  return Service.start(recipe, mkdtempSync(join(tmpdir(), "gochat-bridge-")));
}

/** A dialect is on when its settings are there, so a test that is about one says only where that one is. */
const NOTHING = { KAFKA_BROKERS: "", REDIS_URL: "", MYSQL_URL: "" };

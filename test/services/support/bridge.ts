/** A bridge of the test's own, in this process, in front of the real servers that `npm run test:services` has started. */
import { log } from "../../../bridge/src/log.ts";
import { readSettings, type Environment } from "../../../bridge/src/settings.ts";
import { startBridge } from "../../../bridge/src/start.ts";

export interface TestBridge {
  readonly url: string;
  stop(): Promise<void>;
}

/** On a free port; the environment says which engines it has. */
export async function bridgeWith(environment: Environment): Promise<TestBridge> {
  const read = readSettings({ BRIDGE_PORT: "0", ...environment });
  if (!read.ok) {
    throw new Error(read.problems.join("\n"));
  }
  const quiet: typeof log = (level, message, fields) => {
    if (level === "error") {
      log(level, message, fields);
    }
  };
  const bridge = await startBridge(read.settings, quiet);
  return { url: `http://127.0.0.1:${bridge.port}`, stop: () => bridge.drain() };
}

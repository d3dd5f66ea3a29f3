/** `npm run bridge`: settings, dialects, listener; SIGTERM and SIGINT drain it. */
import { whyNotListening } from "./listening.ts";
import { describeError, log } from "./log.ts";
import { startBridge } from "./start.ts";
import { readSettings } from "./settings.ts";

const read = readSettings(process.env);
if (!read.ok) {
  for (const problem of read.problems) {
    console.error(problem);
  }
  process.exit(1);
}
try {
  const bridge = await startBridge(read.settings, log);
  let stopping = false;
  const stop = (): void => {
    if (stopping) {
      return;
    }
    stopping = true;
    bridge.drain().then(
      () => process.exit(0),
      (error: unknown) => {
        log("error", "the bridge did not end well", { error: describeError(error) });
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  console.log(`ready on http://${read.settings.host}:${bridge.port}`);
} catch (error) {
  console.error(whyNotListening(error, read.settings) ?? `The bridge could not start: ${describeError(error)}.`);
  process.exit(1);
}

/**
 * Runs the baseline Worker the way scripts/start runs ours: same miniflare, same workerd, same compatibility date, state
 * on disk. Arguments: port and state folder. Prints `ready on URL`; SIGTERM ends it.
 */
import { join } from "node:path";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from "miniflare";
import { unstable_readConfig } from "wrangler";
import { bundleWorker } from "../../scripts/start/bundle.ts";

const [port, storage] = process.argv.slice(2);
const config = unstable_readConfig(
  { config: join(import.meta.dirname, "../../wrangler.toml") },
  { hideWarnings: true },
);
const miniflare = new Miniflare({
  ...convertV4MiniflareOptions({
    host: "127.0.0.1",
    port: Number(port),
    cf: false,
    logRequests: false,
    resourcePersistencePath: storage,
    telemetry: { enabled: false },
    workers: [
      {
        name: "baseline",
        compatibilityDate: config.compatibility_date,
        durableObjects: {
          ROWS: { className: "RowWriter", useSQLite: true },
          BROADCASTERS: { className: "Broadcaster", useSQLite: true },
          LONERS: { className: "Loner", useSQLite: true },
          PERSONS: { className: "Person", useSQLite: true },
          ROOMS: { className: "Room", useSQLite: true },
        },
        modules: [
          {
            type: "ESModule",
            path: "worker.js",
            contents: await bundleWorker(join(import.meta.dirname, "worker.ts")),
          },
        ],
      },
    ],
  }),
  log: new Log(LogLevel.WARN),
});
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.removeAllListeners(signal);
  process.on(signal, () => void miniflare.dispose().finally(() => process.exit(0)));
}
console.log(`ready on ${(await miniflare.ready).origin}`);

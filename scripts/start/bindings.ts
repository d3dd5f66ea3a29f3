/**
 * From wrangler.toml to miniflare's options, through wrangler's own translation: what `npm start` binds is what
 * `wrangler deploy` binds, and nothing is written twice.
 */
import { convertV4MiniflareOptions, type MiniflareOptions } from "miniflare";
import { unstable_getMiniflareWorkerOptions, unstable_readConfig } from "wrangler";

export interface WorkerRun {
  /** Absolute path of wrangler.toml. */
  readonly configPath: string;
  /** The bundled module. */
  readonly script: string;
  /** Text bindings; those of the same name in `[vars]` give way. */
  readonly variables: Readonly<Record<string, string>>;
  readonly host: string;
  readonly port: number;
  /** Absolute path of the folder for Durable Objects, D1 and R2. */
  readonly storage: string;
}

/** Everything that miniflare needs to run the Worker. Does not read .dev.vars: that file belongs to `wrangler dev`. */
export function miniflareOptions(run: WorkerRun): MiniflareOptions {
  const config = unstable_readConfig({ config: run.configPath }, { hideWarnings: true });
  // Otherwise wrangler looks for the secrets in .dev.vars and warns when they are not there; ours come in `variables`.
  const withoutSecrets = { ...config, secrets: undefined };
  const { workerOptions } = unstable_getMiniflareWorkerOptions(withoutSecrets);
  const { modulesRules: _rules, ...bindings } = workerOptions;
  return convertV4MiniflareOptions({
    host: run.host,
    port: run.port,
    cf: false, // Otherwise it fetches a page at each start.
    logRequests: false,
    resourcePersistencePath: run.storage,
    telemetry: { enabled: false },
    workers: [
      {
        ...bindings,
        name: config.name ?? "gochat-edge",
        bindings: { ...config.vars, ...run.variables },
        modules: [{ type: "ESModule", path: "worker.js", contents: run.script }],
      },
    ],
  });
}

/**
 * `npm run dev`: plain `wrangler dev`, which rebuilds and reloads at each change, offline. Migrations are applied first, and
 * the signing key is handed over as an environment variable. Its state is not that of `npm start`, so that an experiment
 * harms nobody: it lies in `dev/` of the state folder. What follows `--` goes to wrangler.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { reasonOf, StartError } from "./start/errors.ts";
import { readStartSettings } from "./start/settings.ts";
import { signingKeys } from "./start/signingKeys.ts";

const ROOT = join(import.meta.dirname, "..");
const WRANGLER = join(ROOT, "node_modules/wrangler/bin/wrangler.js");

try {
  process.exitCode = await develop();
} catch (error) {
  console.error(error instanceof StartError ? error.message : error);
  process.exitCode = 1;
}

async function develop(): Promise<number> {
  const settings = readStartSettings(process.env);
  const folder = join(settings.dataFolder, "dev");
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw new StartError(
      `The state folder ${folder} cannot be written (${reasonOf(error)}): set GOCHAT_DATA to another.`,
    );
  }
  const environment = {
    ...process.env,
    JWT_KEYS: settings.jwtKeys ?? signingKeys(folder),
    // Offline: neither the example of request.cf is fetched, nor anything reported.
    CLOUDFLARE_CF_FETCH_ENABLED: "false",
    WRANGLER_SEND_METRICS: "false",
  };
  const place = ["--persist-to", folder];
  const migrated = await wrangler(["d1", "migrations", "apply", "DB", "--local", ...place], environment, "ignore");
  if (migrated !== 0) {
    return migrated;
  }
  const address = ["--ip", settings.host, "--port", String(settings.port)];
  return await wrangler(["dev", ...address, ...place, ...process.argv.slice(2)], environment, "inherit");
}

/** Without standard input wrangler asks no questions. */
async function wrangler(args: string[], env: NodeJS.ProcessEnv, stdin: "ignore" | "inherit"): Promise<number> {
  const child = spawn(process.execPath, [WRANGLER, ...args], { cwd: ROOT, env, stdio: [stdin, "inherit", "inherit"] });
  const forward = (signal: NodeJS.Signals): boolean => child.kill(signal);
  process.on("SIGTERM", forward).on("SIGINT", forward);
  const [code] = await once(child, "exit");
  process.off("SIGTERM", forward).off("SIGINT", forward);
  return typeof code === "number" ? code : 1;
}

/** What `npm start` reads from the environment: where to listen, where to keep state, and what the Worker gets. */
import { resolve } from "node:path";
import { StartError } from "./errors.ts";

/** Source: DESIGN section 8. */
export const DEFAULT_PORT = 8787;
const DEFAULT_HOST = "127.0.0.1";
const DEFAULT_DATA = ".data";

/**
 * Environment variables that are handed on to the Worker as they are; src/platform/settings.ts says what each means
 * and has the defaults. JWT_KEYS is not in the list: without it a key is made in the state folder.
 */
const WORKER_SETTINGS =
  "GOCHAT_ADMIN_KEY CORS_ORIGINS TEST_FAULTS SQL BUS CACHE UPSTREAM PLANETSCALE_URL PLANETSCALE_REPLICA_URL BRIDGE_SECRET".split(
    " ",
  );
const WORKER_SETTING_PREFIXES = [
  "LIMIT_",
  "WORLD_",
  "CACHE_",
  "CONTENT_",
  "UPSTASH_KAFKA_REST_",
  "UPSTASH_REDIS_REST_",
];

export interface StartSettings {
  readonly host: string;
  /** 0 for a free port; the line `ready on …` tells which. */
  readonly port: number;
  /** Absolute path of the state folder. */
  readonly dataFolder: string;
  /** Signing keys from the environment, instead of those in the state folder. */
  readonly jwtKeys: string | undefined;
  readonly workerSettings: Readonly<Record<string, string>>;
}

/** Throws a `StartError` that names the setting which is wrong. */
export function readStartSettings(environment: Readonly<Record<string, string | undefined>>): StartSettings {
  const portText = environment["PORT"] || String(DEFAULT_PORT);
  const port = /^\d{1,5}$/.test(portText) ? Number(portText) : Number.NaN;
  if (!(port <= 65_535)) {
    throw new StartError(`PORT must be a number between 0 and 65535, and is "${portText}".`);
  }
  return {
    host: environment["HOST"] || DEFAULT_HOST,
    port,
    dataFolder: resolve(environment["GOCHAT_DATA"] || DEFAULT_DATA),
    jwtKeys: environment["JWT_KEYS"] || undefined,
    workerSettings: workerSettingsIn(environment),
  };
}

function workerSettingsIn(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    const known = WORKER_SETTINGS.includes(name) || WORKER_SETTING_PREFIXES.some((prefix) => name.startsWith(prefix));
    // An empty variable is how a shell says "not set".
    if (known && value !== undefined && value !== "") {
      found[name] = value;
    }
  }
  return found;
}

/**
 * Settings: everything that may differ between two installations, parsed once from the Worker's environment, each
 * with one clear message when it is wrong. Values of secrets never appear in a message.
 */
import * as z from "zod";
import type { Rate } from "../domain/rate.ts";
import { DEFAULT_CONTENT_WORDS } from "./contentWords.ts";
import { parseEngines, type EngineSettings } from "./engines.ts";

const KIB = 1024;
const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** HS256 wants a key at least as long as its hash (RFC 7518 section 3.2). */
const MIN_JWT_KEY_BYTES = 32;

/** A whole number from the environment, where everything is text. */
function whole(byDefault: number, min: number, max: number) {
  const message = `must be a whole number between ${min} and ${max}`;
  return z
    .union([z.number(), z.string().regex(/^\d{1,16}$/, message)], message)
    .default(byDefault)
    .transform(Number)
    .pipe(z.number(message).int(message).min(min, message).max(max, message));
}

function choice<const T extends string>(...values: [T, ...T[]]) {
  return z.enum(values, `must be one of: ${values.join(", ")}`).default(() => values[0]);
}

/** The limits of the wire, with its defaults. Source: WIRE "Limits", "Accounts", "Messages", "Frames"; DESIGN sections 3 and 4. */
const limitsSchema = z.object({
  /** Sends of one user into direct conversations and groups. */
  LIMIT_SENDS_PER_SECOND: whole(20, 1, 1_000_000),
  LIMIT_SENDS_BURST: whole(40, 1, 1_000_000),
  /** Sends of one user into the world room. */
  LIMIT_WORLD_SENDS_PER_SECOND: whole(1, 1, 1_000_000),
  LIMIT_WORLD_SENDS_BURST: whole(5, 1, 1_000_000),
  /** Other frames and REST calls of one user. */
  LIMIT_REQUESTS_PER_SECOND: whole(50, 1, 1_000_000),
  LIMIT_REQUESTS_BURST: whole(50, 1, 1_000_000),
  LIMIT_FRAME_BYTES: whole(64 * KIB, KIB, 1024 * KIB),
  LIMIT_BODY_BYTES: whole(256 * KIB, KIB, 16 * 1024 * KIB),
  /** From the first byte of a JSON body to its end. */
  LIMIT_BODY_MS: whole(30 * SECOND_MS, SECOND_MS, 10 * MINUTE_MS),
  LIMIT_ATTACHMENT_BYTES: whole(10 * 1024 * KIB, KIB, 90 * 1024 * KIB),
  /** Sockets (tabs) of one device; devices of one kind. */
  LIMIT_SOCKETS_PER_DEVICE: whole(8, 1, 1000),
  LIMIT_DEVICES_PER_KIND: whole(5, 1, 1000),
  /** Frames that cannot be parsed within ten seconds before the socket is closed. */
  LIMIT_BAD_FRAMES: whole(20, 1, 10_000),
  LIMIT_ACCESS_TOKEN_MS: whole(15 * MINUTE_MS, SECOND_MS, DAY_MS),
  LIMIT_REFRESH_TOKEN_MS: whole(30 * DAY_MS, MINUTE_MS, 365 * DAY_MS),
  /** Largest membership that is delivered to user by user; above it, through shards. */
  LIMIT_DIRECT_FANOUT: whole(500, 1, 100_000),
  /** Messages of a room kept hot for readers that come back. */
  LIMIT_HOT_MESSAGES: whole(300, 50, 100_000),
  /** How long a resend finds its message. */
  LIMIT_DEDUPE_MS: whole(7 * DAY_MS, DAY_MS, 365 * DAY_MS),
  LIMIT_EDIT_MS: whole(DAY_MS, 0, 365 * DAY_MS),
  LIMIT_RECALL_MS: whole(2 * MINUTE_MS, 0, 365 * DAY_MS),
  /** A user counts as offline this long after the last socket has gone. */
  LIMIT_OFFLINE_AFTER_MS: whole(30 * SECOND_MS, SECOND_MS, DAY_MS),
});

/** Value of GOCHAT_LOCAL: this Worker runs on somebody's own machine. */
export const LOCAL = "npm start";

const settingsSchema = z.object({
  JWT_KEYS: z.string("is not set: the signing keys, kid:base64url[,kid:base64url]").transform(readKeys),
  GOCHAT_ADMIN_KEY: z.string().min(16, "must have at least 16 characters").optional(),
  CORS_ORIGINS: z
    .string()
    .default("")
    .transform((text) => text.split(",").flatMap((part) => part.trim() || []))
    .pipe(
      z.array(
        z.union(
          [z.literal("*"), z.url({ protocol: /^https?$/ })],
          "must be * or origins like https://chat.example, separated by commas",
        ),
      ),
    ),
  /**
   * Objects that the embedded cache is spread over. One is the fastest where all objects live in one process; deployed, an
   * object takes about 1,000 requests a second. Changing it empties the cache, no more.
   */
  CACHE_SHARDS: whole(1, 1, 256),
  /** Leaves of the world room, about 2,000 readers each (DESIGN section 2): 4 serve the 8,000 sockets of its targets. */
  WORLD_SHARDS: whole(4, 1, 1000),
  /** What is said in the world room, and names: checked, or not. */
  CONTENT_FILTER: choice("on", "off"),
  /** Lets anybody make dependencies fail, over HTTP: for tests of that, and refused wherever else. */
  TEST_FAULTS: choice("off", "on"),
  /** Set by `npm start`, whatever its environment says. */
  GOCHAT_LOCAL: z.literal(LOCAL).optional(),
});

/** A variable holds 5 KB on Cloudflare, so a longer list is spread over several, whose names begin so. */
const CONTENT_WORDS = "CONTENT_WORDS";

/** The list of words of the content filter: all variables of that name together, or the built-in list. */
function contentWordsIn(env: object): string {
  const parts = Object.entries(env).filter(
    ([name, value]) => name.startsWith(CONTENT_WORDS) && typeof value === "string",
  );
  const text = parts.map(([, value]) => String(value)).join("\n");
  return text.trim() === "" ? DEFAULT_CONTENT_WORDS : text;
}

/** One signing key: the first of the list signs, all of them verify. */
export interface JwtKey {
  readonly kid: string;
  readonly secret: Uint8Array;
}

/** What the Worker was told at its start. */
export interface Settings extends EngineSettings {
  readonly jwtKeys: readonly [JwtKey, ...JwtKey[]];
  /** `undefined`: no admin key is accepted. */
  readonly adminKey: string | undefined;
  readonly corsOrigins: readonly string[];
  readonly cacheShards: number;
  readonly worldShards: number;
  /** `npm start` runs this Worker, on somebody's own machine. */
  readonly local: boolean;
  /** The switch of src/http/faults.ts is there. */
  readonly testFaults: boolean;
  /** `false`: whatever is said anywhere, and any name, passes. */
  readonly contentFilter: boolean;
  /** The list for `readWordList`. */
  readonly contentWords: string;
  readonly limits: Limits;
}

/** Every limit, in the unit that its name ends with. */
export interface Limits {
  readonly sends: Rate;
  readonly worldSends: Rate;
  /** Frames other than sends, and REST calls. */
  readonly frames: Rate;
  readonly frameBytes: number;
  readonly bodyBytes: number;
  readonly bodyMs: number;
  readonly attachmentBytes: number;
  readonly socketsPerDevice: number;
  readonly devicesPerKind: number;
  readonly badFrames: number;
  readonly accessTokenMs: number;
  readonly refreshTokenMs: number;
  readonly directFanout: number;
  readonly hotMessages: number;
  readonly dedupeMs: number;
  readonly editMs: number;
  readonly recallMs: number;
  readonly offlineAfterMs: number;
}

/** What came of reading the environment: settings, or one line for each that is wrong. */
export type SettingsResult =
  | { readonly ok: true; readonly value: Settings }
  | { readonly ok: false; readonly problems: string[] };

/** Reads the settings. Bindings (objects, queues, databases) in the environment are not looked at. */
export function parseSettings(env: object): SettingsResult {
  const named = settingsSchema.safeParse(env);
  const limits = limitsSchema.safeParse(env);
  const engines = parseEngines(env);
  if (!named.success || !limits.success || !engines.ok) {
    const issues = [...(named.error?.issues ?? []), ...(limits.error?.issues ?? [])];
    const problems = issues.map((issue) => `${issue.path.join(".")} ${issue.message}`);
    return { ok: false, problems: [...problems, ...(engines.ok ? [] : engines.problems)] };
  }
  if (named.data.TEST_FAULTS === "on" && named.data.GOCHAT_LOCAL === undefined) {
    return { ok: false, problems: ["TEST_FAULTS is for tests against npm start only"] };
  }
  return {
    ok: true,
    value: {
      jwtKeys: named.data.JWT_KEYS,
      adminKey: named.data.GOCHAT_ADMIN_KEY,
      corsOrigins: named.data.CORS_ORIGINS,
      ...engines.value,
      cacheShards: named.data.CACHE_SHARDS,
      worldShards: named.data.WORLD_SHARDS,
      local: named.data.GOCHAT_LOCAL !== undefined,
      testFaults: named.data.TEST_FAULTS === "on",
      contentFilter: named.data.CONTENT_FILTER === "on",
      contentWords: contentWordsIn(env),
      limits: toLimits(limits.data),
    },
  };
}

/** The environment is one object for the life of an isolate, so its settings are read once. */
const known = new WeakMap<object, SettingsResult>();

/** What is in this environment, parsed at first use and remembered. For the front door, which says what is wrong. */
export function checkSettings(env: object): SettingsResult {
  const before = known.get(env);
  if (before !== undefined) {
    return before;
  }
  const result = parseSettings(env);
  known.set(env, result);
  return result;
}

/**
 * The settings, for whoever stands behind the front door.
 * @throws Error naming what is wrong; the front door answers UNAVAILABLE before anybody comes here with wrong settings
 */
export function settingsOf(env: object): Settings {
  const result = checkSettings(env);
  if (!result.ok) {
    throw new Error(`wrong settings: ${result.problems.join("; ")}`);
  }
  return result.value;
}

/** Over how many objects the embedded cache is spread. */
export function cacheShards(env: object): number {
  return settingsOf(env).cacheShards;
}

/** The limits that WIRE names. */
export const DEFAULT_LIMITS: Limits = toLimits(limitsSchema.parse({}));

function toLimits(data: z.output<typeof limitsSchema>): Limits {
  return {
    sends: { perSecond: data.LIMIT_SENDS_PER_SECOND, burst: data.LIMIT_SENDS_BURST },
    worldSends: { perSecond: data.LIMIT_WORLD_SENDS_PER_SECOND, burst: data.LIMIT_WORLD_SENDS_BURST },
    frames: { perSecond: data.LIMIT_REQUESTS_PER_SECOND, burst: data.LIMIT_REQUESTS_BURST },
    frameBytes: data.LIMIT_FRAME_BYTES,
    bodyBytes: data.LIMIT_BODY_BYTES,
    bodyMs: data.LIMIT_BODY_MS,
    attachmentBytes: data.LIMIT_ATTACHMENT_BYTES,
    socketsPerDevice: data.LIMIT_SOCKETS_PER_DEVICE,
    devicesPerKind: data.LIMIT_DEVICES_PER_KIND,
    badFrames: data.LIMIT_BAD_FRAMES,
    accessTokenMs: data.LIMIT_ACCESS_TOKEN_MS,
    refreshTokenMs: data.LIMIT_REFRESH_TOKEN_MS,
    directFanout: data.LIMIT_DIRECT_FANOUT,
    hotMessages: data.LIMIT_HOT_MESSAGES,
    dedupeMs: data.LIMIT_DEDUPE_MS,
    editMs: data.LIMIT_EDIT_MS,
    recallMs: data.LIMIT_RECALL_MS,
    offlineAfterMs: data.LIMIT_OFFLINE_AFTER_MS,
  };
}

function readKeys(text: string, ctx: z.RefinementCtx): [JwtKey, ...JwtKey[]] | never {
  const keys = text.split(",").map((part) => readKey(part.trim()));
  const [first, ...rest] = keys;
  const good = keys.filter((key) => key !== null);
  const kids = new Set(good.map((key) => key.kid));
  if (first === undefined || first === null || good.length !== keys.length) {
    ctx.addIssue(
      `must be kid:base64url[,kid:base64url], each key at least ${MIN_JWT_KEY_BYTES} bytes; the first signs, all verify`,
    );
    return z.NEVER;
  }
  if (kids.size !== keys.length) {
    ctx.addIssue("names the same kid twice");
    return z.NEVER;
  }
  return [first, ...rest.filter((key) => key !== null)];
}

function readKey(text: string): JwtKey | null {
  const match = /^([A-Za-z0-9_.-]{1,32}):([A-Za-z0-9_-]+)=*$/.exec(text);
  const [kid, encoded] = [match?.[1], match?.[2]];
  if (kid === undefined || encoded === undefined || encoded.length % 4 === 1) {
    return null;
  }
  const binary = atob(encoded.replaceAll("-", "+").replaceAll("_", "/"));
  const secret = Uint8Array.from(binary, (char) => char.charCodeAt(0));
  return secret.length >= MIN_JWT_KEY_BYTES ? { kid, secret } : null;
}

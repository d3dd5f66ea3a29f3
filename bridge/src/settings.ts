/**
 * What the bridge reads from the environment, once, at start. Whatever is wrong is told in one sentence each, all of
 * them at once; the README of this folder has the table. A secret never appears in a sentence.
 */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import * as z from "zod";
import { chosenGroups, GROUPS } from "./kafka/groups.ts";
import { kafkaFields, kafkaSettings, type KafkaSettings } from "./kafka/settings.ts";
import { flag, integer, list, optionalUrl, text } from "./settingFields.ts";

export interface TlsSettings {
  /** Certificates to trust instead of those of the system, as PEM. */
  readonly ca: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export interface RedisSettings {
  /** `redis://` or `rediss://` (TLS), with user, password and database number. */
  readonly url: string;
  readonly tls: TlsSettings;
  /** Tokens that clients may send; several, so that one can be replaced without a gap. Empty: everybody, on loopback. */
  readonly tokens: readonly string[];
  readonly commandTimeoutMs: number;
  /** Of the replies of one pipeline; what comes behind is an error. */
  readonly maxRepliesBytes: number;
}

export interface SqlUser {
  readonly name: string;
  readonly password: string;
}

export interface MysqlSettings {
  /** `mysql://user:password@host:port/database`. */
  readonly url: string;
  /** undefined: no TLS. */
  readonly tls: TlsSettings | undefined;
  readonly users: readonly SqlUser[];
  readonly connections: number;
  readonly maxRows: number;
  readonly maxResultBytes: number;
  /** Of all results that are being answered. */
  readonly maxResultsBytes: number;
  readonly queryTimeoutMs: number;
  readonly transactionTimeoutMs: number;
}

export interface Settings {
  readonly host: string;
  readonly port: number;
  /** Only this machine can reach the listener. */
  readonly isLoopback: boolean;
  /** Token for `/metrics`; without one only a listener on loopback answers it. */
  readonly metricsToken: string | undefined;
  readonly maxBodyBytes: number;
  readonly maxInFlightBytes: number;
  readonly drainMs: number;
  readonly kafka: KafkaSettings | undefined;
  readonly redis: RedisSettings | undefined;
  readonly mysql: MysqlSettings | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;
export type ReadFile = (path: string) => string;
export type SettingsResult = { ok: true; settings: Settings } | { ok: false; problems: string[] };

/** Longest that a client may send at once. A queue message of ours ends at 128 KB, a batch of them fits well. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;
const MAX_IN_FLIGHT_BYTES = 64 * 1024 * 1024;
/** What `kill` and container runtimes wait before SIGKILL is 10 s; draining ends before. */
const DRAIN_MS = 8_000;
/** PlanetScale's documented limits: 100,000 rows a query, 30 s a write, 20 s a transaction; a result of 64 MiB. */
const MAX_ROWS = 100_000;
const MAX_RESULT_BYTES = 64 * 1024 * 1024;
/** Of all results together: a process of ordinary size bears it twice over, as rows and as the text of the answer. */
const MAX_RESULTS_BYTES = 128 * 1024 * 1024;
/** Of a pipeline's replies: far more than this Worker's largest, of some 100 KB. */
const MAX_REPLIES_BYTES = 32 * 1024 * 1024;
const QUERY_TIMEOUT_MS = 30_000;
const TRANSACTION_TIMEOUT_MS = 20_000;

const Fields = z.object({
  BRIDGE_HOST: text("127.0.0.1"),
  BRIDGE_PORT: integer("BRIDGE_PORT", { min: 0, max: 65_535, preset: 8790 }),
  BRIDGE_METRICS_TOKEN: text(""),
  BRIDGE_MAX_BODY_BYTES: integer("BRIDGE_MAX_BODY_BYTES", { min: 1024, max: 1e9, preset: MAX_BODY_BYTES }),
  BRIDGE_MAX_IN_FLIGHT_BYTES: integer("BRIDGE_MAX_IN_FLIGHT_BYTES", {
    min: 1024,
    max: 1e11,
    preset: MAX_IN_FLIGHT_BYTES,
  }),
  BRIDGE_DRAIN_MS: integer("BRIDGE_DRAIN_MS", { min: 0, max: 600_000, preset: DRAIN_MS }),
  REDIS_URL: optionalUrl("REDIS_URL", ["redis:", "rediss:"]),
  REDIS_CA_FILE: text(""),
  REDIS_COMMAND_TIMEOUT_MS: integer("REDIS_COMMAND_TIMEOUT_MS", { min: 1, max: 600_000, preset: 5_000 }),
  REDIS_MAX_REPLIES_BYTES: integer("REDIS_MAX_REPLIES_BYTES", { min: 1024, max: 1e9, preset: MAX_REPLIES_BYTES }),
  BRIDGE_REDIS_TOKENS: list("BRIDGE_REDIS_TOKENS"),
  MYSQL_URL: optionalUrl("MYSQL_URL", ["mysql:"]),
  MYSQL_TLS: flag("MYSQL_TLS"),
  MYSQL_CA_FILE: text(""),
  MYSQL_CONNECTIONS: integer("MYSQL_CONNECTIONS", { min: 1, max: 10_000, preset: 32 }),
  MYSQL_MAX_ROWS: integer("MYSQL_MAX_ROWS", { min: 1, max: 10_000_000, preset: MAX_ROWS }),
  MYSQL_MAX_RESULT_BYTES: integer("MYSQL_MAX_RESULT_BYTES", { min: 1024, max: 1e9, preset: MAX_RESULT_BYTES }),
  MYSQL_MAX_RESULTS_BYTES: integer("MYSQL_MAX_RESULTS_BYTES", { min: 1024, max: 1e11, preset: MAX_RESULTS_BYTES }),
  MYSQL_QUERY_TIMEOUT_MS: integer("MYSQL_QUERY_TIMEOUT_MS", { min: 1, max: 3_600_000, preset: QUERY_TIMEOUT_MS }),
  MYSQL_TRANSACTION_TIMEOUT_MS: integer("MYSQL_TRANSACTION_TIMEOUT_MS", {
    min: 1,
    max: 3_600_000,
    preset: TRANSACTION_TIMEOUT_MS,
  }),
  BRIDGE_SQL_USERS: list("BRIDGE_SQL_USERS"),
  ...kafkaFields,
});

export type Fields = z.output<typeof Fields>;

/** Reads and checks everything; the problems are whole sentences, each naming its setting. */
export function readSettings(environment: Environment, readFile: ReadFile = readText): SettingsResult {
  const parsed = Fields.safeParse(environment);
  if (!parsed.success) {
    return { ok: false, problems: parsed.error.issues.map((issue) => issue.message) };
  }
  const problems: string[] = [];
  const fields = parsed.data;
  const file = (name: string, path: string): string | undefined => readPem(name, path, readFile, problems);
  const host = fields.BRIDGE_HOST;
  const settings: Settings = {
    host,
    port: fields.BRIDGE_PORT,
    isLoopback: isLoopback(host),
    metricsToken: fields.BRIDGE_METRICS_TOKEN || undefined,
    maxBodyBytes: fields.BRIDGE_MAX_BODY_BYTES,
    maxInFlightBytes: Math.max(fields.BRIDGE_MAX_IN_FLIGHT_BYTES, fields.BRIDGE_MAX_BODY_BYTES),
    drainMs: fields.BRIDGE_DRAIN_MS,
    kafka: kafkaSettings(fields, file, problems),
    redis: redisSettings(fields, file, problems),
    mysql: mysqlSettings(fields, file, problems),
  };
  problems.push(...engineProblems(settings), ...exposureProblems(settings));
  return problems.length === 0 ? { ok: true, settings } : { ok: false, problems };
}

type FileReader = (name: string, path: string) => string | undefined;

function redisSettings(fields: Fields, file: FileReader, problems: string[]): RedisSettings | undefined {
  if (fields.REDIS_CA_FILE !== "" && fields.REDIS_URL.startsWith("redis:")) {
    problems.push("REDIS_CA_FILE is set, so REDIS_URL must begin with rediss://.");
  }
  return fields.REDIS_URL === ""
    ? undefined
    : {
        url: fields.REDIS_URL,
        tls: { ca: file("REDIS_CA_FILE", fields.REDIS_CA_FILE) },
        tokens: fields.BRIDGE_REDIS_TOKENS,
        commandTimeoutMs: fields.REDIS_COMMAND_TIMEOUT_MS,
        maxRepliesBytes: fields.REDIS_MAX_REPLIES_BYTES,
      };
}

function mysqlSettings(fields: Fields, file: FileReader, problems: string[]): MysqlSettings | undefined {
  if (fields.MYSQL_URL === "") {
    return undefined;
  }
  if (new URL(fields.MYSQL_URL).pathname.length < 2) {
    problems.push("MYSQL_URL must name the database, as in mysql://user:password@host:3306/gochat.");
  }
  if (fields.MYSQL_CA_FILE !== "" && !fields.MYSQL_TLS) {
    problems.push("MYSQL_CA_FILE is set, so MYSQL_TLS must be on.");
  }
  // mysql2 cannot compare an address with a certificate.
  if (fields.MYSQL_TLS && isIP(new URL(fields.MYSQL_URL).hostname.replace(/^\[|\]$/g, "")) !== 0) {
    problems.push("MYSQL_TLS is on, so MYSQL_URL must name the server as its certificate does, not by an address.");
  }
  const users: SqlUser[] = [];
  for (const entry of fields.BRIDGE_SQL_USERS) {
    const colon = entry.indexOf(":");
    if (colon < 1 || colon === entry.length - 1) {
      problems.push("BRIDGE_SQL_USERS must be a comma list of name:password.");
      continue;
    }
    users.push({ name: entry.slice(0, colon), password: entry.slice(colon + 1) });
  }
  return {
    url: fields.MYSQL_URL,
    tls: fields.MYSQL_TLS ? { ca: file("MYSQL_CA_FILE", fields.MYSQL_CA_FILE) } : undefined,
    users,
    connections: fields.MYSQL_CONNECTIONS,
    maxRows: fields.MYSQL_MAX_ROWS,
    maxResultBytes: fields.MYSQL_MAX_RESULT_BYTES,
    maxResultsBytes: fields.MYSQL_MAX_RESULTS_BYTES,
    queryTimeoutMs: fields.MYSQL_QUERY_TIMEOUT_MS,
    transactionTimeoutMs: fields.MYSQL_TRANSACTION_TIMEOUT_MS,
  };
}

function engineProblems({ kafka, redis, mysql }: Settings): string[] {
  const { unknown } = chosenGroups(kafka?.push?.groups ?? []);
  const names = Object.keys(GROUPS).join(", ");
  return kafka || redis || mysql
    ? unknown.map((group) => `BRIDGE_GROUPS names ${group}, which is none of ${names}.`)
    : ["Nothing to bridge: set KAFKA_BROKERS, REDIS_URL or MYSQL_URL, at least one of them."];
}

/** Whoever can reach an open dialect owns the engine behind it, so beyond this machine there is none. */
function exposureProblems({ host, isLoopback: safe, kafka, redis, mysql }: Settings): string[] {
  const open = [
    kafka && kafka.users.length === 0 ? "BRIDGE_KAFKA_USERS" : undefined,
    redis && redis.tokens.length === 0 ? "BRIDGE_REDIS_TOKENS" : undefined,
    mysql && mysql.users.length === 0 ? "BRIDGE_SQL_USERS" : undefined,
  ].filter((name) => name !== undefined);
  return safe ? [] : open.map((name) => `BRIDGE_HOST is ${host}, beyond this machine, so ${name} must be set.`);
}

/** 127.0.0.0/8, ::1 and localhost; everything else can be reached from outside, or may be one day. */
function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

function readPem(name: string, path: string, readFile: ReadFile, problems: string[]): string | undefined {
  if (path === "") {
    return undefined;
  }
  try {
    const pem = readFile(path);
    if (pem.includes("-----BEGIN ")) {
      return pem;
    }
    problems.push(`${name} must be a file in PEM format.`);
  } catch {
    problems.push(`${name} names a file that cannot be read: ${path}.`);
  }
  return undefined;
}

function readText(path: string): string {
  return readFileSync(path, "utf8");
}

/**
 * Which engine each part of the backend runs on: the embedded default, or an existing one. Only the settings of engines that are chosen
 * are looked at, so that a part is moved there and back by one variable.
 */
import * as z from "zod";

/** Where a service is and who we are there. Secrets: never in a message or a log. */
export interface PlanetscaleSettings {
  /** `https://user:password@host`, percent-encoded where a URL needs it. */
  readonly url: string;
  /** Of the same form: a replica that answers what may be a little old. */
  readonly replicaUrl: string | undefined;
}

export interface UpstashRedisSettings {
  readonly url: string;
  readonly token: string;
}

export interface UpstashKafkaSettings {
  readonly url: string;
  readonly username: string;
  readonly password: string;
  /** Signs what the bridge brings from the topics. */
  readonly bridgeSecret: string;
}

export interface EngineSettings {
  readonly sql: "d1" | "planetscale";
  readonly bus: "queues" | "kafka";
  readonly cache: "embedded" | "upstash";
  /** `topic`: sends go through `gochat.messages.upstream`, which only Kafka keeps in order. */
  readonly upstream: "direct" | "topic";
  /** There with `sql: "planetscale"`. */
  readonly planetscale: PlanetscaleSettings | undefined;
  /** There with `bus: "kafka"`. */
  readonly kafka: UpstashKafkaSettings | undefined;
  /** There with `cache: "upstash"`. */
  readonly redis: UpstashRedisSettings | undefined;
}

/** As the bridge has it: 32 random bytes in hex are longer, a word is shorter. */
const MIN_SECRET_CHARS = 16;

/** @returns the settings, or one line for each that is wrong */
export function parseEngines(env: object): { ok: true; value: EngineSettings } | { ok: false; problems: string[] } {
  const chosen = Choices.safeParse(env);
  if (!chosen.success) {
    return { ok: false, problems: linesOf(chosen.error) };
  }
  const { SQL, BUS, CACHE, UPSTREAM } = chosen.data;
  const planetscale = SQL === "planetscale" ? Planetscale.safeParse(env) : undefined;
  const kafka = BUS === "kafka" ? Kafka.safeParse(env) : undefined;
  const redis = CACHE === "upstash" ? Redis.safeParse(env) : undefined;
  const problems = [planetscale, kafka, redis].flatMap((part) => (part?.error ? linesOf(part.error) : []));
  if (UPSTREAM === "topic" && BUS !== "kafka") {
    problems.push("UPSTREAM is topic, which needs BUS=kafka: queues keep no order");
  }
  if (problems.length > 0) {
    return { ok: false, problems };
  }
  return {
    ok: true,
    value: {
      sql: SQL,
      bus: BUS,
      cache: CACHE,
      upstream: UPSTREAM,
      planetscale: planetscale?.data && {
        url: planetscale.data.PLANETSCALE_URL,
        replicaUrl: planetscale.data.PLANETSCALE_REPLICA_URL,
      },
      kafka: kafka?.data && {
        url: kafka.data.UPSTASH_KAFKA_REST_URL,
        username: kafka.data.UPSTASH_KAFKA_REST_USERNAME,
        password: kafka.data.UPSTASH_KAFKA_REST_PASSWORD,
        bridgeSecret: kafka.data.BRIDGE_SECRET,
      },
      redis: redis?.data && { url: redis.data.UPSTASH_REDIS_REST_URL, token: redis.data.UPSTASH_REDIS_REST_TOKEN },
    },
  };
}

function choice<const T extends string>(...values: [T, ...T[]]) {
  return z.enum(values, `must be one of: ${values.join(", ")}`).default(() => values[0]);
}

const Choices = z.object({
  SQL: choice("d1", "planetscale"),
  BUS: choice("queues", "kafka"),
  CACHE: choice("embedded", "upstash"),
  UPSTREAM: choice("direct", "topic"),
});

/** Over other people's wires a credential goes encrypted; on this machine there are none. */
function isSafe(text: string): boolean {
  const { protocol, hostname } = URL.parse(text) ?? {};
  return protocol === "https:" || (protocol === "http:" && LOOPBACK.has(hostname ?? ""));
}

const LOOPBACK: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

function address(because: string) {
  const message = `must be an https:// address (http:// on this machine), since ${because}`;
  return z
    .string(message)
    .refine(isSafe, message)
    .transform((text) => text.replace(/\/+$/, ""));
}

function secret(because: string, minChars = 1) {
  const message = minChars > 1 ? `must have at least ${minChars} characters` : "must be set";
  return z.string(`${message}, since ${because}`).min(minChars, `${message}, since ${because}`);
}

const BECAUSE_SQL = "SQL is planetscale";
const BECAUSE_BUS = "BUS is kafka";
const BECAUSE_CACHE = "CACHE is upstash";

const WithCredentials = address(BECAUSE_SQL).refine((text) => {
  const { username, password } = URL.parse(text) ?? {};
  return isDecodable(username) && isDecodable(password);
}, "must hold user and password: https://user:password@host, with %25 for a % in them");

function isDecodable(text: string | undefined): boolean {
  try {
    return decodeURIComponent(text ?? "") !== "";
  } catch {
    return false;
  }
}

const Planetscale = z.object({
  PLANETSCALE_URL: WithCredentials,
  PLANETSCALE_REPLICA_URL: WithCredentials.optional(),
});

const Kafka = z.object({
  UPSTASH_KAFKA_REST_URL: address(BECAUSE_BUS),
  UPSTASH_KAFKA_REST_USERNAME: secret(BECAUSE_BUS),
  UPSTASH_KAFKA_REST_PASSWORD: secret(BECAUSE_BUS),
  BRIDGE_SECRET: secret(BECAUSE_BUS, MIN_SECRET_CHARS),
});

const Redis = z.object({
  UPSTASH_REDIS_REST_URL: address(BECAUSE_CACHE),
  UPSTASH_REDIS_REST_TOKEN: secret(BECAUSE_CACHE),
});

function linesOf(error: z.ZodError): string[] {
  return error.issues.map((issue) => `${issue.path.join(".")} ${issue.message}`);
}

/** Asks the engines that the settings name whether they are there, so that a wrong address is told at the start and not found later. */
import type { EngineSettings, UpstashKafkaSettings, UpstashRedisSettings } from "../../src/platform/engines.ts";
import { TOPIC_NAMES } from "../../src/protocol/events.ts";
import { reasonOf, StartError } from "./errors.ts";

/** What takes longer counts as away: nobody waits for it. */
const LIMIT_MS = 3_000;

/**
 * The bus and the cache; SQL is asked by its migrations.
 * @returns a sentence for each that is not there now: a server comes up without
 * @throws StartError when one refuses the credentials, which waiting does not mend
 */
export async function checkEngines({ kafka, redis }: Pick<EngineSettings, "kafka" | "redis">): Promise<string[]> {
  const none = Promise.resolve(undefined);
  const checks = [kafka ? checkKafka(kafka) : none, redis ? checkRedis(redis) : none];
  return (await Promise.all(checks)).filter((problem) => problem !== undefined);
}

async function checkKafka({ url, username, password }: UpstashKafkaSettings): Promise<string | undefined> {
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
  const answer = await ask(`${url}/topics`, { headers: { authorization } });
  refuse(answer, "Kafka", url, "UPSTASH_KAFKA_REST_USERNAME and UPSTASH_KAFKA_REST_PASSWORD");
  if (answer.status !== 200) {
    // Whoever may produce need not be one who may list.
    return answer.status === 403 ? undefined : away("Kafka", url, answer);
  }
  const missing = TOPIC_NAMES.filter((topic) => !hasKey(answer.json, topic));
  return missing.length === 0
    ? undefined
    : `Kafka at ${new URL(url).host} has no topic ${missing.join(", ")}: npm run bridge:topics makes them.`;
}

async function checkRedis({ url, token }: UpstashRedisSettings): Promise<string | undefined> {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const answer = await ask(url, { method: "POST", headers, body: '["PING"]' });
  refuse(answer, "Redis", url, "UPSTASH_REDIS_REST_TOKEN");
  return answer.status === 200 ? undefined : away("Redis", url, answer);
}

interface Answer {
  /** HTTP status, or why there was no answer. */
  readonly status: number | string;
  readonly json: unknown;
}

async function ask(url: string, init: RequestInit): Promise<Answer> {
  try {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(LIMIT_MS) });
    return { status: response.status, json: await response.json().catch(() => undefined) };
  } catch (error) {
    const isLate = error instanceof Error && error.name === "TimeoutError";
    return { status: isLate ? `nothing within ${LIMIT_MS / 1_000} s` : reasonOf(error), json: undefined };
  }
}

function refuse({ status }: Answer, engine: string, url: string, names: string): void {
  if (status === 401) {
    throw new StartError(`The settings are not right: ${engine} at ${new URL(url).host} refuses ${names}.`);
  }
}

function away(engine: string, url: string, { status }: Answer): string {
  const hint = status === 404 ? ": is that the address of the bridge, and does it have this engine?" : "";
  const what = typeof status === "number" ? `HTTP ${status}${hint}` : status;
  return `${engine} does not answer at ${new URL(url).host} (${what}). Served without it until it does.`;
}

function hasKey(value: unknown, key: string): boolean {
  return typeof value === "object" && value !== null && Object.hasOwn(value, key);
}

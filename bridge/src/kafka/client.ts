/** How the bridge reaches Kafka: one set of options for producers, consumers and admin clients. */
import { Admin, type BaseOptions, ConnectionPool, Consumer, findErrorBy, Producer } from "@platformatic/kafka";
import { describeError } from "../log.ts";
import type { KafkaSettings } from "./settings.ts";

/** A broker that restarts is back in 3 to 5 s (measured); a caller over HTTP does not wait that long. */
const REQUEST_TIMEOUT_MS = 5_000;
const CONNECT_TIMEOUT_MS = 3_000;
const RETRY_DELAY_MS = 100;
/** Short, so that a bridge that was killed gives its partitions to the others soon. */
const SESSION_TIMEOUT_MS = 10_000;
const HEARTBEAT_INTERVAL_MS = 1_000;

/** A fetch may wait for records, a join for the other members: the limit of a request leaves room for both. */
const WAITING_REQUESTS = { timeout: REQUEST_TIMEOUT_MS * 3, requestTimeout: REQUEST_TIMEOUT_MS * 3 };

function baseOptions(settings: KafkaSettings, retries: number): BaseOptions {
  const { tls, sasl } = settings;
  return {
    clientId: settings.clientId,
    bootstrapBrokers: [...settings.brokers],
    retries,
    retryDelay: RETRY_DELAY_MS,
    timeout: REQUEST_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    autocreateTopics: false,
    // The name that is asked for is also the name that the certificate must have.
    ...(tls ? { tls: withoutEmpty(tls), tlsServerName: true } : {}),
    ...(sasl ? { sasl } : {}),
  };
}

/** `undefined` for a certificate would mean "none", not "the system's". */
function withoutEmpty<Options extends object>(options: Options): Partial<Options> {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Partial<Options>;
}

export type KafkaProducer = Producer;
export type KafkaConsumer = Consumer;
export type KafkaAdmin = Admin;

/** Waits for all replicas: what was answered to a client is not lost with one broker. */
export function newProducer(settings: KafkaSettings): KafkaProducer {
  return new Producer({ ...baseOptions(settings, 2), acks: -1 });
}

export function newAdmin(settings: KafkaSettings): KafkaAdmin {
  return new Admin(baseOptions(settings, 1));
}

/** @param retries of each request; 0 where the caller repeats by itself */
export function newConsumer(settings: KafkaSettings, groupId: string, { retries = 3 } = {}): KafkaConsumer {
  return new Consumer({
    ...baseOptions(settings, retries),
    groupId,
    sessionTimeout: SESSION_TIMEOUT_MS,
    rebalanceTimeout: SESSION_TIMEOUT_MS,
    heartbeatInterval: HEARTBEAT_INTERVAL_MS,
    ...WAITING_REQUESTS,
    autocommit: false,
  });
}

/** Connections of their own for requests that wait for records. */
export function newFetchPool(settings: KafkaSettings): ConnectionPool {
  return new ConnectionPool(settings.clientId, { ...baseOptions(settings, 0), ...WAITING_REQUESTS });
}

/** Kafka's own name for what went wrong (`UNKNOWN_TOPIC_OR_PARTITION`), wherever in the chain of errors it is. */
export function hasKafkaError(error: unknown, apiId: string): boolean {
  return error instanceof Error && findErrorBy(error, "apiId", apiId) !== null;
}

const MAX_CAUSES = 8;

/** For the log: the client's words say which request failed, Kafka's names say why. */
export function describeKafkaError(error: unknown): string {
  const names = new Set<string>();
  let open: unknown[] = [error];
  for (let depth = 0; depth < MAX_CAUSES && open.length > 0; depth++) {
    const found = open.filter((one) => one instanceof Error);
    open = found.flatMap((one) => [one.cause, ...(one instanceof AggregateError ? (one.errors as unknown[]) : [])]);
    for (const one of found) {
      if ("apiId" in one && typeof one.apiId === "string") {
        names.add(one.apiId);
      }
    }
  }
  return [describeError(error), ...names].join(" ");
}

/** The client finds out by itself that a topic is not there, and says so in its own words ("Unknown topic x."). */
export function isUnknownTopic(error: unknown): boolean {
  const isUser = error instanceof Error && findErrorBy(error, "code", "PLT_KFK_USER") !== null;
  return hasKafkaError(error, "UNKNOWN_TOPIC_OR_PARTITION") || (isUser && error.message.startsWith(UNKNOWN_TOPIC_TEXT));
}

const UNKNOWN_TOPIC_TEXT = "Unknown topic";

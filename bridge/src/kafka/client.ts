/** How the bridge reaches Kafka: one set of options for producers, consumers and admin clients. */
import { isIP } from "node:net";
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
    // The name that is asked for is also the name that the certificate must have. Addresses are checked without being asked for.
    ...(tls ? { tls: withoutEmpty(tls), tlsServerName: !settings.brokers.every(isAddress) } : {}),
    ...(sasl ? { sasl } : {}),
  };
}

/** `host:port` whose host is an address and no name. */
function isAddress(broker: string): boolean {
  return isIP(broker.slice(0, broker.lastIndexOf(":")).replace(/^\[|\]$/g, "")) !== 0;
}

/** `undefined` for a certificate would mean "none", not "the system's". */
function withoutEmpty<Options extends object>(options: Options): Partial<Options> {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Partial<Options>;
}

export type KafkaProducer = Producer;
export type KafkaConsumer = Consumer;
export type KafkaAdmin = Admin;

export function newProducer(settings: KafkaSettings): KafkaProducer {
  return new Producer(baseOptions(settings, 2));
}

/** Kafka's number for "when all replicas that keep up have it". */
const ALL_REPLICAS = -1;

/**
 * Waits for all replicas: what was answered to a client is not lost with one broker. Each send has to ask for it, since the client forgets what
 * its producer was told.
 */
export function sendToAll(producer: KafkaProducer, messages: Messages): ReturnType<KafkaProducer["send"]> {
  return producer.send({ messages, acks: ALL_REPLICAS });
}

type Messages = Parameters<KafkaProducer["send"]>[0]["messages"];

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

/**
 * For the log: the client's first sentence says which request failed; Kafka's names, or those of the network and of TLS, say why. Where
 * there is none of them, the innermost error is described.
 */
export function describeKafkaError(error: unknown): string {
  if (!(error instanceof Error)) {
    return describeError(error);
  }
  const names = new Set<string>();
  let innermost: Error = error;
  let open: unknown[] = [error];
  for (let depth = 0; depth < MAX_CAUSES && open.length > 0; depth++) {
    const found = open.filter((one) => one instanceof Error);
    innermost = found[0] ?? innermost;
    open = found.flatMap((one) => [one.cause, ...(one instanceof AggregateError ? (one.errors as unknown[]) : [])]);
    for (const name of found.flatMap((one) => reasonsOf(one))) {
      names.add(name);
    }
  }
  const [what = ""] = error.message.slice(0, MAX_WORDS_CHARS).split(/\.(?:\s|$)/, 1);
  const why = names.size > 0 ? [...names].join(" ") : innermost === error ? "" : describeError(innermost);
  return why === "" ? describeError(error) : `${what}: ${why}`;
}

/** The client's own codes say less than what they stand around. */
function reasonsOf(error: Error): string[] {
  const apiId = "apiId" in error && typeof error.apiId === "string" ? [error.apiId] : [];
  const isOurs = !("code" in error) || typeof error.code !== "string" || error.code.startsWith("PLT_KFK");
  return isOurs ? apiId : [...apiId, String(error.code)];
}

const MAX_WORDS_CHARS = 200;

/** The client finds out by itself that a topic is not there, and says so in its own words ("Unknown topic x."). */
export function isUnknownTopic(error: unknown): boolean {
  const isUser = error instanceof Error && findErrorBy(error, "code", "PLT_KFK_USER") !== null;
  return hasKafkaError(error, "UNKNOWN_TOPIC_OR_PARTITION") || (isUser && error.message.startsWith(UNKNOWN_TOPIC_TEXT));
}

const UNKNOWN_TOPIC_TEXT = "Unknown topic";

/** Settings of the Kafka dialect and of the groups that are pushed to the Worker. */
import type { TlsSettings } from "../settings.ts";
import { choice, flag, integer, list, optionalUrl, text } from "../settingFields.ts";

/** What a user may do, and with which topics. */
export interface KafkaUser {
  readonly name: string;
  readonly password: string;
  readonly rights: "full" | "produce" | "consume";
  /** A topic's name, or the beginning of names when it ends with `*`; `*` is every topic. */
  readonly topics: string;
}

export type SaslMechanism = "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512";

export interface PushSettings {
  /** Address of the Worker, without a slash at its end. */
  readonly workerUrl: string;
  readonly secret: string;
  /** Names of groups of `kafka/groups.ts`; empty: all. */
  readonly groups: readonly string[];
  readonly maxTries: number;
  readonly batchRecords: number;
  readonly batchBytes: number;
  /** Of records that were read and are not done, all partitions together. */
  readonly memoryBytes: number;
  readonly timeoutMs: number;
}

export interface KafkaSettings {
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly tls: TlsSettings | undefined;
  readonly sasl: { mechanism: SaslMechanism; username: string; password: string } | undefined;
  readonly users: readonly KafkaUser[];
  /** Consumers of the dialect that may be open at the same time. */
  readonly maxInstances: number;
  /** undefined: this bridge pushes nothing. */
  readonly push: PushSettings | undefined;
  readonly topics: { partitions: number; replicas: number; retentionMs: number };
}

/** 32 random bytes as hex or base64 are longer; a word is shorter. */
const SECRET_MIN_CHARS = 16;
const DAY_MS = 24 * 60 * 60 * 1000;
const MIB = 1024 * 1024;

export const kafkaFields = {
  KAFKA_BROKERS: list("KAFKA_BROKERS"),
  KAFKA_CLIENT_ID: text("gochat-bridge"),
  KAFKA_TLS: flag("KAFKA_TLS"),
  KAFKA_CA_FILE: text(""),
  KAFKA_CERT_FILE: text(""),
  KAFKA_KEY_FILE: text(""),
  KAFKA_SASL_MECHANISM: choice("KAFKA_SASL_MECHANISM", ["none", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], "none"),
  KAFKA_SASL_USERNAME: text(""),
  KAFKA_SASL_PASSWORD: text(""),
  KAFKA_TOPIC_PARTITIONS: integer("KAFKA_TOPIC_PARTITIONS", { min: 1, max: 10_000, preset: 12 }),
  KAFKA_TOPIC_REPLICAS: integer("KAFKA_TOPIC_REPLICAS", { min: 1, max: 10, preset: 1 }),
  KAFKA_TOPIC_RETENTION_MS: integer("KAFKA_TOPIC_RETENTION_MS", { min: 60_000, max: 1e12, preset: 7 * DAY_MS }),
  BRIDGE_KAFKA_USERS: list("BRIDGE_KAFKA_USERS"),
  BRIDGE_KAFKA_MAX_INSTANCES: integer("BRIDGE_KAFKA_MAX_INSTANCES", { min: 1, max: 1_000, preset: 50 }),
  BRIDGE_WORKER_URL: optionalUrl("BRIDGE_WORKER_URL", ["http:", "https:"]),
  BRIDGE_SECRET: text(""),
  BRIDGE_GROUPS: list("BRIDGE_GROUPS"),
  BRIDGE_MAX_TRIES: integer("BRIDGE_MAX_TRIES", { min: 1, max: 1_000, preset: 10 }),
  BRIDGE_BATCH_RECORDS: integer("BRIDGE_BATCH_RECORDS", { min: 1, max: 10_000, preset: 200 }),
  BRIDGE_BATCH_BYTES: integer("BRIDGE_BATCH_BYTES", { min: 1_024, max: 50_000_000, preset: 2_000_000 }),
  BRIDGE_PUSH_MEMORY_BYTES: integer("BRIDGE_PUSH_MEMORY_BYTES", { min: 1_024, max: 1e11, preset: 128 * MIB }),
  BRIDGE_PUSH_TIMEOUT_MS: integer("BRIDGE_PUSH_TIMEOUT_MS", { min: 10, max: 600_000, preset: 30_000 }),
};

interface Fields {
  KAFKA_BROKERS: string[];
  KAFKA_CLIENT_ID: string;
  KAFKA_TLS: boolean;
  KAFKA_CA_FILE: string;
  KAFKA_CERT_FILE: string;
  KAFKA_KEY_FILE: string;
  KAFKA_SASL_MECHANISM: "none" | SaslMechanism;
  KAFKA_SASL_USERNAME: string;
  KAFKA_SASL_PASSWORD: string;
  KAFKA_TOPIC_PARTITIONS: number;
  KAFKA_TOPIC_REPLICAS: number;
  KAFKA_TOPIC_RETENTION_MS: number;
  BRIDGE_KAFKA_USERS: string[];
  BRIDGE_KAFKA_MAX_INSTANCES: number;
  BRIDGE_WORKER_URL: string;
  BRIDGE_SECRET: string;
  BRIDGE_GROUPS: string[];
  BRIDGE_MAX_TRIES: number;
  BRIDGE_BATCH_RECORDS: number;
  BRIDGE_BATCH_BYTES: number;
  BRIDGE_PUSH_MEMORY_BYTES: number;
  BRIDGE_PUSH_TIMEOUT_MS: number;
}

type FileReader = (name: string, path: string) => string | undefined;

/** undefined when there is no Kafka; what is wrong goes to `problems`. */
export function kafkaSettings(fields: Fields, file: FileReader, problems: string[]): KafkaSettings | undefined {
  if (fields.KAFKA_BROKERS.length === 0) {
    if (fields.BRIDGE_WORKER_URL !== "") {
      problems.push("BRIDGE_WORKER_URL is set, so KAFKA_BROKERS must say where the records come from.");
    }
    return undefined;
  }
  if (fields.KAFKA_BROKERS.some((broker) => !/^\[?[^\s/,]+:\d{1,5}$/.test(broker))) {
    problems.push("KAFKA_BROKERS must be a comma list of host:port.");
  }
  problems.push(...tlsProblems(fields));
  return {
    brokers: fields.KAFKA_BROKERS,
    clientId: fields.KAFKA_CLIENT_ID,
    tls: fields.KAFKA_TLS
      ? {
          ca: file("KAFKA_CA_FILE", fields.KAFKA_CA_FILE),
          cert: file("KAFKA_CERT_FILE", fields.KAFKA_CERT_FILE),
          key: file("KAFKA_KEY_FILE", fields.KAFKA_KEY_FILE),
        }
      : undefined,
    sasl: saslSettings(fields, problems),
    users: kafkaUsers(fields.BRIDGE_KAFKA_USERS, problems),
    maxInstances: fields.BRIDGE_KAFKA_MAX_INSTANCES,
    push: pushSettings(fields, problems),
    topics: {
      partitions: fields.KAFKA_TOPIC_PARTITIONS,
      replicas: fields.KAFKA_TOPIC_REPLICAS,
      retentionMs: fields.KAFKA_TOPIC_RETENTION_MS,
    },
  };
}

/** Whoever names a certificate believes that the connection is encrypted. */
function tlsProblems(fields: Fields): string[] {
  const { KAFKA_CERT_FILE: cert, KAFKA_KEY_FILE: key } = fields;
  const named = (["KAFKA_CA_FILE", "KAFKA_CERT_FILE", "KAFKA_KEY_FILE"] as const).filter((name) => fields[name] !== "");
  const unused = fields.KAFKA_TLS ? [] : named.map((name) => `${name} is set, so KAFKA_TLS must be on.`);
  return (cert === "") === (key === "") ? unused : [...unused, "KAFKA_CERT_FILE and KAFKA_KEY_FILE need each other."];
}

function saslSettings(fields: Fields, problems: string[]): KafkaSettings["sasl"] {
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_USERNAME: username, KAFKA_SASL_PASSWORD: password } = fields;
  if (mechanism === "none") {
    return undefined;
  }
  if (username === "" || password === "") {
    problems.push("KAFKA_SASL_MECHANISM is set, so KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD must be as well.");
  }
  return { mechanism, username, password };
}

/** `name:password`, then `:produce` or `:consume` (full without it), then `:topic` or `:beginning*` (all without it). */
function kafkaUsers(entries: readonly string[], problems: string[]): KafkaUser[] {
  const users: KafkaUser[] = [];
  for (const entry of entries) {
    const [name = "", password = "", rights = "full", topics = "*", ...rest] = entry.split(":");
    const isRight = rights === "full" || rights === "produce" || rights === "consume";
    if (name === "" || password === "" || !isRight || topics === "" || rest.length > 0) {
      problems.push(
        "BRIDGE_KAFKA_USERS must be a comma list of name:password, name:password:full|produce|consume or name:password:rights:topic (or beginning*).",
      );
      continue;
    }
    users.push({ name, password, rights, topics });
  }
  return users;
}

function pushSettings(fields: Fields, problems: string[]): PushSettings | undefined {
  if (fields.BRIDGE_WORKER_URL === "") {
    return undefined;
  }
  if (fields.BRIDGE_SECRET.length < SECRET_MIN_CHARS) {
    problems.push(
      `BRIDGE_SECRET must be at least ${SECRET_MIN_CHARS} characters, the same here and at the Worker, since BRIDGE_WORKER_URL is set.`,
    );
  }
  return {
    workerUrl: fields.BRIDGE_WORKER_URL.replace(/\/+$/, ""),
    secret: fields.BRIDGE_SECRET,
    groups: fields.BRIDGE_GROUPS,
    maxTries: fields.BRIDGE_MAX_TRIES,
    batchRecords: fields.BRIDGE_BATCH_RECORDS,
    batchBytes: fields.BRIDGE_BATCH_BYTES,
    memoryBytes: fields.BRIDGE_PUSH_MEMORY_BYTES,
    timeoutMs: fields.BRIDGE_PUSH_TIMEOUT_MS,
  };
}

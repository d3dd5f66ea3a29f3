/**
 * The other engines behind a server of a test: a MySQL database and a Redis database that nothing is in, Kafka's topics, emptied, and one
 * bridge, a process of its own, between them and the server. They stay the same over restarts of the server, and go with its state folder.
 *
 * Topics have one name each, so a second server at the same time takes them from the first, whose bridge ends.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@planetscale/database";
import { createConnection } from "mysql2/promise";
import { newAdmin, type KafkaAdmin } from "../../../bridge/src/kafka/client.ts";
import { ALL_TOPICS, chosenGroups } from "../../../bridge/src/kafka/groups.ts";
import { readLags } from "../../../bridge/src/kafka/lag.ts";
import { ensureTopics } from "../../../bridge/src/kafka/topics.ts";
import { readSettings } from "../../../bridge/src/settings.ts";
import { freePort } from "../../../scripts/services/freePort.ts";
import type { Service } from "../../../scripts/services/service.ts";
import { applyMysqlMigrations } from "../../../scripts/start/mysqlMigrations.ts";
import { CACHE_KEYS } from "../../../src/cache/types.ts";
import { planetscaleClient } from "../../../src/repo/planetscale.ts";
import { firstAnswer, serviceAddress, serviceUrl } from "./addresses.ts";
import { launchBridge } from "./bridgeProcess.ts";

const [USER, PASSWORD, TOKEN] = ["worker", "a-password-for-tests", "a-token-for-tests"];

const SECRET = randomBytes(16).toString("hex");
/** Several, so that two bridges share them, and few, since each server of a test makes them anew. */
const PARTITIONS = 2;
const RETENTION_MS = 3_600_000;
const GONE_WITHIN_MS = 20_000;
const POLL_MS = 20;

/** By state folder. */
const known = new Map<string, ServerEngines>();
/** Whose bridge reads the topics. */
let reading: ServerEngines | undefined;

/** Those of the server that had this state folder, or new ones. */
export async function enginesOf(dataDir: string | undefined, port: number | undefined): Promise<ServerEngines> {
  const engines = known.get(dataDir ?? "") ?? (await ServerEngines.make(port ?? (await freePort())));
  if (port !== undefined && port !== engines.port) {
    throw new Error("a server on other engines comes back on its own port: its bridge looks for it there");
  }
  return engines;
}

/** From now on they belong to this state folder. */
export function keepEngines(dataDir: string, engines: ServerEngines): void {
  known.set(dataDir, engines);
}

/** Ends them; does nothing where there are none. */
export async function releaseEngines(dataDir: string): Promise<void> {
  const engines = known.get(dataDir);
  known.delete(dataDir);
  await engines?.dispose();
}

export class ServerEngines {
  /** Of the server. */
  readonly port: number;
  readonly bridge: Service;
  /** Settings of the server. */
  readonly env: Readonly<Record<string, string>>;
  /** Its database, as it sees it. */
  readonly sql: Client;
  readonly #kafkaEnv: Readonly<Record<string, string>>;

  private constructor(port: number, bridge: Service, kafkaEnv: Readonly<Record<string, string>>) {
    this.#kafkaEnv = kafkaEnv;
    this.port = port;
    this.bridge = bridge;
    const url = `http://${bridge.address}`;
    const sqlUrl = `http://${USER}:${PASSWORD}@${bridge.address}`;
    this.sql = planetscaleClient(sqlUrl);
    this.env = {
      SQL: "planetscale",
      PLANETSCALE_URL: sqlUrl,
      BUS: "kafka",
      UPSTASH_KAFKA_REST_URL: url,
      UPSTASH_KAFKA_REST_USERNAME: USER,
      UPSTASH_KAFKA_REST_PASSWORD: PASSWORD,
      BRIDGE_SECRET: SECRET,
      CACHE: "upstash",
      UPSTASH_REDIS_REST_URL: url,
      UPSTASH_REDIS_REST_TOKEN: TOKEN,
    };
  }

  static async make(port: number): Promise<ServerEngines> {
    await reading?.bridge.stop();
    const database = `gochat_${randomUUID().replaceAll("-", "")}`;
    const [redisUrl] = await Promise.all([
      emptyRedis(),
      tellMysql(`create database ${database} character set utf8mb4 collate utf8mb4_general_ci`),
      withAdmin(emptyTopics),
    ]);
    const mysqlUrl = new URL(serviceUrl("MYSQL_URL"));
    mysqlUrl.pathname = `/${database}`;
    const kafkaEnv = {
      KAFKA_BROKERS: serviceUrl("KAFKA_BROKERS"),
      BRIDGE_KAFKA_USERS: `${USER}:${PASSWORD}:produce`,
      BRIDGE_WORKER_URL: `http://127.0.0.1:${port}`,
      BRIDGE_SECRET: SECRET,
    };
    const bridge = await launchBridge({
      ...kafkaEnv,
      REDIS_URL: redisUrl,
      MYSQL_URL: mysqlUrl.href,
      BRIDGE_REDIS_TOKENS: TOKEN,
      BRIDGE_SQL_USERS: `${USER}:${PASSWORD}`,
    });
    const engines = new ServerEngines(port, bridge, kafkaEnv);
    reading = engines;
    await applyMysqlMigrations(engines.env["PLANETSCALE_URL"] ?? "");
    return engines;
  }

  /** One more in the same groups, which the server does not know: it brings what it reads, and that is all. */
  anotherBridge(): Promise<Service> {
    return launchBridge(this.#kafkaEnv);
  }

  /** What waits in Kafka for its groups, as Kafka itself says. */
  lags(): Promise<{ total: number; text: string }> {
    return withAdmin(async (admin) => {
      const lags = (await readLags(admin, chosenGroups([]).chosen)).filter(({ lag }) => lag > 0);
      return {
        total: lags.reduce((sum, { lag }) => sum + lag, 0),
        text: lags.map(({ group, topic, lag }) => `${group} ${topic}: ${lag}`).join(", "),
      };
    });
  }

  async dispose(): Promise<void> {
    if (reading === this) {
      reading = undefined;
    }
    await this.bridge.stop();
    await this.bridge.dispose();
  }
}

async function tellMysql(statement: string): Promise<void> {
  const connection = await createConnection(serviceUrl("MYSQL_URL"));
  try {
    await connection.query(statement);
  } finally {
    await connection.end();
  }
}

/** Counts the databases of this Redis that have been given away. The count stands in the first one, which nobody gets. */
const TAKEN = "gochat-tests:databases";

/** @returns the address of an empty database of Redis, and yet one that has known presence for long, as the embedded cache of a new server is */
async function emptyRedis(): Promise<string> {
  const redis = serviceAddress("REDIS_URL");
  const tell = async (...lines: string[]): Promise<string> =>
    String(await firstAnswer(redis, Buffer.from(lines.map((line) => `${line}\r\n`).join(""))));
  const taken = /^:(\d+)\r\n/.exec(await tell(`INCR ${TAKEN}`))?.[1];
  if (taken === undefined) {
    throw new Error("Redis does not count");
  }
  await tell(`SELECT ${taken}`, "FLUSHDB", `SET ${CACHE_KEYS.presenceSince} 0`);
  return `${serviceUrl("REDIS_URL")}/${taken}`;
}

async function withAdmin<T>(work: (admin: KafkaAdmin) => Promise<T>): Promise<T> {
  const read = readSettings({ KAFKA_BROKERS: serviceUrl("KAFKA_BROKERS") });
  if (!read.ok || read.settings.kafka === undefined) {
    throw new Error(read.ok ? "no Kafka" : read.problems.join("; "));
  }
  const admin = newAdmin(read.settings.kafka);
  try {
    return await work(admin);
  } finally {
    await admin.close();
  }
}

/** Positions of groups go with their topics. */
async function emptyTopics(admin: KafkaAdmin): Promise<void> {
  const present = new Set(await admin.listTopics());
  const topics = ALL_TOPICS.filter((topic) => present.has(topic));
  if (topics.length > 0) {
    await admin.deleteTopics({ topics });
    await goneFrom(admin, topics);
  }
  await ensureTopics(admin, { partitions: PARTITIONS, replicas: 1, retentionMs: RETENTION_MS });
}

/** A broker lists what the controller has deleted for some milliseconds more; what is still listed cannot be made anew. */
async function goneFrom(admin: KafkaAdmin, topics: readonly string[]): Promise<void> {
  for (const deadline = performance.now() + GONE_WITHIN_MS; ;) {
    const present = new Set(await admin.listTopics());
    if (!topics.some((topic) => present.has(topic))) {
      return;
    }
    if (performance.now() > deadline) {
      throw new Error("Kafka does not let go of the topics");
    }
    await sleep(POLL_MS);
  }
}

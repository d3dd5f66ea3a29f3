/** Apache Kafka from Maven Central: one node that is broker and controller (KRaft). */
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "./freePort.ts";
import type { Command, Recipe } from "./service.ts";

const FILES = join(import.meta.dirname, "kafka");
/** Not under version control, and gone with the other packages. */
const CACHE = join(import.meta.dirname, "../../node_modules/.cache/gochat-kafka");
const JARS = join(CACHE, "jars-4.3.1");

/** The jars have been fetched before. */
export function kafkaIsHere(): boolean {
  return existsSync(JARS);
}

/**
 * Fetches the broker, once: 44 MB.
 * @throws Error with what Maven says
 */
export function fetchKafka(log: (line: string) => void): void {
  if (kafkaIsHere()) {
    return;
  }
  log("fetching Kafka from Maven Central (44 MB, once)");
  // Renamed when it is whole: a fetch that was broken off is done again.
  const partial = join(CACHE, `partial-${process.pid}`);
  mkdirSync(CACHE, { recursive: true });
  const args = ["-B", "-q", "-f", join(FILES, "pom.xml"), "dependency:copy-dependencies"];
  const { status, stdout, stderr } = spawnSync(
    "mvn",
    [...args, "-DincludeScope=runtime", `-DoutputDirectory=${partial}`],
    { encoding: "utf8" },
  );
  if (status !== 0) {
    rmSync(partial, { recursive: true, force: true });
    throw new Error(`Maven could not fetch Kafka:\n${stdout}${stderr}`);
  }
  renameSync(partial, JARS);
}

/** What a Kafka of another kind has besides the usual. */
export interface KafkaKind {
  readonly name: string;
  /** Settings that are added, or take the place of the usual ones; `folder` is the server's own. */
  properties(folder: string, port: number): Promise<Record<string, string | number | boolean>>;
  /** For the tool that formats the folder. */
  readonly formatArgs: readonly string[];
  /** Of several brokers, the same for all; without one the broker is a cluster of its own. */
  readonly clusterId?: string;
}

const USUAL: KafkaKind = { name: "Kafka", properties: () => Promise.resolve({}), formatArgs: [] };

/** Call `fetchKafka` before the first start. */
export function kafkaOf(kind: KafkaKind): Recipe {
  return {
    name: kind.name,
    // The port opens a moment earlier, before requests are served.
    ready: /Kafka Server started/,

    async prepare(folder, port) {
      const config = join(folder, "server.properties");
      if (existsSync(config)) {
        return;
      }
      const more = await kind.properties(folder, port);
      writeFileSync(config, linesOf({ ...properties(port, await freePort(), join(folder, "data")), ...more }));
      format(folder, config, kind.clusterId ?? newClusterId(), kind.formatArgs);
    },

    command: (folder) => java("kafka.Kafka", join(folder, "server.properties")),
  };
}

/** One broker without passwords. */
export const kafka = kafkaOf(USUAL);

/** 16 bytes in base64; "-" at its beginning would be an option. */
function newClusterId(): string {
  return `A${randomBytes(16).toString("base64url").slice(1)}`;
}

/**
 * Brokers of one cluster, each of them a controller as well, so that any may be lost while most are there. They come up together: none is
 * ready before most are.
 */
export async function clusterOf(brokers: number): Promise<Recipe[]> {
  const ids = Array.from({ length: brokers }, (_, i) => i + 1);
  const controllers: string[] = [];
  for (const id of ids) {
    controllers.push(`${id}@127.0.0.1:${await freePort()}`);
  }
  const clusterId = newClusterId();
  return ids.map((id) =>
    kafkaOf({
      name: `Kafka ${id} of ${brokers}`,
      clusterId,
      formatArgs: [],
      properties(_folder, port) {
        const controller = controllers[id - 1]?.split("@")[1] ?? "";
        return Promise.resolve({
          "node.id": id,
          "controller.quorum.voters": controllers.join(","),
          listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://${controller}`,
          "advertised.listeners": `PLAINTEXT://127.0.0.1:${port}`,
          "offsets.topic.replication.factor": brokers,
        });
      },
    }),
  );
}

function format(folder: string, config: string, id: string, more: readonly string[]): void {
  const { file, args } = java("kafka.tools.StorageTool", "format", "-t", id, "-c", config, ...more);
  const { status, stdout, stderr } = spawnSync(file, args, { encoding: "utf8" });
  if (status !== 0) {
    throw new Error(`Kafka's folder could not be formatted:\n${stdout}${stderr}`);
  }
  if (!readFileSync(join(folder, "data/meta.properties"), "utf8").includes(id)) {
    throw new Error("Kafka's folder was formatted for another cluster");
  }
}

function linesOf(settings: Readonly<Record<string, string | number | boolean>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
}

function java(...args: string[]): Command {
  const settings = join(FILES, "log4j2.properties");
  const jvm = ["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", `-Dlog4j2.configurationFile=${settings}`];
  return { file: "java", args: [...jvm, "-cp", join(JARS, "*"), ...args] };
}

function properties(port: number, controllerPort: number, data: string) {
  return {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.quorum.voters": `1@127.0.0.1:${controllerPort}`,
    "controller.listener.names": "CONTROLLER",
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    "advertised.listeners": `PLAINTEXT://127.0.0.1:${port}`,
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "log.dirs": data,
    // There is one broker.
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    "default.replication.factor": 1,
    "min.insync.replicas": 1,
    // By default 50 each, which costs seconds at the first join of a group.
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.num.partitions": 4,
    "share.coordinator.state.topic.num.partitions": 4,
    // A mistyped name is an error.
    "auto.create.topics.enable": false,
    "num.partitions": 8,
    // A group begins at once (default 3 s), and a dead member is noticed within a test.
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000,
    // After a kill -9 the controller refuses the broker's id until its session has ended: by default 9 s.
    "broker.heartbeat.interval.ms": 200,
    "broker.session.timeout.ms": 1500,
    "num.network.threads": 2,
    "num.io.threads": 4,
    "background.threads": 2,
    "log.cleaner.dedupe.buffer.size": 16_777_216,
    "log.segment.bytes": 67_108_864,
  };
}

/** Kafka, MariaDB and Redis together: real ones, on free ports, with data that is thrown away. No Docker. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fetchKafka, kafka, kafkaIsHere } from "./kafka.ts";
import { mariadb, MARIADB_NAME } from "./mariadb.ts";
import { missingPrograms, needsOf } from "./programs.ts";
import { redis } from "./redis.ts";
import { Service } from "./service.ts";

export interface Services {
  readonly kafka: Service;
  readonly mariadb: Service;
  readonly redis: Service;
  /** KAFKA_BROKERS, MYSQL_URL and REDIS_URL: what the bridge and the tests read. */
  readonly env: Readonly<Record<"KAFKA_BROKERS" | "MYSQL_URL" | "REDIS_URL", string>>;
  /** Kills all of them and removes their data. */
  dispose(): Promise<void>;
}

/** What has to be installed first, as lines for whoever reads the terminal; undefined when everything is here. */
export function missingForServices(): string | undefined {
  return missingPrograms(needsOf(kafkaIsHere()));
}

/**
 * Starts all three at once; about 7 s, the first time longer.
 * @throws Error when one does not start; the others are ended then
 */
export async function startServices(log: (line: string) => void): Promise<Services> {
  fetchKafka(log);
  const folder = mkdtempSync(join(tmpdir(), "gochat-services-"));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const starts = await Promise.allSettled([
    Service.start(kafka, join(folder, "kafka")),
    Service.start(mariadb, join(folder, "mariadb")),
    Service.start(redis, join(folder, "redis")),
  ]);
  const started = starts.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const dispose = async (): Promise<void> => {
    await Promise.all(started.map((service) => service.dispose()));
    remove();
  };
  const [broker, database, cache] = starts;
  if (broker.status === "rejected" || database.status === "rejected" || cache.status === "rejected") {
    await dispose();
    throw starts.find((one) => one.status === "rejected")?.reason;
  }
  return {
    kafka: broker.value,
    mariadb: database.value,
    redis: cache.value,
    env: {
      KAFKA_BROKERS: broker.value.address,
      MYSQL_URL: `mysql://${MARIADB_NAME}:${MARIADB_NAME}@${database.value.address}/${MARIADB_NAME}`,
      REDIS_URL: `redis://${cache.value.address}`,
    },
    dispose,
  };
}

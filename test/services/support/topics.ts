/** Topics of a test's own on the real Kafka, and what stands in them. */
import { randomUUID } from "node:crypto";
import { Admin } from "@platformatic/kafka";
import { vi } from "vitest";
import { serviceUrl } from "./addresses.ts";

export async function withAdmin<Value>(work: (admin: Admin) => Promise<Value>): Promise<Value> {
  const brokers = serviceUrl("KAFKA_BROKERS").split(",");
  const admin = new Admin({ clientId: "a-test", bootstrapBrokers: brokers, retries: 3, retryDelay: 100 });
  try {
    return await work(admin);
  } finally {
    await admin.close();
  }
}

function answers(admin: Admin, name: string, count: number): Promise<boolean> {
  const partitions = Array.from({ length: count }, (_, partitionIndex) => ({ partitionIndex, timestamp: -1n }));
  return admin.listOffsets({ topics: [{ name, partitions }] }).then(
    () => true,
    () => false,
  );
}

/** A name that nobody else has. */
export async function newTopic(partitions: number, configs: { name: string; value: string }[] = []): Promise<string> {
  const topic = `bridge-test.${randomUUID()}`;
  await withAdmin(async (admin) => {
    await admin.createTopics({ topics: [topic], partitions, replicas: 1, configs });
    // Until every partition has its leader, a producer sends some of its records twice.
    await vi.waitUntil(() => answers(admin, topic, partitions), { timeout: 20_000 });
  });
  return topic;
}

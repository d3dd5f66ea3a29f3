/** A Kafka that is killed with -9 and comes back, behind a bridge that goes on: nothing lost, order kept, lag back to 0. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, it, vi } from "vitest";
import { newAdmin } from "../../bridge/src/kafka/client.ts";
import { ensureTopics } from "../../bridge/src/kafka/topics.ts";
import type { KafkaSettings } from "../../bridge/src/kafka/settings.ts";
import { readSettings } from "../../bridge/src/settings.ts";
import { kafka } from "../../scripts/services/kafka.ts";
import { Service } from "../../scripts/services/service.ts";
import { bridgeWith, type TestBridge } from "./support/bridge.ts";
import { type FakeWorker, fakeWorker } from "./support/fakeWorker.ts";
import { numbers, orderIn, valuesIn, WAIT } from "./support/records.ts";

const [TOPIC, GROUP] = ["gochat.tasks.fanout", "task.fanout.group"];
const START_LIMIT_MS = 100_000;
/** A client's own pause before it asks again. */
const AGAIN_MS = 200;

let server: Service;
let worker: FakeWorker;
let bridge: TestBridge;
let kafkaOfBridge: KafkaSettings;

beforeAll(async () => {
  server = await Service.start(kafka, mkdtempSync(join(tmpdir(), "gochat-kafka-outage-")));
  worker = await fakeWorker();
  const settings = {
    KAFKA_BROKERS: server.address,
    BRIDGE_WORKER_URL: worker.url,
    BRIDGE_SECRET: worker.secret,
    BRIDGE_GROUPS: GROUP,
  };
  const read = readSettings(settings);
  if (!read.ok || !read.settings.kafka) {
    throw new Error("the settings are wrong");
  }
  bridge = await bridgeWith(settings);
  kafkaOfBridge = read.settings.kafka;
}, START_LIMIT_MS);

afterAll(async () => {
  await bridge?.stop();
  await worker?.close();
  await server?.dispose();
});

const produce = (value: string): Promise<Response> =>
  fetch(`${bridge.url}/produce`, { method: "POST", body: JSON.stringify({ topic: TOPIC, key: value.at(-1), value }) });

/** As an outbox does it: again until it is there. */
async function produceAll(values: readonly string[]): Promise<void> {
  for (const value of values) {
    while (!(await produce(value)).ok) {
      await sleep(AGAIN_MS);
    }
  }
}

const lag = async (): Promise<string | undefined> => {
  const metrics = await (await fetch(`${bridge.url}/metrics`)).text();
  return new RegExp(`^kafka_consumer_lag_sum\\{group="${GROUP}",topic="${TOPIC}"\\} (\\d+)$`, "m").exec(metrics)?.[1];
};

describe("a Kafka without topics", () => {
  it("is waited for until they are made", async ({ expect }) => {
    expect((await produce("too early")).status).toBe(404);
    expect(await lag()).toBeUndefined();
    const admin = newAdmin(kafkaOfBridge);
    await ensureTopics(admin, { partitions: 2, replicas: 1, retentionMs: 3_600_000 });
    await admin.close();
    await produceAll(["in time"]);
    await vi.waitUntil(() => valuesIn(worker.pushes).includes("in time"), WAIT);
  });
});

describe("a Kafka that was killed", () => {
  it("is an outage, and when it is back everything goes on", async ({ expect }) => {
    const values = numbers(60);
    await produceAll(values.slice(0, 20));
    await vi.waitUntil(() => valuesIn(worker.pushes).length >= 21, WAIT);
    const produced = produceAll(values.slice(20));
    await server.kill();
    const asked = performance.now();
    expect((await produce("lost")).status).toBe(503);
    expect(performance.now() - asked).toBeLessThan(15_000);
    expect(await lag()).toBeUndefined();
    expect((await fetch(`${bridge.url}/health`)).status).toBe(503);
    await server.start();
    await produced;
    await vi.waitUntil(() => values.every((value) => valuesIn(worker.pushes).includes(value)), WAIT);
    await vi.waitUntil(async () => (await lag()) === "0", WAIT);
    expect((await fetch(`${bridge.url}/health`)).status).toBe(200);
    expect(worker.complaints).toEqual([]);
    for (const offsets of orderIn(worker.pushes).values()) {
      expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
    }
  });
});

/** The bridge in front of three brokers, of which one is killed: topics on all three, nothing lost, whichever broker is asked first. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, it, vi } from "vitest";
import { newAdmin } from "../../bridge/src/kafka/client.ts";
import { ensureTopics } from "../../bridge/src/kafka/topics.ts";
import { readSettings } from "../../bridge/src/settings.ts";
import { clusterOf } from "../../scripts/services/kafka.ts";
import { Service } from "../../scripts/services/service.ts";
import { bridgeWith, type TestBridge } from "./support/bridge.ts";
import { type FakeWorker, fakeWorker } from "./support/fakeWorker.ts";
import { numbers, orderIn, valuesIn, WAIT } from "./support/records.ts";

const [TOPIC, GROUP, PARTITIONS] = ["gochat.tasks.fanout", "task.fanout.group", 6];
const START_LIMIT_MS = 100_000;
const AGAIN_MS = 200;

const folder = mkdtempSync(join(tmpdir(), "gochat-brokers-"));
let brokers: Service[] = [];
let worker: FakeWorker;
let bridge: TestBridge;

const settingsFor = (servers: readonly Service[]) => ({
  KAFKA_BROKERS: servers.map(({ address }) => address).join(","),
  BRIDGE_WORKER_URL: worker.url,
  BRIDGE_SECRET: worker.secret,
  BRIDGE_GROUPS: GROUP,
});

beforeAll(async () => {
  const recipes = await clusterOf(3);
  brokers = await Promise.all(recipes.map((recipe, i) => Service.start(recipe, join(folder, String(i)))));
  worker = await fakeWorker();
  const read = readSettings(settingsFor(brokers));
  if (!read.ok || !read.settings.kafka) {
    throw new Error("the settings are wrong");
  }
  const admin = newAdmin(read.settings.kafka);
  const lines = await ensureTopics(admin, { partitions: PARTITIONS, replicas: 3, retentionMs: 3_600_000 });
  await admin.close();
  if (!lines.every((line) => line.includes("made"))) {
    throw new Error(lines.join("\n"));
  }
  bridge = await bridgeWith(settingsFor(brokers));
}, START_LIMIT_MS);

afterAll(async () => {
  await bridge?.stop();
  await worker?.close();
  await Promise.all(brokers.map((broker) => broker.dispose()));
  rmSync(folder, { recursive: true, force: true });
});

/** As an outbox does it: again until it is there. */
async function produceAll(values: readonly string[]): Promise<void> {
  for (const [i, value] of values.entries()) {
    const body = JSON.stringify({ topic: TOPIC, key: `key-${i % PARTITIONS}`, value });
    while (!(await fetch(`${bridge.url}/produce`, { method: "POST", body })).ok) {
      await sleep(AGAIN_MS);
    }
  }
}

const hasAll = (values: readonly string[]): boolean => {
  const brought = new Set(valuesIn(worker.pushes));
  return values.every((value) => brought.has(value));
};

describe("three brokers", () => {
  it("lose one, whichever it is, and nothing with it", async ({ expect }) => {
    for (const [i, broker] of brokers.entries()) {
      const values = numbers(60, `${i}-`);
      await produceAll(values.slice(0, 20));
      const rest = produceAll(values.slice(20));
      await broker.kill();
      await rest;
      await vi.waitUntil(() => hasAll(values), WAIT);
      await broker.start();
    }
    expect(worker.complaints).toEqual([]);
    for (const offsets of orderIn(worker.pushes).values()) {
      expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
    }
  });

  it("are found by a bridge that starts while the first of its list is away", async ({ expect }) => {
    const [first] = brokers;
    await first?.kill();
    await bridge.stop();
    bridge = await bridgeWith(settingsFor(brokers));
    const values = numbers(20, "later-");
    await produceAll(values);
    await vi.waitUntil(() => hasAll(values), WAIT);
    expect((await fetch(`${bridge.url}/health`)).status).toBe(200);
    await first?.start();
  });
});

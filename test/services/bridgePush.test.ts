/** One consumer group pushed to a worker, from a real Kafka: order, failures, dead letters, several members, stopping. */
import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, it, vi } from "vitest";
import { Budget } from "../../bridge/src/kafka/push/budget.ts";
import { GroupPush } from "../../bridge/src/kafka/push/group.ts";
import { createMetrics } from "../../bridge/src/metrics.ts";
import { readSettings } from "../../bridge/src/settings.ts";
import { serviceUrl } from "./support/addresses.ts";
import { type FakeWorker, fakeWorker } from "./support/fakeWorker.ts";
import {
  committed,
  newTestProducer,
  numbers,
  orderIn,
  send as sendWith,
  type TestProducer,
  valuesIn,
  WAIT,
} from "./support/records.ts";
import { newTopic } from "./support/topics.ts";

/** Long enough for what the fake worker does. */
const STOP_MS = 10_000;

let producer: TestProducer;
let worker: FakeWorker;
const closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  producer = newTestProducer();
  worker = await fakeWorker();
});

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
  worker.pushes.length = 0;
  worker.answer = () => ({ status: 204 });
});

afterAll(async () => {
  await producer?.close();
  await worker?.close();
});

/** A group of the test's own, as one bridge reads it. */
function groupOf(group: string, topics: string[], more: Record<string, string> = {}) {
  const read = readSettings({
    KAFKA_BROKERS: serviceUrl("KAFKA_BROKERS"),
    BRIDGE_WORKER_URL: worker.url,
    BRIDGE_SECRET: worker.secret,
    BRIDGE_MAX_TRIES: "2",
    ...more,
  });
  const kafka = read.ok ? read.settings.kafka : undefined;
  if (!kafka?.push) {
    throw new Error("the settings are wrong");
  }
  const buried: string[] = [];
  const bury = async (_group: string, _topic: string, { value }: { value: string }): Promise<void> => {
    buried.push(value);
  };
  const deps = { log: () => undefined, metrics: createMetrics() };
  const budget = new Budget(kafka.push.memoryBytes, kafka.push.batchBytes);
  const push = new GroupPush({ group, topics, kafka, push: kafka.push, deps, budget, bury });
  push.start();
  closing.push(() => push.close(STOP_MS));
  return { push, buried };
}

const newGroup = (): string => `group-${randomUUID()}`;
const send = (topic: string, values: readonly string[], partitions: number) =>
  sendWith(producer, topic, values, partitions);

describe("a group", () => {
  it("brings every record once, in the order of its partition, and commits", async ({ expect }) => {
    const [topic, group] = [await newTopic(3), newGroup()];
    const values = numbers(300);
    await send(topic, values.slice(0, 150), 3);
    const { push } = groupOf(group, [topic], { BRIDGE_BATCH_RECORDS: "10" });
    await vi.waitUntil(() => valuesIn(worker.pushes).length >= 150, WAIT);
    await send(topic, values.slice(150), 3);
    await vi.waitUntil(() => valuesIn(worker.pushes).length >= 300, WAIT);
    await push.close(STOP_MS);
    expect(valuesIn(worker.pushes).toSorted()).toEqual(values.toSorted());
    for (const offsets of orderIn(worker.pushes).values()) {
      expect(offsets).toEqual(Array.from({ length: 100 }, (_, n) => n));
    }
    expect(worker.pushes[0]).toMatchObject({ group, topic, records: expect.any(Array) });
    expect(Math.max(...worker.pushes.map(({ records }) => records.length))).toBeLessThanOrEqual(10);
    expect(worker.complaints).toEqual([]);
    expect(await committed(group, topic)).toBe(300);
  });

  it("brings again what failed before anything behind it", async ({ expect }) => {
    const [topic, group] = [await newTopic(1), newGroup()];
    let refusals = 2;
    worker.answer = ({ records }) => {
      const failed = records.filter(({ value }) => value === "3").map(({ offset }) => offset);
      const again = failed.length > 0 && refusals-- > 0;
      return again ? { status: 503, body: { failed, retryAfterMs: 10 } } : { status: 204 };
    };
    await send(topic, numbers(12), 1);
    const { buried } = groupOf(group, [topic], { BRIDGE_BATCH_RECORDS: "6", BRIDGE_MAX_TRIES: "5" });
    await vi.waitUntil(() => valuesIn(worker.pushes).includes("11"), WAIT);
    expect(worker.pushes.map(({ records }) => records.map(({ value }) => value))).toEqual([
      numbers(6),
      ["3"],
      ["3"],
      numbers(12).slice(6),
    ]);
    expect(buried).toEqual([]);
    await vi.waitUntil(async () => (await committed(group, topic)) === 12, WAIT);
  });

  it("puts aside the one record that nobody takes, and goes on with all others", async ({ expect }) => {
    const [topic, group] = [await newTopic(1), newGroup()];
    const done: string[] = [];
    worker.answer = ({ records }) => {
      if (records.some(({ value }) => value === "poison")) {
        return { status: 500, body: "a page" };
      }
      done.push(...records.map(({ value }) => value));
      return { status: 204 };
    };
    await send(topic, [...numbers(4), "poison", ...numbers(3, "later-")], 1);
    const { buried } = groupOf(group, [topic]);
    await vi.waitUntil(async () => (await committed(group, topic)) === 8, WAIT);
    expect(done).toEqual([...numbers(4), ...numbers(3, "later-")]);
    expect(buried).toEqual(["poison"]);
  });

  it("holds up no other partition with it", async ({ expect }) => {
    const [topic, group] = [await newTopic(2), newGroup()];
    worker.answer = ({ partition, records }) =>
      partition === 0
        ? { status: 503, body: { failed: records.map(({ offset }) => offset), retryAfterMs: 60_000 } }
        : { status: 204 };
    // More than a partition may hold in memory, so that reading of it has to stop.
    await send(topic, numbers(400, "x".repeat(2_000)), 2);
    const more = { BRIDGE_BATCH_BYTES: "20000", BRIDGE_MAX_TRIES: "9" };
    groupOf(group, [topic], more);
    const ofOne = (): number => valuesIn(worker.pushes.filter(({ partition }) => partition === 1)).length;
    await vi.waitUntil(() => ofOne() === 200, WAIT);
    expect(orderIn(worker.pushes).get(0)?.length).toBeLessThanOrEqual(10);
  });

  it("waits for a worker that is away, however long, and makes no dead letters of it", async ({ expect }) => {
    const [topic, group] = [await newTopic(1), newGroup()];
    const statuses = [503, 429, 401, 404, 502];
    worker.answer = () => ({ status: statuses.shift() ?? 204 });
    await send(topic, ["a", "b"], 1);
    const { buried } = groupOf(group, [topic]);
    await vi.waitUntil(async () => (await committed(group, topic)) === 2, WAIT);
    expect(buried).toEqual([]);
    expect(worker.pushes).toHaveLength(6);
  });

  it("shares its partitions between bridges, and one that stops hands over", async ({ expect }) => {
    const [topic, group] = [await newTopic(4), newGroup()];
    const values = numbers(400);
    const first = groupOf(group, [topic], { BRIDGE_BATCH_RECORDS: "5" });
    await send(topic, values.slice(0, 100), 4);
    await vi.waitUntil(() => valuesIn(worker.pushes).length >= 100, WAIT);
    const second = groupOf(group, [topic], { BRIDGE_BATCH_RECORDS: "5" });
    await send(topic, values.slice(100, 175), 4);
    await vi.waitUntil(() => first.push.partitionCount === 2 && second.push.partitionCount === 2, WAIT);
    await send(topic, values.slice(175, 250), 4);
    await vi.waitUntil(() => new Set(valuesIn(worker.pushes)).size >= 250, WAIT);
    const [, handedOver] = await Promise.all([send(topic, values.slice(250), 4), first.push.close(STOP_MS)]);
    expect(handedOver).toBeUndefined();
    await vi.waitUntil(() => new Set(valuesIn(worker.pushes)).size === 400, WAIT);
    for (const offsets of orderIn(worker.pushes).values()) {
      expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
    }
    await vi.waitUntil(async () => (await committed(group, topic)) === 400, WAIT);
  });
});

describe("a group that stops", () => {
  it("lets the push in flight end, and that counts", async ({ expect }) => {
    const [topic, group] = [await newTopic(1), newGroup()];
    const { promise: mayAnswer, resolve } = Promise.withResolvers<void>();
    worker.answer = () => mayAnswer.then(() => ({ status: 204 }));
    await send(topic, numbers(20), 1);
    const { push } = groupOf(group, [topic], { BRIDGE_BATCH_RECORDS: "5" });
    await vi.waitUntil(() => worker.pushes.length === 1, WAIT);
    const stopped = push.close(STOP_MS);
    resolve();
    await stopped;
    expect(valuesIn(worker.pushes)).toEqual(numbers(5));
    expect(await committed(group, topic)).toBe(5);
  });

  it("does not wait longer than it may", async ({ expect }) => {
    const [topic, group] = [await newTopic(1), newGroup()];
    worker.answer = ({ records }) =>
      records.some(({ value }) => value === "1") ? new Promise(() => undefined) : { status: 204 };
    await send(topic, numbers(3), 1);
    const { push } = groupOf(group, [topic], { BRIDGE_BATCH_RECORDS: "1" });
    await vi.waitUntil(() => worker.pushes.length === 2, WAIT);
    await push.close(200);
    await vi.waitUntil(async () => (await committed(group, topic)) === 1, WAIT);
    worker.answer = () => ({ status: 204 });
    groupOf(group, [topic]);
    await vi.waitUntil(async () => (await committed(group, topic)) === 3, WAIT);
    expect(valuesIn(worker.pushes)).toEqual(["0", "1", "1", "2"]);
  });
});

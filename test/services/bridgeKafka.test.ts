/** The Upstash Kafka dialect, judged by @upstash/kafka, in front of a real Kafka. */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";
import { Kafka } from "@upstash/kafka";
import { afterAll, beforeAll, describe, it, vi } from "vitest";
import { partitionOfKey } from "../../bridge/src/kafka/produce.ts";
import { serviceUrl } from "./support/addresses.ts";
import { bridgeWith, type TestBridge } from "./support/bridge.ts";
import { newTopic } from "./support/topics.ts";

const PARTITIONS = 3;
const SCOPED = "scoped-topic";

let bridge: TestBridge;
let kafka: Kafka;
let topic: string;

beforeAll(async () => {
  bridge = await bridgeWith({
    KAFKA_BROKERS: serviceUrl("KAFKA_BROKERS"),
    BRIDGE_KAFKA_USERS: `app:pass,writer:pass:produce,reader:pass:consume,narrow:pass:full:${SCOPED}*`,
  });
  kafka = clientOf("app");
  topic = await newTopic(PARTITIONS);
});

afterAll(() => bridge?.stop());

function clientOf(username: string): Kafka {
  return new Kafka({ url: bridge.url, username, password: "pass" });
}

/** The package repeats refusals for 15 s; what is refused is looked at without it. */
function call(user: string, path: string, body?: unknown, method = "POST", headers = {}): Promise<Response> {
  const authorization = `Basic ${Buffer.from(`${user}:pass`).toString("base64")}`;
  const sent = typeof body === "string" || body === undefined ? body : JSON.stringify(body);
  return fetch(`${bridge.url}${path}`, { method, headers: { authorization, ...headers }, body: sent });
}

/** As curl can send it; `fetch` refuses to. */
async function getWithBody(path: string, body: string): Promise<{ status: number; answer: unknown }> {
  const asked = request(`${bridge.url}${path}`, {
    method: "GET",
    headers: { authorization: `Basic ${btoa("app:pass")}`, "content-length": Buffer.byteLength(body) },
  });
  asked.end(body);
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  return { status: response.statusCode ?? 0, answer: JSON.parse(await text(response)) };
}

const newGroup = (): string => `group-${randomUUID()}`;

describe("producing", () => {
  it("answers where each message is, in the order asked", async ({ expect }) => {
    const producer = kafka.producer();
    const one = await producer.produce(topic, "hello", { key: "k", partition: 1, timestamp: 1_700_000_000_000 });
    expect(one).toEqual({ topic, partition: 1, offset: 0, timestamp: 1_700_000_000_000 });
    const many = await producer.produceMany([
      { topic, value: "a", partition: 2 },
      { topic, value: "b", partition: 1 },
      { topic, value: "c", partition: 2 },
      { topic, value: { json: ["é"] }, partition: 1 },
    ]);
    expect(many.map(({ partition, offset }) => [partition, offset])).toEqual([
      [2, 0],
      [1, 1],
      [2, 1],
      [1, 2],
    ]);
  });

  it("puts a key where every client of Kafka puts it", async ({ expect }) => {
    const own = await newTopic(PARTITIONS);
    const keys = Array.from({ length: 20 }, (_, n) => `key-${n}`);
    const placed = await kafka.producer().produceMany(keys.map((key) => ({ topic: own, value: key, key })));
    expect(placed.map(({ partition }) => partition)).toEqual(keys.map((key) => partitionOfKey(key, PARTITIONS)));
    expect(new Set(placed.map(({ partition }) => partition)).size).toBe(PARTITIONS);
  });

  it("knows the paths without a client", async ({ expect }) => {
    const own = await newTopic(1);
    const object = await call("app", `/produce/${own}/${encodeURIComponent("é / 1")}?key=k`, undefined, "GET");
    expect(await object.json()).toMatchObject({ topic: own, partition: 0, offset: 0 });
    const list = await call("app", `/produce/${own}`, { value: "2" });
    expect(await list.json()).toEqual([{ topic: own, partition: 0, offset: 1, timestamp: expect.any(Number) }]);
    expect(await (await call("app", "/produce", [])).json()).toEqual([]);
    const read = await kafka.consumer().fetch({ topic: own, partition: 0, offset: 0 });
    expect(read.map(({ key, value }) => [key, value])).toEqual([
      ["k", "é / 1"],
      ["", "2"],
    ]);
  });

  it("takes a body with GET as well", async ({ expect }) => {
    const own = await newTopic(1);
    expect(await getWithBody(`/produce/${own}`, JSON.stringify({ value: "é" }))).toMatchObject({
      status: 200,
      answer: [{ topic: own, offset: 0 }],
    });
    const { answer } = await getWithBody("/fetch", JSON.stringify({ topic: own, partition: 0, offset: 0 }));
    expect(answer).toMatchObject([{ value: "é" }]);
    expect((await getWithBody(`/produce/${own}`, "x".repeat(300_000))).status).toBe(413);
  });

  it("says at once what is wrong", async ({ expect }) => {
    for (const [path, body, status] of [
      ["/produce", { topic: "no-such-topic", value: "x" }, 404],
      ["/produce", { value: "x" }, 400],
      ["/produce", { topic, value: 7 }, 400],
      ["/produce", { topic, value: "x", partition: 99 }, 404],
      ["/produce", "{", 400],
      ["/produce/bad topic", { value: "x" }, 400],
      ["/produce", { topic, value: "x".repeat(2_000_000) }, 413],
    ] as const) {
      const answer = await call("app", path, body);
      expect([path, answer.status]).toEqual([path, status]);
      expect(await answer.json()).toMatchObject({ error: expect.any(String), status });
    }
    expect((await call("app", "/topics", {})).status).toBe(405);
    expect((await call("app", "/offsets/sometime", { topic, partition: 0 })).status).toBe(400);
  });
});

describe("reading without a group", () => {
  it("gives what is there from an offset on", async ({ expect }) => {
    const own = await newTopic(2);
    const headers = [
      { key: "h", value: "1" },
      { key: "h", value: "2" },
    ];
    await kafka.producer().produce(own, "zero", { partition: 0, headers });
    await kafka.producer().produceMany([
      { topic: own, value: "one", partition: 0 },
      { topic: own, value: "other", partition: 1 },
    ]);
    const consumer = kafka.consumer();
    const all = await consumer.fetch({ topic: own, partition: 0, offset: 0 });
    expect(all.map(({ offset, value }) => [offset, value])).toEqual([
      [0, "zero"],
      [1, "one"],
    ]);
    expect(all[0]?.headers).toEqual(headers);
    const rest = await consumer.fetch({
      topicPartitionOffsets: [
        { topic: own, partition: 0, offset: 1 },
        { topic: own, partition: 1, offset: 0 },
      ],
      timeout: 1_000,
    });
    expect(rest.map(({ value }) => value).toSorted()).toEqual(["one", "other"]);
    expect(await consumer.fetch({ topic: own, partition: 0, offset: 2, timeout: 50 })).toEqual([]);
    expect((await call("app", "/fetch", { topic: own, partition: 0, offset: 77 })).status).toBe(400);
    expect((await call("app", "/fetch", { topic: own, partition: 7, offset: 0 })).status).toBe(404);
    expect((await call("app", "/fetch", {})).status).toBe(400);
  });

  it("knows topics and offsets", async ({ expect }) => {
    const own = await newTopic(2);
    const before = Date.now() - 60_000;
    await kafka.producer().produceMany([0, 0, 1].map((partition) => ({ topic: own, value: "x", partition })));
    expect(await kafka.admin().topics()).toMatchObject({ [own]: 2, [topic]: PARTITIONS });
    const both = [
      { topic: own, partition: 0 },
      { topic: own, partition: 1 },
    ];
    const at = async (when: string | number) => (await call("app", `/offsets/${when}`, both)).json();
    expect(await at("latest")).toEqual([
      { topic: own, partition: 0, offset: 2 },
      { topic: own, partition: 1, offset: 1 },
    ]);
    expect(await at("earliest")).toMatchObject([{ offset: 0 }, { offset: 0 }]);
    expect(await at(before)).toMatchObject([{ offset: 0 }, { offset: 0 }]);
    expect(await at(Date.now() + 60_000)).toMatchObject([{ offset: -1 }, { offset: -1 }]);
  });
});

describe("groups", () => {
  async function consumeAll(group: string, instance: string, own: string, count: number, autoCommit = true) {
    const values: string[] = [];
    const consumer = kafka.consumer();
    while (values.length < count) {
      const messages = await consumer.consume({
        consumerGroupId: group,
        instanceId: instance,
        topics: [own],
        autoOffsetReset: "earliest",
        autoCommit,
        timeout: 5_000,
      });
      values.push(...messages.map(({ value }) => value));
    }
    return values;
  }

  it("read everything once and go on where they have committed", async ({ expect }) => {
    const own = await newTopic(1);
    const group = newGroup();
    await kafka.producer().produceMany(["a", "b", "c"].map((value) => ({ topic: own, value })));
    expect(await consumeAll(group, "one", own, 3, false)).toEqual(["a", "b", "c"]);
    const consumer = kafka.consumer();
    const names = { consumerGroupId: group, instanceId: "one" };
    // The next to read: "b" comes again.
    await consumer.commit({ ...names, offset: { topic: own, partition: 0, offset: 1 } });
    const wanted = [{ topic: own, partition: 0 }];
    expect(await consumer.committed({ ...names, topicPartitions: wanted })).toEqual([
      { topic: own, partition: 0, offset: 1 },
    ]);
    await kafka.admin().removeConsumerInstance(group, "one");
    expect(await consumeAll(group, "two", own, 2, false)).toEqual(["b", "c"]);
    // Nothing named: all that was given out.
    await consumer.commit({ consumerGroupId: group, instanceId: "two" });
    expect(await consumer.committed({ ...names, topicPartitions: wanted })).toMatchObject([{ offset: 3 }]);
    await kafka.admin().removeConsumerInstance(group, "two");
  });

  it("commit by themselves when an instance ends", async ({ expect }) => {
    const own = await newTopic(1);
    const group = newGroup();
    await kafka.producer().produce(own, "a");
    expect(await consumeAll(group, "one", own, 1)).toEqual(["a"]);
    await kafka.admin().removeConsumerInstance(group, "one");
    const wanted = [{ topic: own, partition: 0 }];
    const committed = await kafka
      .consumer()
      .committed({ consumerGroupId: group, instanceId: "x", topicPartitions: wanted });
    expect(committed).toMatchObject([{ offset: 1 }]);
  });

  it("share the partitions between their instances", async ({ expect }) => {
    const own = await newTopic(4);
    const group = newGroup();
    type Group = { name: string; instances: { topics: { partitions: number[] }[] }[] };
    const shares = async (): Promise<number[]> => {
      const groups = (await kafka.admin().consumers()) as Group[];
      const members = groups.find(({ name }) => name === group)?.instances ?? [];
      return members.map(({ topics }) => topics.flatMap(({ partitions }) => partitions).length);
    };
    const ask = async (instance: string, timeout: number): Promise<string[]> => {
      const answer = await call("app", `/consume/${group}/${instance}`, { topic: own, timeout });
      return ((await answer.json()) as { value: string }[]).map(({ value }) => value);
    };
    expect(await ask("one", 500)).toEqual([]);
    // Both begin at the end: what is produced once they share reaches one of them.
    await vi.waitUntil(
      async () =>
        [...(await ask("two", 200)), ...(await ask("one", 200))].length === 0 && String(await shares()) === "2,2",
      { timeout: 20_000 },
    );
    await Promise.all([ask("one", 0), ask("two", 0)]);
    const values = Array.from({ length: 40 }, (_, n) => String(n));
    // Both begin at the end: what is produced from here on reaches one of them.
    await call("app", `/consume/${group}/one`, { topic: own, timeout: 500 });
    await kafka.producer().produceMany(values.map((value, n) => ({ topic: own, value, partition: n % 4 })));
    const seen: string[] = [];
    while (seen.length < values.length) {
      seen.push(...(await ask("one", 200)), ...(await ask("two", 200)));
    }
    expect(seen.toSorted()).toEqual(values.toSorted());
    await Promise.all(["one", "two"].map((name) => kafka.admin().removeConsumerInstance(group, name)));
  });

  it("refuse what they cannot do", async ({ expect }) => {
    expect((await call("app", `/consume/${newGroup()}/x`, { topic: "no-such-topic" })).status).toBe(404);
    expect((await call("app", `/consume/${newGroup()}/x`, {})).status).toBe(400);
    expect((await call("app", `/commit/${newGroup()}/x`)).status).toBe(404);
    const headers = { "kafka-auto-offset-reset": "soon" };
    expect((await call("app", `/consume/${newGroup()}/x`, { topic }, "POST", headers)).status).toBe(400);
  });
});

describe("credentials", () => {
  it("are needed", async ({ expect }) => {
    for (const path of ["/produce", "/topics", "/consume/g/i", "/fetch"]) {
      const answer = await fetch(bridge.url + path, { method: "POST", body: "{}" });
      expect(answer.status).toBe(401);
      expect(await answer.json()).toMatchObject({ error: expect.any(String), status: 401 });
    }
    expect((await call("nobody", "/topics", undefined, "GET")).status).toBe(401);
  });

  it("may be for producing only, or for consuming only", async ({ expect }) => {
    const message = { topic, value: "x" };
    expect((await call("writer", "/produce", message)).status).toBe(200);
    expect((await call("writer", "/fetch", { topic, partition: 0, offset: 0 })).status).toBe(403);
    expect((await call("writer", `/consume/${newGroup()}/x`, { topic })).status).toBe(403);
    expect((await call("reader", "/produce", message)).status).toBe(403);
    expect((await call("reader", "/fetch", { topic, partition: 0, offset: 0, timeout: 10 })).status).toBe(200);
  });

  it("may reach some topics only", async ({ expect }) => {
    expect((await call("narrow", "/produce", { topic, value: "x" })).status).toBe(403);
    expect((await call("narrow", "/produce", { topic: `${SCOPED}-none`, value: "x" })).status).toBe(404);
    expect((await call("narrow", "/offsets/latest", { topic, partition: 0 })).status).toBe(403);
    expect(await (await call("narrow", "/topics", undefined, "GET")).json()).not.toHaveProperty(topic);
  });
});

describe("a Kafka that is away", () => {
  it("is an outage", async ({ expect }) => {
    const lonely = await bridgeWith({ KAFKA_BROKERS: "127.0.0.1:1" });
    try {
      const produce = await fetch(`${lonely.url}/produce`, { method: "POST", body: '{"topic":"t","value":"v"}' });
      expect(produce.status).toBe(503);
      expect(await (await fetch(`${lonely.url}/health`)).json()).toEqual({
        status: "degraded",
        engines: { kafka: "down" },
      });
    } finally {
      await lonely.stop();
    }
  });
});

/** The whole bridge as it is run, its groups pushed to a worker: dead letters, lag, topics, signals, crashes. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { ConfigResourceTypes } from "@platformatic/kafka";
import { afterAll, afterEach, beforeAll, describe, it, vi } from "vitest";
import { DEAD_LETTER_TOPIC } from "../../bridge/src/kafka/groups.ts";
import { ensureTopics } from "../../bridge/src/kafka/topics.ts";
import { serviceUrl } from "./support/addresses.ts";
import { type FakeWorker, fakeWorker } from "./support/fakeWorker.ts";
import { bridgeWith } from "./support/bridge.ts";
import { newTestProducer, numbers, send, type TestProducer, valuesIn, WAIT } from "./support/records.ts";
import { withAdmin } from "./support/topics.ts";

const FANOUT_TOPIC = "gochat.tasks.fanout";
const FANOUT_GROUP = "task.fanout.group";

let producer: TestProducer;
let worker: FakeWorker;
const closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  producer = newTestProducer();
  await withAdmin((admin) => ensureTopics(admin, { partitions: 4, replicas: 1, retentionMs: 3_600_000 }));
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

describe("a whole bridge", () => {
  const pushSettings = () => ({
    KAFKA_BROKERS: serviceUrl("KAFKA_BROKERS"),
    BRIDGE_WORKER_URL: worker.url,
    BRIDGE_SECRET: worker.secret,
    BRIDGE_MAX_TRIES: "1",
  });

  it("writes dead letters to their topic, brings those too until they are kept, and tells how far behind its groups are", async ({
    expect,
  }) => {
    const poison = randomUUID();
    const kept: string[] = [];
    let unkept = 0;
    worker.answer = ({ topic, records }) => {
      if (topic === FANOUT_TOPIC && records.some(({ value }) => value === poison)) {
        return { status: 400 };
      }
      if (topic === DEAD_LETTER_TOPIC && unkept < 3) {
        // As a Worker whose SQL is away: more often than a record has tries.
        unkept += 1;
        return { status: 503, body: { failed: records.map(({ offset }) => offset), retryAfterMs: 10 } };
      }
      kept.push(...(topic === DEAD_LETTER_TOPIC ? records.map(({ value }) => value) : []));
      return { status: 204 };
    };
    await producer.send({ messages: [{ topic: FANOUT_TOPIC, key: "k", value: poison }], acks: -1 });
    const bridge = await bridgeWith({
      ...pushSettings(),
      BRIDGE_GROUPS: `${FANOUT_GROUP},task.dead-letters.group`,
    });
    closing.push(() => bridge.stop());
    await vi.waitUntil(() => kept.some((letter) => letter.includes(poison)), WAIT);
    expect(unkept).toBe(3);
    const letter = kept.find((one) => one.includes(poison)) ?? "";
    expect(JSON.parse(letter)).toEqual({
      topic: FANOUT_TOPIC,
      key: "k",
      value: poison,
      error: "task.fanout.group could not hand it on",
    });
    const lagLine = new RegExp(
      `^kafka_consumer_lag_sum\\{group="${FANOUT_GROUP}",topic="${FANOUT_TOPIC}"\\} (\\d+)$`,
      "m",
    );
    const lag = async (): Promise<string | undefined> =>
      lagLine.exec(await (await fetch(`${bridge.url}/metrics`)).text())?.[1];
    await vi.waitUntil(async () => (await lag()) === "0", WAIT);
    const metrics = await (await fetch(`${bridge.url}/metrics`)).text();
    expect(metrics).toContain(`bridge_dead_letters_total{group="${FANOUT_GROUP}",topic="${FANOUT_TOPIC}"} 1`);
    expect(metrics).not.toContain(`bridge_dead_letters_total{group="task.dead-letters.group"`);
  });

  it("that is killed in the middle of a batch loses nothing: the other one brings it", async ({ expect }) => {
    const prefix = `${randomUUID()}-`;
    const values = numbers(60, prefix);
    const first = await spawnBridge(pushSettings());
    const stuck = Promise.withResolvers<void>();
    worker.answer = ({ records }) => {
      if (
        first.exitCode === null &&
        first.signalCode === null &&
        records.some(({ value }) => value.startsWith(prefix))
      ) {
        stuck.resolve();
        return new Promise(() => undefined);
      }
      return { status: 204 };
    };
    await send(producer, FANOUT_TOPIC, values, 4);
    await stuck.promise;
    await spawnBridge(pushSettings());
    first.kill("SIGKILL");
    await once(first, "exit");
    const killedAt = worker.pushes.length;
    const after = (): Set<string> => new Set(valuesIn(worker.pushes.slice(killedAt)));
    await vi.waitUntil(() => values.every((value) => after().has(value)), WAIT);
    expect(worker.complaints.filter((complaint) => complaint.includes("signature"))).toEqual([]);
  });

  it("ends at SIGTERM with 0, and does not bring again what it had brought", async ({ expect }) => {
    const prefix = `${randomUUID()}-`;
    const first = await spawnBridge(pushSettings());
    await send(producer, FANOUT_TOPIC, numbers(20, prefix), 4);
    const brought = (): string[] => valuesIn(worker.pushes).filter((value) => value.startsWith(prefix));
    await vi.waitUntil(() => brought().length === 20, WAIT);
    const ended = once(first, "exit");
    first.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
    await spawnBridge(pushSettings());
    await send(producer, FANOUT_TOPIC, numbers(4, `${prefix}later-`), 4);
    await vi.waitUntil(() => brought().length >= 24, WAIT);
    expect(new Set(brought()).size).toBe(brought().length);
  });

  it("that is asked to end in the middle of a push answers the worker until that is done, then nobody", async ({
    expect,
  }) => {
    const prefix = `${randomUUID()}-`;
    const bridge = await bridgeWith({
      ...pushSettings(),
      BRIDGE_GROUPS: FANOUT_GROUP,
      REDIS_URL: serviceUrl("REDIS_URL"),
      BRIDGE_REDIS_TOKENS: "t",
    });
    closing.push(() => bridge.stop());
    const ping = () => fetch(bridge.url, { method: "POST", body: '["PING"]', headers: { authorization: "Bearer t" } });
    const stopped = Promise.withResolvers<void>();
    const answers: number[] = [];
    worker.answer = async ({ records }) => {
      if (answers.length === 0 && records.some(({ value }) => value.startsWith(prefix))) {
        answers.push(0);
        bridge.stop().then(stopped.resolve, stopped.reject);
        await vi.waitUntil(async () => (await (await fetch(`${bridge.url}/health`)).text()).includes("draining"), WAIT);
        answers.push((await ping()).status);
      }
      return { status: 204 };
    };
    await send(producer, FANOUT_TOPIC, numbers(1, prefix), 4);
    await stopped.promise;
    expect(answers).toEqual([0, 200]);
    await expect(ping()).rejects.toThrow();
    // It counted: the next bridge does not bring it again.
    await spawnBridge(pushSettings());
    await send(producer, FANOUT_TOPIC, numbers(4, `${prefix}later-`), 4);
    const brought = (): string[] => valuesIn(worker.pushes).filter((value) => value.startsWith(prefix));
    await vi.waitUntil(() => brought().length >= 5, WAIT);
    expect(new Set(brought()).size).toBe(brought().length);
  });

  it("does not start with wrong settings, and says all that is wrong", async ({ expect }) => {
    const { status, output } = await run(MAIN, {
      KAFKA_BROKERS: "here",
      BRIDGE_HOST: "0.0.0.0",
      BRIDGE_WORKER_URL: "http://127.0.0.1:1",
    });
    expect(status).toBe(1);
    for (const name of ["KAFKA_BROKERS", "BRIDGE_SECRET", "BRIDGE_KAFKA_USERS must be set"]) {
      expect(output).toContain(name);
    }
  });
});

describe("what an operator reads", () => {
  it("is a sentence when the port is taken, and no address is one of this machine's", async ({ expect }) => {
    const engine = { REDIS_URL: serviceUrl("REDIS_URL"), BRIDGE_REDIS_TOKENS: "t" };
    const port = new URL(engine.REDIS_URL).port;
    expect(await run(MAIN, { ...engine, BRIDGE_PORT: port })).toEqual({
      status: 1,
      output: `Port ${port} on 127.0.0.1 is in use by another program: end that one, or set BRIDGE_PORT to another.\n`,
    });
    expect(await run(MAIN, { ...engine, BRIDGE_HOST: "203.0.113.1" })).toEqual({
      status: 1,
      output: "BRIDGE_HOST is 203.0.113.1, which is no address of this machine.\n",
    });
  });

  it("is why each engine is away, once, and where to look", async ({ expect }) => {
    const away = {
      KAFKA_BROKERS: "127.0.0.1:1",
      REDIS_URL: "redis://127.0.0.1:1",
      MYSQL_URL: serviceUrl("MYSQL_URL").replace(/:[^:@]*@/, ":wrong@"),
    };
    const child = spawn(process.execPath, [MAIN], {
      env: { PATH: process.env["PATH"], BRIDGE_PORT: "0", ...away },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let errors = "";
    child.stderr.on("data", (bytes: Buffer) => (errors += bytes.toString()));
    const line = (engine: string): string => errors.split("\n").find((one) => one.includes(`"${engine} does`)) ?? "";
    await vi.waitUntil(() => ["Kafka", "Redis", "MySQL"].every((engine) => line(engine) !== ""), WAIT);
    expect(line("Kafka")).toMatch(/is KAFKA_BROKERS right\?".*ECONNREFUSED/);
    expect(line("Redis")).toMatch(/is REDIS_URL right\?"/);
    expect(line("MySQL")).toMatch(/is MYSQL_URL right\?".*ER_ACCESS_DENIED/);
    expect(errors).not.toMatch(/wrong|\n {4}at /);
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
  });
});

describe("npm run bridge:topics", () => {
  it("makes the topics, widens them, and sets how long they keep records", async ({ expect }) => {
    const env = { KAFKA_BROKERS: serviceUrl("KAFKA_BROKERS"), KAFKA_TOPIC_RETENTION_MS: "7200000" };
    await withAdmin((admin) => admin.deleteTopics({ topics: [DEAD_LETTER_TOPIC] }));
    const first = await run(TOPICS, { ...env, KAFKA_TOPIC_PARTITIONS: "4" });
    expect(first.output).toContain(`${DEAD_LETTER_TOPIC}: made, 4 partitions, kept for 7200000 ms\n`);
    expect(first.output).toContain(`${FANOUT_TOPIC}: is there, 4 partitions, kept for 7200000 ms\n`);
    expect(first.status).toBe(0);
    const second = await run(TOPICS, { ...env, KAFKA_TOPIC_PARTITIONS: "5" });
    expect(second.output).toContain(`${DEAD_LETTER_TOPIC}: widened, 5 partitions`);
    const described = await withAdmin((admin) =>
      admin.describeConfigs({
        resources: [
          { resourceType: ConfigResourceTypes.TOPIC, resourceName: FANOUT_TOPIC, configurationKeys: ["retention.ms"] },
        ],
      }),
    );
    expect(described[0]?.configs).toMatchObject([{ name: "retention.ms", value: "7200000" }]);
  });

  it("says what is wrong", async ({ expect }) => {
    expect(await run(TOPICS, {})).toEqual({ status: 1, output: "KAFKA_BROKERS must say where Kafka is.\n" });
    const away = await run(TOPICS, { KAFKA_BROKERS: "127.0.0.1:1" });
    expect(away.status).toBe(1);
    expect(away.output).toMatch(/^The topics could not be made at 127\.0\.0\.1:1: \S.*ECONNREFUSED.*\.\n$/);
  });
});

const MAIN = join(import.meta.dirname, "../../bridge/src/main.ts");
const TOPICS = join(import.meta.dirname, "../../bridge/src/topics.ts");

/** Until it ends by itself. */
async function run(program: string, env: Record<string, string>): Promise<{ status: number; output: string }> {
  const child = spawn(process.execPath, [program], { env: { PATH: process.env["PATH"], ...env } });
  const [output, errors, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  return { status: Number(status), output: output + errors };
}

/** As it is run; ended after the test. */
async function spawnBridge(settings: Record<string, string>): Promise<ChildProcess> {
  const child = spawn(process.execPath, [MAIN], {
    env: { PATH: process.env["PATH"], BRIDGE_PORT: "0", BRIDGE_GROUPS: FANOUT_GROUP, ...settings },
    stdio: ["ignore", "pipe", "inherit"],
  });
  closing.push(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
  });
  let output = "";
  child.stdout?.on("data", (bytes: Buffer) => (output += bytes.toString()));
  await vi.waitUntil(() => output.includes("ready on"), WAIT);
  return child;
}

/** The bridge in front of a Kafka that wants TLS and a password. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kafka } from "@upstash/kafka";
import { afterAll, beforeAll, describe, it, vi } from "vitest";
import { newAdmin } from "../../bridge/src/kafka/client.ts";
import { readSettings } from "../../bridge/src/settings.ts";
import {
  certificateIn,
  clientCertificateIn,
  mutualKafka,
  SECURE_KAFKA_USER,
  secureKafka,
} from "../../scripts/services/secureKafka.ts";
import { Service } from "../../scripts/services/service.ts";
import { bridgeWith } from "./support/bridge.ts";

const START_LIMIT_MS = 100_000;
const WAIT = { timeout: 60_000, interval: 50 };
const TOPIC = "a-topic";

let server: Service;
let settings: Record<string, string>;

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), "gochat-secure-kafka-"));
  server = await Service.start(secureKafka, folder);
  settings = {
    KAFKA_BROKERS: `localhost:${server.port}`,
    KAFKA_TLS: "on",
    KAFKA_CA_FILE: certificateIn(folder),
    KAFKA_SASL_MECHANISM: "PLAIN",
    KAFKA_SASL_USERNAME: SECURE_KAFKA_USER.username,
    KAFKA_SASL_PASSWORD: SECURE_KAFKA_USER.password,
  };
  const read = readSettings(settings);
  if (!read.ok || !read.settings.kafka) {
    throw new Error("the settings are wrong");
  }
  const admin = newAdmin(read.settings.kafka);
  await admin.createTopics({ topics: [TOPIC], partitions: 1, replicas: 1 });
  await admin.close();
}, START_LIMIT_MS);

afterAll(() => server?.dispose());

describe("a Kafka with TLS", () => {
  it.for(["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])("takes a password by %s", async (mechanism, { expect }) => {
    const bridge = await bridgeWith({ ...settings, KAFKA_SASL_MECHANISM: mechanism });
    try {
      const kafka = new Kafka({ url: bridge.url, username: "u", password: "p" });
      const { offset } = await kafka.producer().produce(TOPIC, mechanism);
      const [read] = await kafka.consumer().fetch({ topic: TOPIC, partition: 0, offset, timeout: 1_000 });
      expect(read?.value).toBe(mechanism);
      const group = { consumerGroupId: `of-${mechanism}`, instanceId: "one", topics: [TOPIC], timeout: 1_000 };
      const values: string[] = [];
      await vi.waitUntil(async () => {
        const messages = await kafka.consumer().consume({ ...group, autoOffsetReset: "earliest" });
        values.push(...messages.map(({ value }) => value));
        return values.includes(mechanism);
      }, WAIT);
    } finally {
      await bridge.stop();
    }
  });

  it.for([
    ["a wrong password", { KAFKA_SASL_PASSWORD: "another" }],
    ["no password", { KAFKA_SASL_MECHANISM: "none" }],
    ["a certificate that nobody vouches for", { KAFKA_CA_FILE: "" }],
    ["no TLS", { KAFKA_TLS: "off", KAFKA_CA_FILE: "" }],
  ] as const)("is away for %s", async ([, wrong], { expect }) => {
    const bridge = await bridgeWith({ ...settings, ...wrong });
    try {
      const answer = await fetch(`${bridge.url}/produce`, {
        method: "POST",
        body: JSON.stringify({ topic: TOPIC, value: "x" }),
      });
      expect(answer.status).toBe(503);
      expect(await answer.text()).not.toContain(SECURE_KAFKA_USER.password);
      expect((await fetch(`${bridge.url}/health`)).status).toBe(503);
    } finally {
      await bridge.stop();
    }
  });
});

describe("a Kafka that wants to know its client", () => {
  let mutual: Service;
  let known: Record<string, string>;

  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), "gochat-mutual-kafka-"));
    mutual = await Service.start(mutualKafka, folder);
    const { cert, key } = clientCertificateIn(folder);
    known = {
      KAFKA_BROKERS: `localhost:${mutual.port}`,
      KAFKA_TLS: "on",
      KAFKA_CA_FILE: certificateIn(folder),
      KAFKA_CERT_FILE: cert,
      KAFKA_KEY_FILE: key,
    };
  }, START_LIMIT_MS);

  afterAll(() => mutual?.dispose());

  it("lets in the bridge with its certificate, and is away without", async ({ expect }) => {
    const health = async (environment: Record<string, string>): Promise<number> => {
      const bridge = await bridgeWith(environment);
      try {
        return (await fetch(`${bridge.url}/health`)).status;
      } finally {
        await bridge.stop();
      }
    };
    expect(await health(known)).toBe(200);
    expect(await health({ ...known, KAFKA_CERT_FILE: "", KAFKA_KEY_FILE: "" })).toBe(503);
    expect(await health({ ...known, KAFKA_BROKERS: `127.0.0.1:${mutual.port}` })).toBe(200);
  });
});

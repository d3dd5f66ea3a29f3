import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, it } from "vitest";
import { TOPIC_NAMES } from "../../src/protocol/events.ts";
import { checkEngines } from "./engines.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A bridge that lets one user and one token in, and answers what it is told to. */
async function bridge(status: number, body: unknown): Promise<string> {
  const known = [`Basic ${btoa("worker:pass")}`, "Bearer token"];
  const server = createServer((request, response) => {
    const isKnown = known.includes(request.headers.authorization ?? "");
    response.writeHead(isKnown ? status : 401).end(JSON.stringify(body));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const kafka = (url: string, password = "pass") => ({ url, username: "worker", password, bridgeSecret: "s" });
const redis = (url: string, token = "token") => ({ url, token });
const NONE = { kafka: undefined, redis: undefined };
const topics = Object.fromEntries(TOPIC_NAMES.map((name) => [name, 12]));

describe("what npm start says of its engines", () => {
  it("is nothing when there are none, or all are there", async ({ expect }) => {
    expect(await checkEngines(NONE)).toEqual([]);
    const url = await bridge(200, topics);
    expect(await checkEngines({ kafka: kafka(url), redis: redis(url) })).toEqual([]);
  });

  it("is which credentials are refused, and then it does not start", async ({ expect }) => {
    const url = await bridge(200, topics);
    await expect(checkEngines({ ...NONE, kafka: kafka(url, "wrong") })).rejects.toThrow(
      /^The settings are not right: Kafka at \S+ refuses UPSTASH_KAFKA_REST_USERNAME and UPSTASH_KAFKA_REST_PASSWORD\.$/,
    );
    await expect(checkEngines({ ...NONE, redis: redis(url, "wrong") })).rejects.toThrow(
      /^The settings are not right: Redis at \S+ refuses UPSTASH_REDIS_REST_TOKEN\.$/,
    );
  });

  it("is a sentence for each that is away, or something else", async ({ expect }) => {
    const nobody = "http://127.0.0.1:1";
    expect(await checkEngines({ kafka: kafka(nobody), redis: redis(nobody) })).toEqual([
      expect.stringMatching(/^Kafka does not answer at 127\.0\.0\.1:1 \(\S.*\)\. Served without it/),
      expect.stringMatching(/^Redis does not answer at 127\.0\.0\.1:1 \(\S.*\)\. Served without it/),
    ]);
    const [down, other] = [await bridge(503, {}), await bridge(404, {})];
    expect(await checkEngines({ ...NONE, redis: redis(down) })).toEqual([expect.stringContaining("(HTTP 503)")]);
    expect(await checkEngines({ ...NONE, kafka: kafka(other) })).toEqual([
      expect.stringContaining("(HTTP 404: is that the address of the bridge"),
    ]);
  });

  it("is which topics are missing", async ({ expect }) => {
    const url = await bridge(200, { ...topics, "gochat.notifications": undefined });
    expect(await checkEngines({ ...NONE, kafka: kafka(url) })).toEqual([
      expect.stringMatching(/^Kafka at \S+ has no topic gochat\.notifications: npm run bridge:topics makes them\.$/),
    ]);
    expect(await checkEngines({ ...NONE, kafka: kafka(await bridge(403, {})) })).toEqual([]);
  });
});

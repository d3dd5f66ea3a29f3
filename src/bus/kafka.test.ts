import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, it } from "vitest";
import { kafkaBus, ProduceFailure } from "./kafka.ts";

type Message = { topic: string; key: string; value: string };
type Answer = (response: ServerResponse, messages: Message[]) => void;

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A bridge that answers with these, then as it should. */
async function bridgeWith(...answers: Answer[]) {
  const asked: { path: string; authorization: string; messages: Message[]; at: number }[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const messages = JSON.parse(Buffer.concat(chunks).toString()) as Message[];
      const { url: path = "", headers } = request;
      asked.push({ path, authorization: headers.authorization ?? "", messages, at: performance.now() });
      (answers.shift() ?? taken)(response, messages);
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const bus = kafkaBus({
    url: `http://127.0.0.1:${port}`,
    username: "ünser",
    password: "pass:word",
    bridgeSecret: "s".repeat(16),
  });
  return { asked, bus };
}

const taken: Answer = (response, messages) => {
  response.end(JSON.stringify(messages.map(({ topic }, offset) => ({ topic, partition: 0, offset, timestamp: 1 }))));
};
const status =
  (code: number, headers: Record<string, string> = {}, body = '{"error":"secret","status":0}'): Answer =>
  (response) => {
    response.writeHead(code, headers).end(body);
  };
const hangUp: Answer = (response) => {
  response.destroy();
};

const TOPIC = "gochat.user-events";
const one = [{ key: "u1", body: { n: 1 } }];

describe("the bus on Kafka", () => {
  it("sends a batch of a topic at once, keyed, as JSON texts, with its credentials", async ({ expect }) => {
    const { asked, bus } = await bridgeWith();
    await bus.publish(TOPIC, [
      { key: "u1", body: { text: "a 消息" } },
      { key: "u2", body: "b" },
    ]);
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({
      path: "/produce",
      authorization: `Basic ${Buffer.from("ünser:pass:word").toString("base64")}`,
      messages: [
        { topic: TOPIC, key: "u1", value: '{"text":"a 消息"}' },
        { topic: TOPIC, key: "u2", value: '"b"' },
      ],
    });
    await bus.publish(TOPIC, []);
    expect(asked).toHaveLength(1);
  });

  it("cuts what is too much for one request, and keeps the order", async ({ expect }) => {
    const { asked, bus } = await bridgeWith();
    await bus.publish(
      TOPIC,
      Array.from({ length: 1_201 }, (_, n) => ({ key: "k", body: n })),
    );
    expect(asked.map(({ messages }) => messages.length)).toEqual([500, 500, 201]);
    expect(asked.flatMap(({ messages }) => messages.map(({ value }) => Number(value)))).toEqual([
      ...Array.from({ length: 1_201 }).keys(),
    ]);
    await bus.publish(TOPIC, [...one, { key: "k", body: "x".repeat(1_500_000) }, ...one]);
    expect(asked.slice(3).map(({ messages }) => messages.length)).toEqual([1, 1, 1]);
  });

  it.for([
    ["a connection that breaks", hangUp],
    ["503", status(503)],
    ["429", status(429, { "Retry-After": "0" })],
    ["a page of some proxy", status(200, {}, "<html>")],
    ["an answer to less than was sent", status(200, {}, "[]")],
  ] as const)("tries again after %s", async ([, answer], { expect }) => {
    const { asked, bus } = await bridgeWith(answer, answer);
    await bus.publish(TOPIC, one);
    expect(asked).toHaveLength(3);
    expect(new Set(asked.map(({ messages }) => JSON.stringify(messages))).size).toBe(1);
  });

  it("gives up after three attempts", async ({ expect }) => {
    const { asked, bus } = await bridgeWith(status(500), status(500), status(500));
    await expect(bus.publish(TOPIC, one)).rejects.toThrow(/^kafka: status 500$/);
    expect(asked).toHaveLength(3);
  });

  it.for([400, 401, 403, 404, 413])("does not repeat what is refused for good: %i", async (code, { expect }) => {
    const { asked, bus } = await bridgeWith(status(code));
    const failure = await bus.publish(TOPIC, one).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ProduceFailure);
    expect(String(failure)).toBe(`ProduceFailure: kafka: status ${code}`);
    // A wrong password is an outage of the bus; a wrong request says nothing about it.
    expect(failure instanceof ProduceFailure && failure.isOurs).toBe(![401, 403].includes(code));
    expect(asked).toHaveLength(1);
  });

  it("does not wait for longer than its caller does", async ({ expect }) => {
    const { asked, bus } = await bridgeWith(status(429, { "Retry-After": "60" }));
    await expect(bus.publish(TOPIC, one)).rejects.toThrow("status 429");
    expect(asked).toHaveLength(1);
  });

  it("sends nothing of a later part when one was not taken", async ({ expect }) => {
    const { asked, bus } = await bridgeWith(taken, status(400));
    const records = Array.from({ length: 1_500 }, (_, n) => ({ key: "k", body: n }));
    await expect(bus.publish(TOPIC, records)).rejects.toThrow("status 400");
    expect(asked).toHaveLength(2);
  });

  it("has a time limit for an answer", async ({ expect }) => {
    const silent: Answer = () => undefined;
    const { asked, bus } = await bridgeWith(silent, silent, silent);
    await expect(bus.publish(TOPIC, one)).rejects.toThrow("kafka: no answer");
    expect(asked.length).toBeLessThan(3);
  });
});

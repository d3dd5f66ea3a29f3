/** The Upstash Redis dialect, judged by @upstash/redis, in front of a real Redis. */
import { randomUUID } from "node:crypto";
import { Redis } from "@upstash/redis";
import { afterAll, beforeAll, describe, it } from "vitest";
import { bridgeWith, type TestBridge } from "./support/bridge.ts";
import { serviceUrl } from "./support/addresses.ts";

const TOKEN = "a-token-for-tests";

let bridge: TestBridge;
let redis: Redis;

beforeAll(async () => {
  bridge = await bridgeWith({ REDIS_URL: serviceUrl("REDIS_URL"), BRIDGE_REDIS_TOKENS: `${TOKEN},the-next-token` });
  redis = client();
});

afterAll(() => bridge?.stop());

function client(options: object = {}): Redis {
  return new Redis({
    url: bridge.url,
    token: TOKEN,
    automaticDeserialization: false,
    retry: { retries: 0 },
    ...options,
  });
}

const newKey = (): string => `bridge-test:${randomUUID()}`;

function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return fetch(bridge.url + path, {
    method: "POST",
    body: text,
    headers: { authorization: `Bearer ${TOKEN}`, ...headers },
  });
}

describe("single commands", () => {
  it("give back what was stored, whatever it is", async ({ expect }) => {
    const key = newKey();
    for (const text of ["x", "OK", "123", "null", "é 🙂", "a\nb\u0000c", "", "T0s="]) {
      expect(await redis.set(key, text)).toBe("OK");
      expect(await redis.get(key)).toBe(text);
    }
    expect(await redis.get(newKey())).toBeNull();
    expect(await redis.ping()).toBe("PONG");
  });

  it("know Redis' shapes", async ({ expect }) => {
    const key = newKey();
    expect(await redis.hset(`${key}:h`, { a: "1", b: "OK" })).toBe(2);
    // The client makes an object of it only where it also parses the values.
    expect(await redis.hgetall(`${key}:h`)).toEqual(["a", "1", "b", "OK"]);
    expect(await client({ automaticDeserialization: true }).hgetall(`${key}:h`)).toEqual({ a: 1, b: "OK" });
    expect(await redis.zadd(`${key}:z`, { score: 1.5, member: "m" }, { score: 2, member: "n" })).toBe(2);
    expect(await redis.zrange(`${key}:z`, 0, -1, { withScores: true })).toEqual(["m", "1.5", "n", "2"]);
    expect(await redis.lpush(`${key}:l`, "a", "b")).toBe(2);
    expect(await redis.lrange(`${key}:l`, 0, -1)).toEqual(["b", "a"]);
    expect(await redis.set(key, "v", { ex: 100, nx: true })).toBe("OK");
    expect(await redis.set(key, "w", { nx: true })).toBeNull();
    expect(await redis.ttl(key)).toBeGreaterThan(90);
    const [, keys] = await redis.scan(0, { match: `${key}*`, count: 10_000 });
    expect(keys.length).toBeLessThanOrEqual(4);
    expect(await redis.xadd(`${key}:s`, "*", { field: "value" })).toMatch(/^\d+-\d+$/);
  });

  it("run scripts", async ({ expect }) => {
    const key = newKey();
    const script = "redis.call('SET', KEYS[1], ARGV[1]); return {ARGV[1], 7, false}";
    expect(await redis.eval(script, [key], ["v"])).toEqual(["v", 7, null]);
    const sha = await redis.scriptLoad("return ARGV[1]");
    expect(await redis.evalsha(sha, [], ["again"])).toBe("again");
  });

  it("parse JSON for clients that want it", async ({ expect }) => {
    const parsing = client({ automaticDeserialization: true });
    const key = newKey();
    await parsing.set(key, { a: [1, "é"] });
    expect(await parsing.get(key)).toEqual({ a: [1, "é"] });
  });

  it("work without base64", async ({ expect }) => {
    const plain = client({ responseEncoding: false });
    const key = newKey();
    await plain.set(key, "é");
    expect(await plain.get(key)).toBe("é");
  });
});

describe("many commands", () => {
  it("go in one flight, each with its own answer", async ({ expect }) => {
    const key = newKey();
    const answers = await redis.pipeline().set(key, "1").incr(key).lpush(key, "x").get(key).exec({ keepErrors: true });
    expect(answers.map((answer) => answer.result)).toEqual(["OK", 2, undefined, "2"]);
    expect(answers[2]?.error).toContain("WRONGTYPE");
  });

  it("are all or nothing in a transaction", async ({ expect }) => {
    const key = newKey();
    expect(await redis.multi().set(key, "OK").get(key).exec()).toEqual(["OK", "OK"]);
    const discarded = await post("/multi-exec", [["SET", key, "other"], ["NOSUCHCOMMAND"]]);
    expect(discarded.status).toBe(400);
    expect(await discarded.json()).toHaveProperty("error");
    expect(await redis.get(key)).toBe("OK");
  });

  it("run to their end, also when the replies become too large to be given", async ({ expect }) => {
    const small = await bridgeWith({ REDIS_URL: serviceUrl("REDIS_URL"), REDIS_MAX_REPLIES_BYTES: "1024" });
    try {
      const key = newKey();
      await redis.set(key, "x".repeat(100));
      const commands = [...Array.from({ length: 600 }, () => ["GET", key]), ["SET", `${key}:done`, "yes"]];
      const response = await fetch(`${small.url}/pipeline`, { method: "POST", body: JSON.stringify(commands) });
      const answers = (await response.json()) as { result?: string; error?: string }[];
      expect(answers.length).toBe(601);
      expect(answers.findIndex(({ error }) => error !== undefined)).toBe(10);
      expect(new Set(answers.slice(10).map(({ error }) => error)).size).toBe(1);
      expect(await redis.get(`${key}:done`)).toBe("yes");
    } finally {
      await small.stop();
    }
  });

  it("are refused one by one when they may not be sent", async ({ expect }) => {
    const answer = await post("/pipeline", [["PING"], ["BLPOP", "x", "0"], ["ECHO", "b"]]);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual([
      { result: "PONG" },
      { error: expect.stringContaining("not available") },
      { result: "b" },
    ]);
    expect((await post("/multi-exec", [["SELECT", "1"]])).status).toBe(400);
  });
});

describe("what is refused", () => {
  it("a wrong token, whatever the path", async ({ expect }) => {
    await expect(client({ token: "wrong" }).get("x")).rejects.toThrow(/credentials/);
    expect(await client({ token: "the-next-token" }).ping()).toBe("PONG");
    for (const path of ["/", "/pipeline", "/multi-exec", "/subscribe/x"]) {
      const answer = await post(path, ["PING"], { authorization: "" });
      expect(answer.status).toBe(401);
      expect(await answer.json()).toEqual({ error: expect.any(String) });
    }
  });

  it("bodies that are no commands", async ({ expect }) => {
    for (const [path, body] of [
      ["/", "{"],
      ["/", "[]"],
      ["/", "{}"],
      ["/pipeline", "[[]]"],
      ["/multi-exec", "7"],
    ] as const) {
      const answer = await post(path, body);
      expect(answer.status).toBe(400);
      expect(await answer.json()).toEqual({ error: expect.stringMatching(/^ERR/) });
    }
    const get = await fetch(bridge.url, { headers: { authorization: `Bearer ${TOKEN}` } });
    expect(get.status).toBe(405);
  });

  it("commands that Redis does not know or take", async ({ expect }) => {
    await expect(redis.eval("return redis.error_reply('ERR mine')", [], [])).rejects.toThrow("ERR mine");
    const answer = await post("/", ["SET", "only-a-key"]);
    expect(answer.status).toBe(400);
  });
});

describe("channels", () => {
  it("come as events", async ({ expect }) => {
    const channel = newKey();
    const subscriber = redis.subscribe<string>(channel);
    const message = new Promise((resolve) => subscriber.on("message", (event) => resolve(event.message)));
    await new Promise<void>((resolve) => subscriber.on("subscribe", () => resolve()));
    expect(await redis.publish(channel, "hello")).toBe(1);
    expect(await message).toBe("hello");
    await subscriber.unsubscribe();
  });
});

describe("a Redis that is away", () => {
  it("is an outage, not the command's fault", async ({ expect }) => {
    const lonely = await bridgeWith({ REDIS_URL: "redis://127.0.0.1:1", REDIS_COMMAND_TIMEOUT_MS: "300" });
    try {
      const request = { method: "POST", body: '["PING"]' };
      expect((await fetch(lonely.url, request)).status).toBe(503);
      expect((await fetch(`${lonely.url}/pipeline`, { method: "POST", body: '[["PING"]]' })).status).toBe(503);
      expect((await fetch(`${lonely.url}/multi-exec`, { method: "POST", body: '[["PING"]]' })).status).toBe(503);
      const health = await fetch(`${lonely.url}/health`);
      expect(health.status).toBe(503);
      expect(await health.json()).toEqual({ status: "degraded", engines: { redis: "down" } });
    } finally {
      await lonely.stop();
    }
  });
});

describe("a database that Redis does not have", () => {
  it("is away, and nobody gets another one in its place", async ({ expect }) => {
    const key = newKey();
    const lost = await bridgeWith({ REDIS_URL: `${serviceUrl("REDIS_URL")}/99999`, BRIDGE_REDIS_TOKENS: TOKEN });
    try {
      for (let i = 0; i < 5; i++) {
        const headers = { authorization: `Bearer ${TOKEN}` };
        const body = JSON.stringify(["SET", key, "1"]);
        expect((await fetch(lost.url, { method: "POST", body, headers })).status).toBe(503);
        expect((await fetch(`${lost.url}/health`)).status).toBe(503);
      }
      expect(await redis.exists(key)).toBe(0);
    } finally {
      await lost.stop();
    }
  });
});

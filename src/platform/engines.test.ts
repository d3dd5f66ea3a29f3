import { describe, it } from "vitest";
import { parseEngines } from "./engines.ts";

const KAFKA = {
  BUS: "kafka",
  UPSTASH_KAFKA_REST_URL: "https://kafka.example/",
  UPSTASH_KAFKA_REST_USERNAME: "user",
  UPSTASH_KAFKA_REST_PASSWORD: "hunter2",
  BRIDGE_SECRET: "s".repeat(32),
};
const REDIS = { CACHE: "upstash", UPSTASH_REDIS_REST_URL: "http://127.0.0.1:8790", UPSTASH_REDIS_REST_TOKEN: "token" };
const SQL = { SQL: "planetscale", PLANETSCALE_URL: "http://user:hunter2@localhost:8790" };

function problemsOf(env: object): string[] {
  const result = parseEngines(env);
  return result.ok ? [] : result.problems;
}

describe("which engines are used", () => {
  it("is the embedded default for each part, unless one is chosen", ({ expect }) => {
    const defaults = { sql: "d1", bus: "queues", cache: "embedded", upstream: "direct" };
    expect(parseEngines({})).toMatchObject({ ok: true, value: defaults });
    // What belongs to an engine that is not chosen is not looked at: going back is one variable.
    expect(parseEngines({ ...KAFKA, BUS: "queues", BRIDGE_SECRET: "short" })).toMatchObject({
      ok: true,
      value: { ...defaults, kafka: undefined },
    });
  });

  it("can be another for each part, alone or together", ({ expect }) => {
    expect(parseEngines({ ...KAFKA, UPSTREAM: "topic" })).toMatchObject({
      ok: true,
      value: {
        sql: "d1",
        bus: "kafka",
        upstream: "topic",
        kafka: { url: "https://kafka.example", username: "user", password: "hunter2", bridgeSecret: "s".repeat(32) },
      },
    });
    expect(parseEngines({ ...KAFKA, ...REDIS, ...SQL })).toMatchObject({
      ok: true,
      value: {
        bus: "kafka",
        redis: { url: "http://127.0.0.1:8790", token: "token" },
        planetscale: { url: SQL.PLANETSCALE_URL },
      },
    });
  });

  it.for([
    [{ BUS: "rabbit" }, ["BUS must be one of: queues, kafka"]],
    [{ CACHE: "upstash" }, ["UPSTASH_REDIS_REST_URL must be an https", "UPSTASH_REDIS_REST_TOKEN must be set"]],
    [{ ...KAFKA, BRIDGE_SECRET: "short" }, ["BRIDGE_SECRET must have at least 16 characters, since BUS is kafka"]],
    [{ ...KAFKA, UPSTASH_KAFKA_REST_URL: "http://kafka.example" }, ["UPSTASH_KAFKA_REST_URL must be an https://"]],
    [{ ...REDIS, UPSTASH_REDIS_REST_URL: "redis://127.0.0.1" }, ["UPSTASH_REDIS_REST_URL must be an https://"]],
    [{ ...REDIS, UPSTASH_REDIS_REST_URL: "http://127.0.0.1.example" }, ["UPSTASH_REDIS_REST_URL must be an https://"]],
    [{ ...SQL, PLANETSCALE_URL: "https://host.example" }, ["PLANETSCALE_URL must hold user and password"]],
    [{ UPSTREAM: "topic" }, ["UPSTREAM is topic, which needs BUS=kafka"]],
  ] as const)("says what is wrong: %j", ([env, messages], { expect }) => {
    const problems = problemsOf(env);
    expect(problems).toHaveLength(messages.length);
    messages.forEach((message, n) => expect(problems[n]).toContain(message));
  });

  it("never repeats a secret in a message", ({ expect }) => {
    const problems = problemsOf({
      ...KAFKA,
      ...SQL,
      UPSTASH_KAFKA_REST_URL: "http://user:hunter2@kafka.example",
      PLANETSCALE_URL: "http://user:hunter2@host.example",
      BRIDGE_SECRET: "hunter2",
    });
    expect(problems).toHaveLength(3);
    expect(problems.join()).not.toContain("hunter2");
  });
});

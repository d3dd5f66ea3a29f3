import { describe, it } from "vitest";
import { type Environment, readSettings, type Settings } from "./settings.ts";

const SECRET = "a-secret-of-some-length";
const files: Record<string, string> = { "ca.pem": "-----BEGIN CERTIFICATE-----\n", "not.pem": "hello" };

function read(environment: Environment) {
  return readSettings(environment, (path) => {
    const content = files[path];
    if (content === undefined) {
      throw new Error("ENOENT");
    }
    return content;
  });
}

function settingsOf(environment: Environment): Settings {
  const result = read(environment);
  if (!result.ok) {
    throw new Error(result.problems.join("\n"));
  }
  return result.settings;
}

function problemsOf(environment: Environment): string[] {
  const result = read(environment);
  return result.ok ? [] : result.problems;
}

describe("settings", () => {
  it("turn dialects on by their engines", ({ expect }) => {
    const settings = settingsOf({ REDIS_URL: "redis://localhost" });
    expect(settings).toMatchObject({ host: "127.0.0.1", port: 8790, isLoopback: true });
    expect([settings.redis !== undefined, settings.mysql, settings.kafka]).toEqual([true, undefined, undefined]);
    // Empty is not set.
    expect(settingsOf({ REDIS_URL: "redis://localhost", MYSQL_URL: "", BRIDGE_PORT: "" }).port).toBe(8790);
    expect(problemsOf({})).toEqual([
      "Nothing to bridge: set KAFKA_BROKERS, REDIS_URL or MYSQL_URL, at least one of them.",
    ]);
  });

  it("read everything that is told", ({ expect }) => {
    const settings = settingsOf({
      KAFKA_BROKERS: "a:9092, b:9093",
      KAFKA_TLS: "on",
      KAFKA_CA_FILE: "ca.pem",
      KAFKA_SASL_MECHANISM: "SCRAM-SHA-512",
      KAFKA_SASL_USERNAME: "u",
      KAFKA_SASL_PASSWORD: "p",
      BRIDGE_KAFKA_USERS: "app:one,writer:two:produce:gochat.*,reader:three:consume:gochat.user-events",
      BRIDGE_WORKER_URL: "http://127.0.0.1:8787/",
      BRIDGE_SECRET: SECRET,
      BRIDGE_GROUPS: "task.persist.group",
      MYSQL_URL: "mysql://u:p@h/db",
      MYSQL_TLS: "on",
      BRIDGE_SQL_USERS: "app:a:b",
    });
    expect(settings.kafka).toMatchObject({
      brokers: ["a:9092", "b:9093"],
      tls: { ca: files["ca.pem"] },
      sasl: { mechanism: "SCRAM-SHA-512", username: "u", password: "p" },
      users: [
        { name: "app", password: "one", rights: "full", topics: "*" },
        { name: "writer", password: "two", rights: "produce", topics: "gochat.*" },
        { name: "reader", password: "three", rights: "consume", topics: "gochat.user-events" },
      ],
      push: { workerUrl: "http://127.0.0.1:8787", secret: SECRET, groups: ["task.persist.group"] },
    });
    expect(settings.mysql).toMatchObject({ users: [{ name: "app", password: "a:b" }], tls: { ca: undefined } });
  });

  it("take no list of nothing but commas: without credentials everybody would be let in", ({ expect }) => {
    for (const name of ["BRIDGE_REDIS_TOKENS", "BRIDGE_SQL_USERS", "BRIDGE_KAFKA_USERS"]) {
      expect(problemsOf({ REDIS_URL: "redis://localhost", [name]: " , " })).toEqual([
        `${name} must have something between its commas.`,
      ]);
    }
  });

  it("refuse to listen beyond this machine without credentials", ({ expect }) => {
    const engines = { REDIS_URL: "redis://r", MYSQL_URL: "mysql://h/db", KAFKA_BROKERS: "k:9092" };
    for (const host of ["0.0.0.0", "::", "10.0.0.1", "bridge.example", "127.example"]) {
      expect(problemsOf({ ...engines, BRIDGE_HOST: host })).toEqual(
        ["BRIDGE_KAFKA_USERS", "BRIDGE_REDIS_TOKENS", "BRIDGE_SQL_USERS"].map(
          (name) => `BRIDGE_HOST is ${host}, beyond this machine, so ${name} must be set.`,
        ),
      );
    }
    for (const host of ["127.0.0.1", "127.9.9.9", "::1", "localhost"]) {
      expect(problemsOf({ ...engines, BRIDGE_HOST: host })).toEqual([]);
    }
    const credentials = { BRIDGE_KAFKA_USERS: "a:b", BRIDGE_REDIS_TOKENS: "t", BRIDGE_SQL_USERS: "a:b" };
    expect(problemsOf({ ...engines, ...credentials, BRIDGE_HOST: "0.0.0.0" })).toEqual([]);
  });

  it.for([
    [{ BRIDGE_PORT: "70000" }, "BRIDGE_PORT must be a whole number between 0 and 65535."],
    [{ BRIDGE_PORT: "8o" }, "BRIDGE_PORT must be a whole number between 0 and 65535."],
    [{ REDIS_URL: "http://x" }, "REDIS_URL must be an address that begins with redis:// or rediss://."],
    [{ MYSQL_URL: "mysql://h" }, "MYSQL_URL must name the database, as in mysql://user:password@host:3306/gochat."],
    [{ MYSQL_TLS: "yes" }, "MYSQL_TLS must be on or off."],
    [{ MYSQL_URL: "mysql://h/d", BRIDGE_SQL_USERS: "app" }, "BRIDGE_SQL_USERS must be a comma list of name:password."],
    [
      { REDIS_URL: "rediss://r", REDIS_CA_FILE: "none.pem" },
      "REDIS_CA_FILE names a file that cannot be read: none.pem.",
    ],
    [{ REDIS_URL: "rediss://r", REDIS_CA_FILE: "not.pem" }, "REDIS_CA_FILE must be a file in PEM format."],
    [{ REDIS_CA_FILE: "ca.pem" }, "REDIS_CA_FILE is set, so REDIS_URL must begin with rediss://."],
    [
      { MYSQL_URL: "mysql://10.0.0.1/d", MYSQL_TLS: "on" },
      "MYSQL_TLS is on, so MYSQL_URL must name the server as its certificate does, not by an address.",
    ],
    [{ MYSQL_URL: "mysql://h/d", MYSQL_CA_FILE: "ca.pem" }, "MYSQL_CA_FILE is set, so MYSQL_TLS must be on."],
    [{ KAFKA_BROKERS: "k:1", KAFKA_CA_FILE: "ca.pem" }, "KAFKA_CA_FILE is set, so KAFKA_TLS must be on."],
    [
      { KAFKA_BROKERS: "k:1", KAFKA_TLS: "on", KAFKA_CERT_FILE: "ca.pem" },
      "KAFKA_CERT_FILE and KAFKA_KEY_FILE need each other.",
    ],
    [{ KAFKA_BROKERS: "kafka" }, "KAFKA_BROKERS must be a comma list of host:port."],
    [
      { KAFKA_BROKERS: "k:1", KAFKA_SASL_MECHANISM: "GSSAPI" },
      "KAFKA_SASL_MECHANISM must be one of none, PLAIN, SCRAM-SHA-256, SCRAM-SHA-512.",
    ],
    [
      { KAFKA_BROKERS: "k:1", KAFKA_SASL_MECHANISM: "PLAIN" },
      "KAFKA_SASL_MECHANISM is set, so KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD must be as well.",
    ],
    [
      { KAFKA_BROKERS: "k:1", BRIDGE_WORKER_URL: "http://w", BRIDGE_SECRET: "short" },
      "BRIDGE_SECRET must be at least 16 characters, the same here and at the Worker, since BRIDGE_WORKER_URL is set.",
    ],
    [
      { BRIDGE_WORKER_URL: "http://w", BRIDGE_SECRET: SECRET },
      "BRIDGE_WORKER_URL is set, so KAFKA_BROKERS must say where the records come from.",
    ],
  ] as const)("say what is wrong with %j", ([environment, sentence], { expect }) => {
    expect(problemsOf({ REDIS_URL: "redis://r", ...environment })).toEqual([sentence]);
  });

  it("never repeat a secret", ({ expect }) => {
    const told = problemsOf({
      KAFKA_BROKERS: "k:1",
      BRIDGE_KAFKA_USERS: "app:hidden:wrong-right",
      MYSQL_URL: "mysql://app:hidden@",
      REDIS_URL: "rodis://app:hidden@h",
      BRIDGE_WORKER_URL: "http://w",
      BRIDGE_SECRET: "hidden",
    });
    expect(told.length).toBeGreaterThan(0);
    expect(told.join(" ")).not.toContain("hidden");
  });
});

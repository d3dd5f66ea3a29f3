/** The bridge in front of a MariaDB and a Redis that want TLS: it trusts whom it was told to, for the name that it was told, and nobody else. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, it } from "vitest";
import { MARIADB_NAME } from "../../scripts/services/mariadb.ts";
import { Service } from "../../scripts/services/service.ts";
import { tlsCertificateIn, tlsMariadb, tlsRedis } from "../../scripts/services/tls.ts";
import { bridgeWith } from "./support/bridge.ts";

const START_LIMIT_MS = 100_000;

const newFolder = (): string => mkdtempSync(join(tmpdir(), "gochat-tls-"));
const folders = { mariadb: newFolder(), stranger: newFolder(), redis: newFolder() };
let mariadb: Service;
/** A MariaDB with somebody else's name. */
let stranger: Service;
let redis: Service;

beforeAll(async () => {
  [mariadb, stranger, redis] = await Promise.all([
    Service.start(tlsMariadb("localhost"), folders.mariadb),
    Service.start(tlsMariadb("stranger.example"), folders.stranger),
    Service.start(tlsRedis, folders.redis),
  ]);
}, START_LIMIT_MS);

afterAll(() => Promise.all([mariadb, stranger, redis].map((server) => server?.dispose())));

async function isUp(settings: Record<string, string>): Promise<boolean> {
  const bridge = await bridgeWith(settings);
  try {
    return (await fetch(`${bridge.url}/health`)).status === 200;
  } finally {
    await bridge.stop();
  }
}

describe("a MariaDB with TLS", () => {
  const settings = (server = mariadb, folder = folders.mariadb) => ({
    MYSQL_URL: `mysql://${MARIADB_NAME}:${MARIADB_NAME}@localhost:${server.port}/${MARIADB_NAME}`,
    MYSQL_TLS: "on",
    MYSQL_CA_FILE: tlsCertificateIn(folder),
  });

  it("is up for the bridge that trusts its certificate", async ({ expect }) => {
    expect(await isUp(settings())).toBe(true);
  });

  it.for([
    ["without TLS", { MYSQL_TLS: "off", MYSQL_CA_FILE: "" }],
    ["for one that trusts the system's authorities", { MYSQL_CA_FILE: "" }],
  ] as const)("is away %s", async ([, wrong], { expect }) => {
    expect(await isUp({ ...settings(), ...wrong })).toBe(false);
  });

  it("is away under another name than that in its certificate", async ({ expect }) => {
    expect(await isUp(settings(stranger, folders.stranger))).toBe(false);
  });
});

describe("a Redis with TLS", () => {
  const settings = (host = "localhost") => ({
    REDIS_URL: `rediss://${host}:${redis.port}`,
    REDIS_CA_FILE: tlsCertificateIn(folders.redis),
  });

  it("is up for the bridge that trusts its certificate", async ({ expect }) => {
    expect(await isUp(settings())).toBe(true);
  });

  it("is away for one that does not, without TLS, and under another name", async ({ expect }) => {
    expect(await isUp({ ...settings(), REDIS_CA_FILE: "" })).toBe(false);
    expect(await isUp({ REDIS_URL: settings().REDIS_URL.replace("rediss:", "redis:") })).toBe(false);
    expect(await isUp(settings("127.0.0.1"))).toBe(false);
  });
});

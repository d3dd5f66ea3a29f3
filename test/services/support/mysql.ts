/** A MySQL database of the test's own, behind a bridge of its own. */
import { randomUUID } from "node:crypto";
import type { Client } from "@planetscale/database";
import { applyMysqlMigrations } from "../../../scripts/start/mysqlMigrations.ts";
import { planetscaleClient } from "../../../src/repo/planetscale.ts";
import { serviceUrl } from "./addresses.ts";
import { bridgeWith } from "./bridge.ts";

/** With everything in it that a URL cannot hold as it is. */
const PASSWORD = "p@ss: wörd%2F";

export interface RecordedClient {
  readonly client: Client;
  /** Every statement that it has sent, as the database got it. */
  readonly statements: string[];
}

export interface EmptyMysql {
  /** As PLANETSCALE_URL is. */
  readonly url: string;
  /** Ends the bridge: from then on nobody answers. */
  stop(): Promise<void>;
  /** Ends the bridge, and drops the database. */
  dispose(): Promise<void>;
}

export interface TestMysql extends EmptyMysql {
  readonly primary: RecordedClient;
  /** Another client of the same database. */
  readonly replica: RecordedClient;
}

/** With all migrations applied. */
export async function ownMysql(): Promise<TestMysql> {
  const mysql = await emptyMysql();
  const away = await applyMysqlMigrations(mysql.url);
  if (away !== undefined) {
    throw new Error(away);
  }
  return { ...mysql, primary: recorded(mysql.url), replica: recorded(mysql.url) };
}

/** Without a table. */
export async function emptyMysql(): Promise<EmptyMysql> {
  const name = `gochat_${randomUUID().replaceAll("-", "")}`;
  const address = new URL(serviceUrl("MYSQL_URL"));
  await tellMysql(address, `create database ${name} character set utf8mb4 collate utf8mb4_general_ci`);
  const own = new URL(address);
  own.pathname = `/${name}`;
  const bridge = await bridgeInFrontOf(own);
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= bridge.stop());
  return {
    url: bridge.url,
    stop,
    async dispose() {
      await stop();
      await tellMysql(address, `drop database ${name}`);
    },
  };
}

async function tellMysql(address: URL, statement: string): Promise<void> {
  const bridge = await bridgeInFrontOf(address);
  try {
    await planetscaleClient(bridge.url).execute(statement);
  } finally {
    await bridge.stop();
  }
}

function recorded(url: string): RecordedClient {
  const statements: string[] = [];
  const client = planetscaleClient(url, (input, init) => {
    statements.push(queryIn(init?.body));
    return fetch(input, init);
  });
  return { client, statements };
}

async function bridgeInFrontOf(address: URL): Promise<{ url: string; stop(): Promise<void> }> {
  const bridge = await bridgeWith({ MYSQL_URL: address.href, BRIDGE_SQL_USERS: `app:${PASSWORD}` });
  return { url: bridge.url.replace("//", `//app:${encodeURIComponent(PASSWORD)}@`), stop: () => bridge.stop() };
}

function queryIn(body: unknown): string {
  const parsed: unknown = typeof body === "string" ? JSON.parse(body) : undefined;
  return typeof parsed === "object" && parsed !== null && "query" in parsed ? String(parsed.query) : "";
}

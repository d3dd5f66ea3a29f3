/** Servers under measurement whose SQL is D1, or MariaDB behind the bridge. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { mariadb, MARIADB_NAME } from "../../scripts/services/mariadb.ts";
import { missingPrograms, needsOf } from "../../scripts/services/programs.ts";
import { Service } from "../../scripts/services/service.ts";
import { planetscaleClient } from "../../src/repo/planetscale.ts";
import { launchBridge } from "../../test/services/support/bridgeProcess.ts";
import { d1File } from "../../scripts/start/d1File.ts";
import { OurServer } from "../targets.ts";
import { HeldBus } from "./bus.ts";

export const SQL_ENGINES = ["D1", "MariaDB"] as const;
export type SqlEngine = (typeof SQL_ENGINES)[number];

/** A server, its bus and its database. */
export interface Persisting {
  readonly server: OurServer;
  readonly bus: HeldBus;
  /** Processes of the database beside workerd. */
  readonly pids: { readonly bridge?: number; readonly database?: number };
  /** Messages in SQL. */
  stored(): Promise<number>;
  dispose(): Promise<void>;
}

/** What has to be installed for it, in one line; undefined when everything is here. */
export function missingFor(engine: SqlEngine): string | undefined {
  return engine === "D1"
    ? undefined
    : missingPrograms(needsOf(true).filter((need) => need.package === "mariadb-server"));
}

const STORED = "SELECT count(*) AS stored FROM messages";

export function startEngine(engine: SqlEngine): Promise<Persisting> {
  return engine === "D1" ? onD1() : onMariadb();
}

async function onD1(): Promise<Persisting> {
  const bus = await HeldBus.start();
  const server = await serverWith(bus, { SQL: "d1" });
  return {
    server,
    bus,
    pids: {},
    stored() {
      // Read beside the server, which keeps it open in WAL mode.
      const database = new DatabaseSync(d1File(server.folder) ?? "", { readOnly: true });
      try {
        return Promise.resolve(Number(database.prepare(STORED).get()?.["stored"]));
      } finally {
        database.close();
      }
    },
    async dispose() {
      await server.dispose();
      await bus.stop();
    },
  };
}

async function onMariadb(): Promise<Persisting> {
  const folder = mkdtempSync(join(tmpdir(), "gochat-bench-mariadb-"));
  // Also of a run that is interrupted.
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const database = await Service.start(mariadb, folder);
  const password = randomBytes(16).toString("hex");
  const bridge = await launchBridge({
    MYSQL_URL: `mysql://${MARIADB_NAME}:${MARIADB_NAME}@${database.address}/${MARIADB_NAME}`,
    BRIDGE_SQL_USERS: `bench:${password}`,
  });
  const url = `http://bench:${password}@${bridge.address}`;
  const bus = await HeldBus.start();
  const server = await serverWith(bus, { SQL: "planetscale", PLANETSCALE_URL: url });
  return {
    server,
    bus,
    pids: { bridge: bridge.pid, database: database.pid },
    async stored() {
      const { rows } = await planetscaleClient(url).execute<{ stored: number }>(STORED);
      return Number(rows[0]?.stored);
    },
    async dispose() {
      await server.dispose();
      await bus.stop();
      await bridge.dispose();
      await database.dispose();
    },
  };
}

async function serverWith(bus: HeldBus, env: Readonly<Record<string, string>>): Promise<OurServer> {
  const server = await OurServer.start({ ...bus.env, ...env });
  bus.serverUrl = server.url;
  return server;
}

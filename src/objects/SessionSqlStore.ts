/** A user's durable memory: devices, refresh tokens, and a few facts. */
import type { Ban } from "../domain/ban.ts";
import type { PresenceFact } from "../domain/comings.ts";
import type { Notices } from "../domain/notices.ts";
import type { DeviceRow, DeviceStore, RefreshRow } from "../domain/devices.ts";
import { ObjectSchema } from "../platform/objectSchema.ts";

/** Released migrations are never edited; docs/storage-schema.md describes the tables. */
const MIGRATIONS = [
  `CREATE TABLE devices (
     device_id TEXT PRIMARY KEY, kind TEXT NOT NULL, name TEXT,
     created_at INTEGER NOT NULL, last_seen_at INTEGER NOT NULL,
     valid_from INTEGER NOT NULL
   ) WITHOUT ROWID;
   CREATE TABLE refresh_tokens (
     hash TEXT PRIMARY KEY, device_id TEXT NOT NULL, used INTEGER NOT NULL,
     expires_at INTEGER NOT NULL
   ) WITHOUT ROWID;
   CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;`,
];

type DeviceColumns = {
  device_id: string;
  kind: string;
  name: string | null;
  created_at: number;
  last_seen_at: number;
  valid_from: number;
};

function toDevice(row: DeviceColumns): DeviceRow {
  return {
    deviceId: row.device_id,
    kind: row.kind as DeviceRow["kind"],
    ...(row.name === null ? {} : { name: row.name }),
    createdAt: row.created_at,
    lastSeenAt: row.last_seen_at,
    validFrom: row.valid_from,
  };
}

/** Facts by name: `account` (who the user is), `presence`, `watchers` (who asks for it), `worldReadSeqId`, `outboxWatch`, `ban`, `notices`. */
export type SessionFacts = {
  account: { userId: string; isGuest: boolean; role: "user" | "admin" };
  presence: PresenceFact;
  watchers: string[];
  worldReadSeqId: number;
  outboxWatch: boolean;
  ban: Ban;
  notices: Notices;
};

export class SessionSqlStore implements DeviceStore {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;
  readonly #schema: ObjectSchema;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
    this.#schema = new ObjectSchema(storage, MIGRATIONS);
  }

  transaction<T>(work: () => T): T {
    this.#schema.ensure();
    return this.#storage.transactionSync(work);
  }

  devices(): DeviceRow[] {
    return this.#rows<DeviceColumns>("SELECT * FROM devices").map(toDevice);
  }

  device(deviceId: string): DeviceRow | undefined {
    const row = this.#rows<DeviceColumns>("SELECT * FROM devices WHERE device_id = ?", deviceId)[0];
    return row === undefined ? undefined : toDevice(row);
  }

  putDevice(row: DeviceRow): void {
    this.#sql.exec(
      `INSERT INTO devices (device_id, kind, name, created_at, last_seen_at, valid_from)
       VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (device_id) DO UPDATE SET kind = excluded.kind, name = excluded.name,
         last_seen_at = excluded.last_seen_at, valid_from = excluded.valid_from`,
      row.deviceId,
      row.kind,
      row.name ?? null,
      row.createdAt,
      row.lastSeenAt,
      row.validFrom,
    );
  }

  deleteDevice(deviceId: string): void {
    this.#sql.exec("DELETE FROM refresh_tokens WHERE device_id = ?", deviceId);
    this.#sql.exec("DELETE FROM devices WHERE device_id = ?", deviceId);
  }

  refresh(hash: string): RefreshRow | undefined {
    const row = this.#rows<{ hash: string; device_id: string; used: number; expires_at: number }>(
      "SELECT * FROM refresh_tokens WHERE hash = ?",
      hash,
    )[0];
    return row === undefined
      ? undefined
      : {
          hash: row.hash,
          deviceId: row.device_id,
          used: row.used !== 0,
          expiresAt: row.expires_at,
        };
  }

  putRefresh(row: RefreshRow): void {
    this.#sql.exec(
      `INSERT INTO refresh_tokens (hash, device_id, used, expires_at) VALUES (?, ?, ?, ?)
       ON CONFLICT (hash) DO UPDATE SET used = excluded.used`,
      row.hash,
      row.deviceId,
      row.used ? 1 : 0,
      row.expiresAt,
    );
  }

  pruneRefresh(expiredBefore: number): void {
    this.#sql.exec("DELETE FROM refresh_tokens WHERE expires_at < ?", expiredBefore);
  }

  fact<Name extends keyof SessionFacts>(name: Name): SessionFacts[Name] | undefined {
    const row = this.#rows<{ value: string }>("SELECT value FROM facts WHERE name = ?", name)[0];
    return row === undefined ? undefined : (JSON.parse(row.value) as SessionFacts[Name]);
  }

  saveFact<Name extends keyof SessionFacts>(name: Name, value: SessionFacts[Name]): void {
    this.#sql.exec(
      `INSERT INTO facts (name, value) VALUES (?, ?)
       ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
      name,
      JSON.stringify(value),
    );
  }

  /** Rows of a query; none while the object has stored nothing. */
  #rows<Row extends Record<string, SqlStorageValue>>(query: string, ...values: SqlStorageValue[]): Row[] {
    return this.#schema.ready ? this.#sql.exec<Row>(query, ...values).toArray() : [];
  }
}

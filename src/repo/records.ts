/** The queryable copy of the rooms, as the persist consumer and writing-through requests fill it. */
import type { Clock } from "../platform/clock.ts";
import type { Database } from "./database.ts";
import { roomRows } from "./roomRows.ts";
import type { PersistenceRepo } from "./types.ts";

/** @param clock for read pointers, whose records carry no time */
export function recordRepo(database: Database, clock: Clock): PersistenceRepo {
  return {
    async applyRoomRecords(records, limitMs) {
      await database.applyRows(roomRows(records, clock.now()), limitMs);
    },
  };
}

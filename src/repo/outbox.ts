/** Events that began in SQL and wait for the bus. */
import { asc, count, eq, inArray, min } from "drizzle-orm";
import { outboxEvents } from "../../schema/sqlite.ts";
import { guarded, idsIn, type Db } from "./d1.ts";
import type { OutboxRepo } from "./types.ts";

/** The outbox over D1. */
export function d1Outbox(db: Db): OutboxRepo {
  return {
    pending(ownerId, limit) {
      return guarded(() =>
        db
          .select({
            eventId: outboxEvents.eventId,
            topic: outboxEvents.topic,
            key: outboxEvents.eventKey,
            body: outboxEvents.body,
          })
          .from(outboxEvents)
          .where(eq(outboxEvents.ownerId, ownerId))
          .orderBy(asc(outboxEvents.eventId))
          .limit(limit),
      );
    },

    async published(eventIds) {
      if (eventIds.length > 0) {
        await guarded(() => db.delete(outboxEvents).where(inArray(outboxEvents.eventId, idsIn(eventIds))));
      }
    },

    async backlog() {
      const rows = await guarded(() =>
        db.select({ waiting: count(), oldestAt: min(outboxEvents.createdAt) }).from(outboxEvents),
      );
      const row = rows[0];
      return { count: row?.waiting ?? 0, oldestAt: row?.oldestAt ?? null };
    },
  };
}

/** A bus event as JSON: snake_case, time in seconds. Source: DESIGN section 4, "Bus". */
export function eventBody(type: string, eventId: string, now: number, rest: Record<string, unknown>): string {
  return JSON.stringify({ event_id: eventId, event_type: type, timestamp: Math.floor(now / 1000), ...rest });
}

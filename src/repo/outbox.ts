/** Events that began in SQL and wait for the bus. */
import { asc, count, eq, inArray, min } from "drizzle-orm";
import type { Database } from "./database.ts";
import type { OutboxRepo } from "./types.ts";

/** The outbox of this database. */
export function outboxRepo(database: Database): OutboxRepo {
  const { outboxEvents } = database.tables;
  return {
    pending(ownerId, limit) {
      return database.query((db) =>
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
        const ids = database.dialect.list(eventIds);
        await database.change((db) => db.delete(outboxEvents).where(inArray(outboxEvents.eventId, ids)));
      }
    },

    async backlog() {
      const rows = await database.query((db) =>
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

/**
 * Events that began in SQL (`outbox_events`, written in the same transaction as their cause): onto
 * the bus at once, and again from the alarm of the user who caused them until a consumer has
 * handled them. What was in a queue when a process died is sent again.
 */
import { busOf } from "../bus/index.ts";
import { TOPIC_NAMES, type TopicName } from "../protocol/events.ts";
import { repositories } from "../repo/index.ts";

/** Rows of one pass; the next alarm takes the rest. */
const PAGE = 100;

function isTopic(name: string): name is TopicName {
  return TOPIC_NAMES.some((topic) => topic === name);
}

/** Publishes what this user's changes left behind; answers how many rows there were. */
export async function publishOutbox(env: Env, ownerId: string): Promise<number> {
  const rows = await repositories(env).outbox.pending(ownerId, PAGE);
  for (const [topic, group] of Map.groupBy(rows, (row) => row.topic)) {
    if (isTopic(topic)) {
      const records = group.map((row) => ({
        key: row.key,
        body: JSON.parse(row.body) as unknown,
      }));
      await busOf(env).publish(topic, records);
    }
  }
  return rows.length;
}

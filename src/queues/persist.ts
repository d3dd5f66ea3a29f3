/**
 * `gochat.messages.persist`: rooms' records into SQL, grouped by conversation, many in one
 * statement. Idempotent by (conversation, sequence) and `log_id`; then each room is told how far
 * its log is safe.
 */
import type { PersistBatch, RoomRecord } from "../domain/records.ts";
import { systemClock } from "../platform/clock.ts";
import { faultOfThrown } from "../platform/failures.ts";
import { roomOf } from "../platform/stubs.ts";
import { repositories } from "../repo/index.ts";
import { describeError, log } from "../telemetry/log.ts";
import { persistDuration } from "../telemetry/metrics.ts";
import { noteGivingUp } from "./letters.ts";
import { deadNext, retryDelayS } from "./retry.ts";

const TOPIC = "gochat.messages.persist";
/** A batch may hold thousands of rows, and no user waits for it. D1 ends a statement after 30 s (platform limits). */
const LIMIT_MS = 20_000;

/** One conversation's part of a queue batch. */
type Group = { messages: Message<PersistBatch>[]; records: RoomRecord[] };

export async function persist(batch: MessageBatch<PersistBatch>, env: Env): Promise<void> {
  const groups = new Map<string, Group>();
  for (const message of batch.messages) {
    const { conversationId, records } = message.body;
    const group = groups.get(conversationId) ?? { messages: [], records: [] };
    group.messages.push(message);
    group.records.push(...records);
    groups.set(conversationId, group);
  }
  await apply([...groups], env);
}

/** All in one; when that is refused for what stands in it, each alone: one bad record must not hold up other rooms. */
async function apply(groups: readonly [string, Group][], env: Env): Promise<void> {
  try {
    await repositories(env).persistence.applyRoomRecords(
      groups.flatMap(([, group]) => group.records),
      LIMIT_MS,
    );
  } catch (error) {
    log("warn", "persisting a batch failed", {
      topic: TOPIC,
      count: groups.length,
      error: describeError(error),
    });
    const isOutage = faultOfThrown(error).name !== "INTERNAL";
    await Promise.all(
      groups.map((one) => (isOutage || groups.length === 1 ? refuse(one[1], error, env) : apply([one], env))),
    );
    return;
  }
  const now = systemClock.now();
  for (const record of groups.flatMap(([, group]) => group.records)) {
    if (record.kind === "message") {
      persistDuration.observeMs(now - record.message.createdAt);
    }
  }
  await Promise.all(groups.map(([id, group]) => confirm(id, group, env)));
}

async function confirm(conversationId: string, group: Group, env: Env): Promise<void> {
  try {
    for (const { body } of inOrder(group)) {
      await roomOf(env, conversationId).persisted(body.fromSeqId, body.toSeqId, body.outboxIds);
    }
  } catch (error) {
    // SQL has the rows. The room sends them once more from its alarm, which changes nothing there.
    log("warn", "confirming to a room failed", { conversationId, error: describeError(error) });
  }
  group.messages.forEach((message) => message.ack());
}

/** Queues have no order; a room takes a batch only when everything before it is confirmed. */
function inOrder(group: Group): Message<PersistBatch>[] {
  return group.messages.toSorted((a, b) => a.body.fromSeqId - b.body.fromSeqId);
}

async function refuse(group: Group, reason: unknown, env: Env): Promise<void> {
  for (const message of group.messages) {
    if (deadNext(TOPIC, message)) {
      await noteGivingUp(env, TOPIC, message, reason);
      const { conversationId, fromSeqId, toSeqId } = message.body;
      try {
        await roomOf(env, conversationId).persistFailed(fromSeqId, toSeqId);
      } catch (error) {
        log("warn", "telling a room of a failed batch failed", {
          conversationId,
          error: describeError(error),
        });
      }
    }
    message.retry({ delaySeconds: retryDelayS(message.attempts) });
  }
}

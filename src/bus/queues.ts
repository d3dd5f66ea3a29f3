/** The bus on Cloudflare Queues: at least once, no order, 128 KB a message. */
import { jsonBytes } from "../domain/jsonSize.ts";
import { TOPICS, type TopicName } from "../protocol/events.ts";
import { describeError, log } from "../telemetry/log.ts";
import { partsOf, type PartLimits } from "../platform/parts.ts";
import type { Bus, BusRecord } from "./types.ts";

/** One `sendBatch`. Source: platform limits (100 messages or 256 KB). */
const BATCH: PartLimits = { records: 50, bytes: 240_000 };

function queueOf(env: Env, topic: TopicName): Queue {
  return env[TOPICS[topic].binding];
}

/** One more queue, where somebody has bound it: for a group of readers that is not ours. */
type CopyEnv = { Q_ANALYTICS?: Queue };

/** What such a reader gets: a queue carries all topics there, so each copy names its own. */
export type Copy = { topic: TopicName; key: string; body: unknown };

export function queuesBus(env: Env & CopyEnv): Bus {
  return {
    async publish(topic, records) {
      if (records.length === 0) {
        return;
      }
      await sendTo(queueOf(env, topic), records);
      await copyTo(env.Q_ANALYTICS, topic, records);
    },

    async backlog(topic) {
      try {
        return (await queueOf(env, topic).metrics()).backlogCount;
      } catch {
        // Not every runtime tells.
        return undefined;
      }
    },
  };
}

async function sendTo(queue: Queue, records: readonly BusRecord[]): Promise<void> {
  const [first] = records;
  if (first !== undefined && records.length === 1) {
    await queue.send(first.body);
    return;
  }
  for (const part of partsOf(records, ({ body }) => jsonBytes(body), BATCH)) {
    await queue.sendBatch(part.map((record) => ({ body: record.body })));
  }
}

/** After ours have it. What goes wrong with the copy is the copy's loss: nothing of ours is held up or repeated for it. */
async function copyTo(queue: Queue | undefined, topic: TopicName, records: readonly BusRecord[]): Promise<void> {
  if (queue === undefined) {
    return;
  }
  try {
    const copies = records.map(({ key, body }) => ({ key, body: { topic, key, body } satisfies Copy }));
    await sendTo(queue, copies);
  } catch (error) {
    log("warn", "records were not copied", { topic, count: records.length, error: describeError(error) });
  }
}

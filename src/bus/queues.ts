/** The bus on Cloudflare Queues: at least once, no order, 128 KB a message. */
import { jsonBytes } from "../domain/jsonSize.ts";
import { TOPICS, type TopicName } from "../protocol/events.ts";
import { describeError, log } from "../telemetry/log.ts";
import type { Bus, BusRecord } from "./types.ts";

/** Messages in one `sendBatch`, and their bytes. Source: platform limits (100 messages or 256 KB). */
const BATCH_MESSAGES = 50;
const BATCH_BYTES = 240_000;

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
  for (const part of parts(records)) {
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

/** In order, each as large as one `sendBatch` may be. */
function parts(records: readonly BusRecord[]): BusRecord[][] {
  const out: BusRecord[][] = [[]];
  let bytes = 0;
  for (const record of records) {
    const size = jsonBytes(record.body);
    const last = out.at(-1) ?? [];
    if (last.length > 0 && (last.length >= BATCH_MESSAGES || bytes + size > BATCH_BYTES)) {
      out.push([record]);
      bytes = size;
    } else {
      last.push(record);
      bytes += size;
    }
  }
  return out;
}

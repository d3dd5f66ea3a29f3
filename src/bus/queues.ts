/** The bus on Cloudflare Queues: at least once, no order, 128 KB a message. */
import { jsonBytes } from "../domain/jsonSize.ts";
import { TOPICS, type TopicName } from "../protocol/events.ts";
import type { Bus, BusRecord } from "./types.ts";

/** Messages in one `sendBatch`, and their bytes. Source: platform limits (100 messages or 256 KB). */
const BATCH_MESSAGES = 50;
const BATCH_BYTES = 240_000;

function queueOf(env: Env, topic: TopicName): Queue {
  return env[TOPICS[topic].binding];
}

export function queuesBus(env: Env): Bus {
  return {
    async publish(topic, records) {
      const [first] = records;
      if (first === undefined) {
        return;
      }
      const queue = queueOf(env, topic);
      if (records.length === 1) {
        await queue.send(first.body);
        return;
      }
      for (const part of parts(records)) {
        await queue.sendBatch(part.map((record) => ({ body: record.body })));
      }
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

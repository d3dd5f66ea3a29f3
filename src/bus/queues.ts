/** The bus on Cloudflare Queues: at least once, no order, 128 KB a message. */
import { TOPICS, type TopicName } from "../protocol/events.ts";
import type { Bus, BusRecord } from "./types.ts";

/** Messages in one `sendBatch`. Source: platform limits (100 messages or 256 KB). */
const BATCH_MESSAGES = 50;

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
      for (let at = 0; at < records.length; at += BATCH_MESSAGES) {
        const part: readonly BusRecord[] = records.slice(at, at + BATCH_MESSAGES);
        await queue.sendBatch(part.map((record) => ({ body: record.body })));
      }
    },
  };
}

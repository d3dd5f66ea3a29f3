/** The topics as the bridge wants them. */
import { ConfigResourceTypes, IncrementalAlterConfigOperationTypes } from "@platformatic/kafka";
import type { KafkaAdmin } from "./client.ts";
import { ALL_TOPICS } from "./groups.ts";

const RETENTION = "retention.ms";

export interface TopicShape {
  readonly partitions: number;
  readonly replicas: number;
  readonly retentionMs: number;
}

/**
 * Makes what is missing; those that are there get the retention. More partitions are added to a topic that has fewer, never taken away: that moves keys to other
 * partitions, so do it while nothing waits in the topic.
 * @returns a line for each topic
 */
export async function ensureTopics(admin: KafkaAdmin, shape: TopicShape): Promise<string[]> {
  const present = new Set(await admin.listTopics());
  const missing = ALL_TOPICS.filter((topic) => !present.has(topic));
  if (missing.length > 0) {
    await admin.createTopics({
      topics: missing,
      partitions: shape.partitions,
      replicas: shape.replicas,
      configs: [{ name: RETENTION, value: String(shape.retentionMs) }, ...inSync(shape.replicas)],
    });
  }
  const known = ALL_TOPICS.filter((topic) => present.has(topic));
  if (known.length > 0) {
    await admin.incrementalAlterConfigs({ resources: known.map((topic) => retentionOf(topic, shape.retentionMs)) });
  }
  const metadata = known.length > 0 ? await admin.metadata({ topics: known, forceUpdate: true }) : undefined;
  const countOf = (topic: string): number => metadata?.topics.get(topic)?.partitionsCount ?? 0;
  const narrow = known.filter((topic) => countOf(topic) < shape.partitions);
  if (narrow.length > 0) {
    await admin.createPartitions({
      topics: narrow.map((name) => ({ name, count: shape.partitions, assignments: null })),
    });
  }
  return ALL_TOPICS.map((topic) => {
    const what = missing.includes(topic) ? "made" : narrow.includes(topic) ? "widened" : "is there";
    const partitions = what === "is there" ? countOf(topic) : shape.partitions;
    return `${topic}: ${what}, ${partitions} partitions, kept for ${shape.retentionMs} ms`;
  });
}

/** Of three replicas two take each record, or none is answered for: one broker may be lost without a word. */
function inSync(replicas: number): { name: string; value: string }[] {
  return replicas >= 3 ? [{ name: "min.insync.replicas", value: "2" }] : [];
}

function retentionOf(topic: string, retentionMs: number) {
  return {
    resourceType: ConfigResourceTypes.TOPIC,
    resourceName: topic,
    configs: [
      {
        name: RETENTION,
        configOperation: IncrementalAlterConfigOperationTypes.SET,
        value: String(retentionMs),
      },
    ],
  };
}

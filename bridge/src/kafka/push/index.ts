/** All groups that this bridge pushes to the Worker, and where their dead letters go. */
import type { Deps } from "../../dialect.ts";
import { type KafkaProducer, sendToAll } from "../client.ts";
import { chosenGroups, DEAD_LETTER_TOPIC } from "../groups.ts";
import type { KafkaSettings, PushSettings } from "../settings.ts";
import { Budget } from "./budget.ts";
import { GroupPush } from "./group.ts";
import type { LaneRecord } from "./lane.ts";

export interface Pushing {
  /** @param withinMs how long pushes in flight may take to end */
  close(withinMs: number): Promise<void>;
}

export function startPushing(kafka: KafkaSettings, push: PushSettings, producer: KafkaProducer, deps: Deps): Pushing {
  const bury = (group: string, topic: string, record: LaneRecord): Promise<void> =>
    writeDeadLetter(producer, group, topic, record);
  const budget = new Budget(push.memoryBytes, push.batchBytes);
  const groups = chosenGroups(push.groups).chosen.map(
    ([group, topics]) => new GroupPush({ group, topics, kafka, push, deps, budget, bury }),
  );
  for (const group of groups) {
    group.start();
  }
  return { close: async (withinMs) => void (await Promise.all(groups.map((group) => group.close(withinMs)))) };
}

/** A dead letter that the Worker refuses as such is dropped from its own topic: it would make a letter of a letter for ever. */
async function writeDeadLetter(
  producer: KafkaProducer,
  group: string,
  topic: string,
  { key, value }: LaneRecord,
): Promise<void> {
  if (topic === DEAD_LETTER_TOPIC) {
    return;
  }
  const error = `${group} could not hand it on`;
  const letter = JSON.stringify({ topic, key, value, error });
  await sendToAll(producer, [{ topic: DEAD_LETTER_TOPIC, key: Buffer.from(key), value: Buffer.from(letter) }]);
}

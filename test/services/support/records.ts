/** Records on the real Kafka, and how they came to the fake worker. */
import { Producer, stringSerializers } from "@platformatic/kafka";
import { serviceUrl } from "./addresses.ts";
import type { PushBody } from "./fakeWorker.ts";
import { withAdmin } from "./topics.ts";

/** Generous: the machine may be busy with more than these tests. */
export const WAIT = { timeout: 90_000, interval: 20 };

export type TestProducer = Producer<string, string, string, string>;

export function newTestProducer(): TestProducer {
  return new Producer({
    clientId: "a-test",
    bootstrapBrokers: serviceUrl("KAFKA_BROKERS").split(","),
    serializers: stringSerializers,
  });
}

/** One after the other into the partitions. */
export async function send(
  producer: TestProducer,
  topic: string,
  values: readonly string[],
  partitions: number,
): Promise<void> {
  await producer.send({
    messages: values.map((value, n) => ({ topic, value, key: `key-${n % partitions}`, partition: n % partitions })),
    acks: -1,
  });
}

export const numbers = (count: number, prefix = ""): string[] =>
  Array.from({ length: count }, (_, n) => `${prefix}${n}`);
/** All that was brought, in the order of its coming. */
export const valuesIn = (pushes: readonly PushBody[]): string[] =>
  pushes.flatMap(({ records }) => records.map(({ value }) => value));

/** In each partition, the offsets as they came, without those that came again. */
export function orderIn(pushes: readonly PushBody[]): Map<number, number[]> {
  const order = new Map<number, number[]>();
  for (const { partition, records } of pushes) {
    const known = order.get(partition) ?? [];
    order.set(partition, known);
    known.push(...records.map(({ offset }) => Number(offset)).filter((offset) => !known.includes(offset)));
  }
  return order;
}

/** The sum over the partitions of what a group has committed. */
export async function committed(group: string, topic: string): Promise<number> {
  const groups = await withAdmin((admin) => admin.listConsumerGroupOffsets({ groups: [group] }));
  const partitions = groups.flatMap(({ topics }) => topics).find(({ name }) => name === topic)?.partitions ?? [];
  return partitions.reduce((sum, { committedOffset }) => sum + Math.max(0, Number(committedOffset)), 0);
}

/** Producing: every message gets its partition here, so that each answer can name its own offset, in the order asked. */
import { murmur2 } from "@platformatic/kafka";
import { type KafkaProducer, sendToAll } from "./client.ts";
import { KafkaProblem } from "./problems.ts";
import { TopicFlights } from "./producing.ts";
import type { Message } from "./schemas.ts";

export interface Metadata {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
}

export type ProducedMessage = Message & { readonly topic: string };

/** As Java's client does it, so that all producers of a topic agree where a key belongs. */
export function partitionOfKey(key: string, partitions: number): number {
  return (murmur2(Buffer.from(key)) & 0x7fff_ffff) % partitions;
}

/** Messages without a key: one partition a request, and another one for the next. */
let turn = Math.floor(Math.random() * 1_000);

/** Rejects when Kafka did not take all of them; some of them may be there then. */
export type Produce = (messages: readonly ProducedMessage[]) => Promise<Metadata[]>;

type Placed = ProducedMessage & { readonly partition: number; readonly timestamp: number };

export function newProduce(producer: KafkaProducer): Produce {
  const flights = new Map<string, TopicFlights<Placed, Metadata>>();
  const flightsOf = (topic: string): TopicFlights<Placed, Metadata> => {
    const known = flights.get(topic);
    if (known) {
      return known;
    }
    const made = new TopicFlights<Placed, Metadata>(
      (messages) => send(producer, messages),
      () => flights.delete(topic),
    );
    flights.set(topic, made);
    return made;
  };
  return async (messages) => {
    const [first] = messages;
    if (first === undefined) {
      return [];
    }
    const placed = await place(producer, messages);
    const isOneTopic = placed.every(({ topic }) => topic === first.topic);
    return isOneTopic ? flightsOf(first.topic).produce(placed, bytesOf(placed)) : send(producer, placed);
  };
}

/** Near enough: what is no ASCII has up to three bytes, and the limit is half of what Kafka takes. */
function bytesOf(messages: readonly Placed[]): number {
  return messages.reduce((sum, { key = "", value }) => sum + key.length + value.length, 0);
}

/** Every message gets its partition and its time. */
async function place(producer: KafkaProducer, messages: readonly ProducedMessage[]): Promise<Placed[]> {
  const metadata = await producer.metadata({ topics: [...new Set(messages.map(({ topic }) => topic))] });
  const now = Date.now();
  turn++;
  return messages.map((message) => {
    const partitions = metadata.topics.get(message.topic)?.partitionsCount ?? 0;
    const partition = message.partition ?? partitionFor(message, partitions);
    if (partition >= partitions) {
      throw new KafkaProblem(404, "there is no such topic or partition");
    }
    return { ...message, partition, timestamp: message.timestamp ?? now };
  });
}

async function send(producer: KafkaProducer, placed: readonly Placed[]): Promise<Metadata[]> {
  const messages = placed.map(({ topic, partition, key, value, timestamp, headers }) => ({
    topic,
    partition,
    value: Buffer.from(value),
    timestamp: BigInt(timestamp),
    ...(key === undefined ? {} : { key: Buffer.from(key) }),
    ...(headers ? { headers: new Map(headers.map((one) => [Buffer.from(one.key), Buffer.from(one.value)])) } : {}),
  }));
  const { offsets = [] } = await sendToAll(producer, messages);
  // Kafka says where the first of a partition is; the others follow it.
  const next = new Map(offsets.map(({ topic, partition, offset }) => [`${topic}:${partition}`, Number(offset)]));
  return placed.map(({ topic, partition, timestamp }) => {
    const key = `${topic}:${partition}`;
    const offset = next.get(key) ?? -1;
    next.set(key, offset + 1);
    return { topic, partition, offset, timestamp };
  });
}

function partitionFor({ key }: ProducedMessage, partitions: number): number {
  if (partitions === 0) {
    return 0;
  }
  return key === undefined ? turn % partitions : partitionOfKey(key, partitions);
}

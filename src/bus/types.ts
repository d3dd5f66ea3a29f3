/** The bus as the rest of the Worker sees it: records go out by topic, batches come in by topic. */
import type { TopicName } from "../protocol/events.ts";

export type BusRecord = {
  /** Conversation or user id: records of one key keep together where the bus knows an order. */
  key: string;
  body: unknown;
};

export interface Bus {
  /** Throws when the bus did not take the records; the caller's outbox keeps them. */
  publish(topic: TopicName, records: readonly BusRecord[]): Promise<void>;
  /** How many records wait for the consumers of a topic; undefined where the bus does not tell. */
  backlog(topic: TopicName): Promise<number | undefined>;
}

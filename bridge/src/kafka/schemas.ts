/** Bodies of the Upstash Kafka dialect. One object stands for a list of one, wherever a list is. */
import * as z from "zod";

const MAX_TOPIC_CHARS = 249;
const MAX_MESSAGES = 10_000;
const MAX_TIMEOUT_MS = 10_000;

export const TopicName = z
  .string()
  .min(1)
  .max(MAX_TOPIC_CHARS)
  .regex(/^[\w.-]+$/);
/** Kafka allows more in a group's name; this is what can stand in a path. */
export const GroupName = z.string().min(1).max(255);
const Partition = z.int().min(0).max(100_000);
const Offset = z.union([z.int().min(0), z.string().regex(/^\d{1,19}$/)]).transform(BigInt);
const Timeout = z.coerce.number().int().min(0).max(MAX_TIMEOUT_MS);

const Message = z.object({
  topic: TopicName.optional(),
  value: z.string(),
  key: z.string().optional(),
  partition: Partition.optional(),
  timestamp: z.int().min(0).optional(),
  headers: z.array(z.object({ key: z.string(), value: z.string() })).optional(),
});
export type Message = z.output<typeof Message>;

const TopicPartition = z.object({ topic: TopicName, partition: Partition });
export type TopicPartition = z.output<typeof TopicPartition>;
const TopicPartitionOffset = TopicPartition.extend({ offset: Offset });
export type TopicPartitionOffset = z.output<typeof TopicPartitionOffset>;

function listOf<Item extends z.ZodType>(item: Item) {
  return z.union([z.array(item).max(MAX_MESSAGES), item.transform((one) => [one])]);
}

export const ProduceBody = listOf(Message);
export const ConsumeBody = z.object({
  topic: TopicName.optional(),
  topics: z.array(TopicName).optional(),
  timeout: Timeout.optional(),
});
/** An empty body, `[]` and nothing at all: what was consumed last. */
export const CommitBody = z
  .union([listOf(TopicPartitionOffset), z.null(), z.undefined()])
  .transform((list) => list ?? []);
export const FetchBody = z.object({
  topic: TopicName.optional(),
  partition: Partition.optional(),
  offset: Offset.optional(),
  topicPartitionOffsets: z.array(TopicPartitionOffset).max(MAX_MESSAGES).optional(),
  timeout: Timeout.optional(),
});
export const PartitionsBody = listOf(TopicPartition);
export const TimeoutQuery = Timeout.optional();
/** `/offsets/{when}`. */
export const When = z.union([
  z.literal("earliest").transform(() => -2n),
  z.literal("latest").transform(() => -1n),
  z
    .string()
    .regex(/^\d{1,15}$/)
    .transform(BigInt),
]);

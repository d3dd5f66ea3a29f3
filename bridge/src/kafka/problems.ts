/** What the dialect answers with when something is wrong: a status, and a sentence that holds nothing of the request. */
import { hasKafkaError, isUnknownTopic } from "./client.ts";

export type ProblemStatus = 400 | 401 | 403 | 404 | 405 | 413 | 500 | 503;

export class KafkaProblem extends Error {
  readonly status: ProblemStatus;

  constructor(status: ProblemStatus, message: string) {
    super(message);
    this.status = status;
  }
}

/** `{error, status}`; the client's type also has `result`. */
export function problemBody(status: number, message: string): { result: string; error: string; status: number } {
  return { result: "Error", error: message, status };
}

const BY_KAFKA: readonly (readonly [apiId: string, status: ProblemStatus, message: string])[] = [
  ["INVALID_TOPIC_EXCEPTION", 400, "the topic's name is not valid"],
  ["MESSAGE_TOO_LARGE", 413, "a message is larger than its topic allows"],
  ["RECORD_LIST_TOO_LARGE", 413, "the messages are larger than their topic allows"],
  ["OFFSET_OUT_OF_RANGE", 400, "the offset does not exist"],
  ["ILLEGAL_GENERATION", 503, "the group shares its partitions anew"],
  ["UNKNOWN_MEMBER_ID", 503, "the group shares its partitions anew"],
  ["REBALANCE_IN_PROGRESS", 503, "the group shares its partitions anew"],
  ["INVALID_TIMESTAMP", 400, "the timestamp is not valid"],
  ["TOPIC_AUTHORIZATION_FAILED", 403, "Kafka does not allow the bridge to use this topic"],
  ["GROUP_AUTHORIZATION_FAILED", 403, "Kafka does not allow the bridge to use this group"],
];

/** What Kafka's client threw, as the caller hears it. */
export function problemOf(error: unknown): KafkaProblem {
  if (error instanceof KafkaProblem) {
    return error;
  }
  if (isUnknownTopic(error)) {
    return new KafkaProblem(404, "there is no such topic or partition");
  }
  const known = BY_KAFKA.find(([apiId]) => hasKafkaError(error, apiId));
  return known ? new KafkaProblem(known[1], known[2]) : new KafkaProblem(503, "kafka does not answer");
}

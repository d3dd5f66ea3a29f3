/** Who may do what with which topic. Without users (on loopback only) everybody may do everything. */
import { findUser, parseBasic } from "../credentials.ts";
import type { KafkaSettings, KafkaUser } from "./settings.ts";
import { KafkaProblem } from "./problems.ts";

export type Action = "produce" | "consume";

const EVERYBODY: KafkaUser = { name: "", password: "", rights: "full", topics: "*" };

export function userOf(settings: KafkaSettings, authorization: string | undefined): KafkaUser | undefined {
  if (settings.users.length === 0) {
    return EVERYBODY;
  }
  const given = parseBasic(authorization);
  return given && findUser(settings.users, given);
}

/** Are the topics in the user's scope, whatever may be done with them? */
export function mayTouch(user: KafkaUser, topic: string): boolean {
  return user.topics.endsWith("*") ? topic.startsWith(user.topics.slice(0, -1)) : topic === user.topics;
}

/** @throws KafkaProblem 403 */
export function demand(user: KafkaUser, action: Action, topics: readonly string[]): void {
  if (user.rights !== "full" && user.rights !== action) {
    throw new KafkaProblem(403, `these credentials may not ${action}`);
  }
  if (!topics.every((topic) => mayTouch(user, topic))) {
    throw new KafkaProblem(403, "these credentials do not reach this topic");
  }
}

/**
 * The consumer groups that the bridge reads for the Worker, and all topics. Names: the design, section 4 "Bus". A test
 * holds the topics equal to those that the Worker publishes to.
 */

export const DEAD_LETTER_TOPIC = "gochat.dead-letters";

/** Group → its topics. `analytics.events.group` is free for others, so it is not read here. */
export const GROUPS: Readonly<Record<string, readonly string[]>> = {
  "logic.upstream.group": ["gochat.messages.upstream"],
  "task.persist.group": ["gochat.messages.persist"],
  "task.fanout.group": ["gochat.tasks.fanout"],
  "task.events.group": [
    "gochat.user-events",
    "gochat.friend-events",
    "gochat.conversation-events",
    "gochat.message-events",
    "gochat.notifications",
  ],
  // What became a dead letter is kept by the Worker, for an admin to look at and replay.
  "task.dead-letters.group": [DEAD_LETTER_TOPIC],
};

export const ALL_TOPICS: readonly string[] = Object.values(GROUPS).flat();

/** The groups of these names, all without names; or the names that do not exist. */
export function chosenGroups(names: readonly string[]): {
  chosen: [group: string, topics: readonly string[]][];
  unknown: string[];
} {
  const known = Object.entries(GROUPS);
  return {
    chosen: known.filter(([group]) => names.length === 0 || names.includes(group)),
    unknown: names.filter((name) => !Object.hasOwn(GROUPS, name)),
  };
}

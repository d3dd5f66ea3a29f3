import { describe, it } from "vitest";
import { DEAD_LETTER_QUEUE, TOPIC_NAMES } from "../../../src/protocol/events.ts";
import { ALL_TOPICS, chosenGroups, DEAD_LETTER_TOPIC } from "./groups.ts";

describe("groups", () => {
  it("read every topic that the Worker publishes to, once, and the dead letters", ({ expect }) => {
    expect(ALL_TOPICS.toSorted()).toEqual([...TOPIC_NAMES, DEAD_LETTER_TOPIC].toSorted());
    expect(DEAD_LETTER_TOPIC.replaceAll(".", "-")).toBe(DEAD_LETTER_QUEUE);
  });

  it("are chosen by name", ({ expect }) => {
    expect(chosenGroups([]).chosen).toHaveLength(5);
    expect(chosenGroups(["task.persist.group", "no.group"])).toEqual({
      chosen: [["task.persist.group", ["gochat.messages.persist"]]],
      unknown: ["no.group"],
    });
  });
});

import { readFileSync } from "node:fs";
import { describe, it } from "vitest";
import { DEAD_LETTER_QUEUE, EVENT_TOPICS, EVENTS, TOPIC_NAMES, TOPICS, topicOf, topicOfQueue } from "./events.ts";

const U1 = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
const U2 = "01BX5ZZKBKACTAV9WEVGEMMVRZ";
const envelope = { event_id: "group_01ARZ3NDEKTSV4RRFFQ69G5FAV:7", timestamp: 1_700_000_000 };

describe("topics", () => {
  it.for(TOPIC_NAMES)("%s has a queue that leads back to it", (topic, { expect }) => {
    expect(topicOfQueue(TOPICS[topic].queue)).toBe(topic);
    expect(TOPICS[topic].queue).toBe(topic.replaceAll(".", "-"));
  });

  it("share no queue and no binding", ({ expect }) => {
    const rows = Object.values(TOPICS);
    expect(new Set(rows.map((row) => row.queue)).size).toBe(rows.length);
    expect(new Set(rows.map((row) => row.binding)).size).toBe(rows.length);
  });

  it.for([DEAD_LETTER_QUEUE, "", "constructor", "__proto__", "gochat.user-events"])(
    "%j is no topic's queue",
    (queue, { expect }) => {
      expect(topicOfQueue(queue)).toBeUndefined();
    },
  );

  it("are those that wrangler.toml binds, each with a producer and a consumer", ({ expect }) => {
    const toml = readFileSync(new URL("../../wrangler.toml", import.meta.url), "utf8");
    const producers = [...toml.matchAll(/^\[\[queues\.producers\]\]\nbinding = "(\w+)"[^\n]*\nqueue = "([\w-]+)"/gm)];
    expect(producers.map(([, binding, queue]) => ({ binding, queue }))).toEqual(
      expect.arrayContaining(Object.values(TOPICS)),
    );
    const consumers = [...toml.matchAll(/^\[\[queues\.consumers\]\]\nqueue = "([\w-]+)"/gm)].map(([, queue]) => queue);
    expect(consumers).toHaveLength(new Set(consumers).size);
    expect(new Set(consumers)).toEqual(new Set([...Object.values(TOPICS).map((row) => row.queue), DEAD_LETTER_QUEUE]));
  });
});

describe("events", () => {
  /** Written down a second time on purpose: other consumers depend on it. Source: DESIGN section 4 "Bus". */
  const CONTRACT = {
    "gochat.user-events": ["user.online", "user.offline", "user.profile.updated", "user.banned", "user.unbanned"],
    "gochat.friend-events": [
      "friend.request.sent",
      "friend.request.accepted",
      "friend.request.rejected",
      "friend.removed",
    ],
    "gochat.conversation-events": [
      "conversation.created",
      "conversation.updated",
      "conversation.dismissed",
      "conversation.member.added",
      "conversation.member.removed",
      "conversation.member.role.updated",
      "conversation.joined.requested",
    ],
    "gochat.message-events": [
      "message.read",
      "message.recalled",
      "message.edited",
      "message.send.failed",
      "message.persist.failed",
    ],
    "gochat.notifications": ["friend.request.new", "conversation.invited", "group.announcement", "welcome"],
  } as const;

  it.for(EVENT_TOPICS)("%s carries the events of the contract, and each knows its topic", (topic, { expect }) => {
    const types = EVENTS[topic].options.map((option) => option.shape.event_type.value);
    expect(types).toEqual(CONTRACT[topic]);
    expect(types.map((type) => topicOf(type))).toEqual(types.map(() => topic));
  });

  it("of an unknown type have no topic", ({ expect }) => {
    expect(topicOf("message.unheard.of")).toBeUndefined();
    expect(topicOf("constructor")).toBeUndefined();
  });

  it("name themselves in snake_case, in the envelope and in the payload", ({ expect }) => {
    for (const topic of EVENT_TOPICS) {
      for (const option of EVENTS[topic].options) {
        const names = [...Object.keys(option.shape), ...Object.keys(option.shape.payload.shape)];
        expect(names.filter((name) => !/^[a-z]+(?:_[a-z]+)*$/.test(name))).toEqual([]);
      }
    }
  });

  it.for([
    {
      event_type: "message.read",
      conversation_id: "world_chat_room",
      user_id: U1,
      payload: { from_seq: 3, to_seq: 9 },
    },
    {
      event_type: "message.persist.failed",
      conversation_id: `single_${U1}_${U2}`,
      payload: { sender_id: U1, client_msg_id: "c-1", message_id: U2, seq_id: 4 },
    },
  ])("$event_type is accepted, and an unknown field is no error", (event, { expect }) => {
    const schema = EVENTS["gochat.message-events"];
    expect(schema.parse({ ...envelope, ...event })).toEqual({ ...envelope, ...event });
    expect(schema.safeParse({ ...envelope, ...event, of_a_newer_release: 1 }).success).toBe(true);
  });

  it.for([
    ["without an id", { event_id: undefined }],
    ["with a time that is no whole number of seconds", { timestamp: 1.5 }],
    ["without the one it is about", { user_id: undefined }],
    ["of an unknown type", { event_type: "message.unheard.of" }],
    ["with half a payload", { payload: { from_seq: 3 } }],
  ] as const)("are refused %s", ([, change], { expect }) => {
    const event = {
      ...envelope,
      event_type: "message.read",
      conversation_id: "world_chat_room",
      user_id: U1,
      payload: { from_seq: 3, to_seq: 9 },
    };
    expect(EVENTS["gochat.message-events"].safeParse(event).success).toBe(true);
    expect(EVENTS["gochat.message-events"].safeParse({ ...event, ...change }).success).toBe(false);
  });
});

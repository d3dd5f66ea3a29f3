/**
 * Events on the bus: snake_case, times in seconds. Topics, queues and bindings stand in one table;
 * names are never computed from each other. Source: DESIGN section 4 "Bus".
 */
import * as z from "zod";
import { Conversation, FriendRequest, User } from "./things.ts";

/** Kafka's topic name → queue name → binding in wrangler.toml. */
export const TOPICS = {
  "gochat.messages.upstream": { queue: "gochat-messages-upstream", binding: "Q_UPSTREAM" },
  "gochat.messages.persist": { queue: "gochat-messages-persist", binding: "Q_PERSIST" },
  "gochat.tasks.fanout": { queue: "gochat-tasks-fanout", binding: "Q_FANOUT" },
  "gochat.user-events": { queue: "gochat-user-events", binding: "Q_USER_EVENTS" },
  "gochat.friend-events": { queue: "gochat-friend-events", binding: "Q_FRIEND_EVENTS" },
  "gochat.conversation-events": {
    queue: "gochat-conversation-events",
    binding: "Q_CONVERSATION_EVENTS",
  },
  "gochat.message-events": { queue: "gochat-message-events", binding: "Q_MESSAGE_EVENTS" },
  "gochat.notifications": { queue: "gochat-notifications", binding: "Q_NOTIFICATIONS" },
} as const;

export type TopicName = keyof typeof TOPICS;

/** The topic whose queue this is, or undefined (the dead letters, a queue of a newer release). */
export function topicOfQueue(queue: string): TopicName | undefined {
  return TOPIC_NAMES.find((topic) => TOPICS[topic].queue === queue);
}

export const TOPIC_NAMES = Object.keys(TOPICS) as TopicName[];

const Id = z.string().min(1);
const Seq = z.int().min(0);

function event<Type extends string, Payload extends z.ZodType>(type: Type, payload: Payload) {
  return z
    .object({
      event_id: Id,
      event_type: z.literal(type),
      timestamp: z.int().min(0).meta({ description: "epoch seconds" }),
      user_id: Id.optional(),
      conversation_id: Id.optional(),
      operator_id: Id.optional(),
      target_user_id: Id.optional(),
      payload,
    })
    .meta({ id: type });
}

const MemberChange = z.object({
  user_id: Id,
  role: z.int(),
  joined_at: z.int().meta({ description: "epoch milliseconds, as on the wire" }),
});

/** All events by topic. A new event is one line here and a case in the topic's consumer. */
export const EVENTS = {
  "gochat.user-events": z.discriminatedUnion("event_type", [
    event("user.online", z.object({ last_seen_at: z.int() })),
    event("user.offline", z.object({ last_seen_at: z.int() })),
    event("user.profile.updated", z.object({ user: User })),
  ]),
  "gochat.friend-events": z.discriminatedUnion("event_type", [
    event("friend.request.sent", z.object({ request: FriendRequest, user: User })),
    event("friend.request.accepted", z.object({ request: FriendRequest, user: User })),
    event("friend.request.rejected", z.object({ request: FriendRequest })),
    event("friend.removed", z.object({ user_ids: z.array(Id) })),
  ]),
  "gochat.conversation-events": z.discriminatedUnion("event_type", [
    event(
      "conversation.created",
      z.object({ conversation: Conversation, member_ids: z.array(Id) }),
    ),
    event("conversation.updated", z.object({ conversation: Conversation })),
    event("conversation.dismissed", z.object({ conversation: Conversation })),
    event(
      "conversation.member.added",
      z.object({ conversation: Conversation, members: z.array(MemberChange) }),
    ),
    event(
      "conversation.member.removed",
      z.object({ user_id: Id, reason: z.enum(["removed", "left", "dismissed"]) }),
    ),
    event("conversation.member.role.updated", z.object({ user_id: Id, role: z.int() })),
    event("conversation.joined.requested", z.object({ user_id: Id, request_id: Id })),
  ]),
  "gochat.message-events": z.discriminatedUnion("event_type", [
    event("message.read", z.object({ from_seq: Seq, to_seq: Seq })),
    event("message.recalled", z.object({ message_id: Id, seq_id: Seq })),
    event("message.edited", z.object({ message_id: Id, seq_id: Seq })),
    event(
      "message.send.failed",
      z.object({ sender_id: Id, client_msg_id: Id, code: z.int() }),
    ),
    event(
      "message.persist.failed",
      z.object({ sender_id: Id, client_msg_id: Id, message_id: Id, seq_id: Seq }),
    ),
  ]),
  "gochat.notifications": z.discriminatedUnion("event_type", [
    event("friend.request.new", z.object({ request: FriendRequest })),
    event("conversation.invited", z.object({ user_ids: z.array(Id) })),
    event("group.announcement", z.object({ text: z.string() })),
    event("welcome", z.object({})),
  ]),
} as const;

export type EventTopic = keyof typeof EVENTS;
export type EventOf<Topic extends EventTopic> = z.infer<(typeof EVENTS)[Topic]>;
export type BusEvent = { [Topic in EventTopic]: EventOf<Topic> }[EventTopic];

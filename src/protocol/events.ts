/**
 * The bus: topics with their queues and bindings in one table, and the events. An event's own names are snake_case and
 * its `timestamp` is in seconds; a thing inside a payload (user, conversation, request) is the wire's thing as it is,
 * with the wire's milliseconds, so that a consumer pushes it unchanged. Source: DESIGN section 4 "Bus".
 */
import * as z from "zod";
import { ConversationId, Count, EventId, MessageId, RequestId, SeqId, TimeMs, UserId } from "./primitives.ts";
import { Content, Conversation, FriendRequest, Role, User } from "./things.ts";

// ---- topics

/** Kafka's topic → name of the queue → binding in wrangler.toml. Written out: names are never made from each other. */
export const TOPICS = {
  "gochat.messages.upstream": { queue: "gochat-messages-upstream", binding: "Q_UPSTREAM" },
  "gochat.messages.persist": { queue: "gochat-messages-persist", binding: "Q_PERSIST" },
  "gochat.tasks.fanout": { queue: "gochat-tasks-fanout", binding: "Q_FANOUT" },
  "gochat.user-events": { queue: "gochat-user-events", binding: "Q_USER_EVENTS" },
  "gochat.friend-events": { queue: "gochat-friend-events", binding: "Q_FRIEND_EVENTS" },
  "gochat.conversation-events": { queue: "gochat-conversation-events", binding: "Q_CONVERSATION_EVENTS" },
  "gochat.message-events": { queue: "gochat-message-events", binding: "Q_MESSAGE_EVENTS" },
  "gochat.notifications": { queue: "gochat-notifications", binding: "Q_NOTIFICATIONS" },
} as const;

export type TopicName = keyof typeof TOPICS;
export type QueueName = (typeof TOPICS)[TopicName]["queue"];
export const TOPIC_NAMES = Object.keys(TOPICS) as [TopicName, ...TopicName[]];

/** The way back: a queue's batch says only the queue's name. A test holds the two tables together. */
const TOPIC_OF_QUEUE = {
  "gochat-messages-upstream": "gochat.messages.upstream",
  "gochat-messages-persist": "gochat.messages.persist",
  "gochat-tasks-fanout": "gochat.tasks.fanout",
  "gochat-user-events": "gochat.user-events",
  "gochat-friend-events": "gochat.friend-events",
  "gochat-conversation-events": "gochat.conversation-events",
  "gochat-message-events": "gochat.message-events",
  "gochat-notifications": "gochat.notifications",
} as const satisfies Record<QueueName, TopicName>;

/** Where every queue's messages end that nobody could handle. No topic: nothing publishes to it by name. */
export const DEAD_LETTER_QUEUE = "gochat-dead-letters";

/** The topic whose queue this is, or undefined (the dead letters, a queue of a newer release). */
export function topicOfQueue(queue: string): TopicName | undefined {
  return isQueueName(queue) ? TOPIC_OF_QUEUE[queue] : undefined;
}

function isQueueName(queue: string): queue is QueueName {
  return Object.hasOwn(TOPIC_OF_QUEUE, queue);
}

// ---- events

/** Who and what an event is about, beside its payload. */
type Subject = { [Key in "user_id" | "conversation_id" | "operator_id" | "target_user_id"]?: z.ZodType<string> };

function event<Type extends string, Parts extends Subject, Payload extends z.ZodRawShape>(
  type: Type,
  subject: Parts,
  payload: Payload,
) {
  return z
    .object({
      event_id: EventId,
      event_type: z.literal(type),
      timestamp: Count.meta({ description: "Epoch seconds" }),
      ...subject,
      payload: z.object(payload),
    })
    .meta({ id: type });
}

const byUser = { user_id: UserId };
const byAdmin = { user_id: UserId, operator_id: UserId };
const betweenUsers = { user_id: UserId, target_user_id: UserId };
const inConversation = { conversation_id: ConversationId };
const byOperator = { conversation_id: ConversationId, operator_id: UserId };
const byReader = { conversation_id: ConversationId, user_id: UserId };

/** When it was made: what is pushed of it shows that in milliseconds. */
const at = TimeMs.optional().meta({ description: "The time of `timestamp` in milliseconds" });

const NewMember = z.object({ user_id: UserId, role: Role, joined_at: TimeMs });
const place = { message_id: MessageId, seq_id: SeqId };
const sender = { sender_id: UserId, client_msg_id: z.string() };

/** All events by topic. A new event is one entry here and a case in the topic's consumer. */
export const EVENTS = {
  "gochat.user-events": z.discriminatedUnion("event_type", [
    event("user.online", byUser, { last_seen_at: TimeMs }),
    event("user.offline", byUser, { last_seen_at: TimeMs }),
    event("user.profile.updated", byUser, { user: User }),
    // By an admin, at that time.
    event("user.banned", byAdmin, { at: TimeMs }),
    event("user.unbanned", byAdmin, { at: TimeMs }),
  ]),
  // `user_id` is the one who acts; `user` is their profile.
  "gochat.friend-events": z.discriminatedUnion("event_type", [
    event("friend.request.sent", betweenUsers, { request: FriendRequest, user: User }),
    event("friend.request.accepted", betweenUsers, { request: FriendRequest, user: User }),
    event("friend.request.rejected", betweenUsers, { request: FriendRequest }),
    event("friend.removed", betweenUsers, { user_ids: z.array(UserId).min(2).max(2) }),
  ]),
  "gochat.conversation-events": z.discriminatedUnion("event_type", [
    event("conversation.created", byOperator, { conversation: Conversation, member_ids: z.array(UserId) }),
    event("conversation.updated", byOperator, { conversation: Conversation }),
    event("conversation.dismissed", byOperator, { conversation: Conversation }),
    event("conversation.member.added", byOperator, { conversation: Conversation, members: z.array(NewMember) }),
    event("conversation.member.removed", byOperator, {
      user_id: UserId,
      reason: z.enum(["removed", "left", "dismissed"]),
    }),
    event("conversation.member.role.updated", byOperator, { user_id: UserId, role: Role }),
    event("conversation.joined.requested", byOperator, { user_id: UserId, request_id: RequestId }),
  ]),
  "gochat.message-events": z.discriminatedUnion("event_type", [
    // From (exclusive) and to (inclusive) which sequence the reader has now read.
    event("message.read", byReader, { from_seq: SeqId, to_seq: SeqId }),
    event("message.recalled", byOperator, place),
    event("message.edited", byOperator, { ...place, content: Content, edited_at: TimeMs }),
    event("message.send.failed", inConversation, { ...sender, code: z.int() }),
    event("message.persist.failed", inConversation, { ...sender, ...place }),
  ]),
  // What a push service would send to `target_user_id`.
  "gochat.notifications": z.discriminatedUnion("event_type", [
    event("friend.request.new", betweenUsers, { request: FriendRequest }),
    event("conversation.invited", byOperator, { user_ids: z.array(UserId) }),
    event("group.announcement", byOperator, { text: z.string(), at }),
    event("welcome", byUser, { at }),
  ]),
} as const satisfies { [Topic in TopicName]?: z.ZodType };

export type EventTopic = keyof typeof EVENTS;
/** Any event of a topic. */
export type EventOf<Topic extends EventTopic> = z.infer<(typeof EVENTS)[Topic]>;
/** Any event at all. */
export type BusEvent = { [Topic in EventTopic]: EventOf<Topic> }[EventTopic];
export type EventType = BusEvent["event_type"];
/** The event of this type. */
export type EventOfType<Type extends EventType> = Extract<BusEvent, { event_type: Type }>;

export const EVENT_TOPICS = Object.keys(EVENTS) as [EventTopic, ...EventTopic[]];

const TOPIC_OF_EVENT: ReadonlyMap<string, EventTopic> = new Map(
  EVENT_TOPICS.flatMap((topic) =>
    EVENTS[topic].options.map((option) => [option.shape.event_type.value, topic] as const),
  ),
);

/** The topic on which events of this type travel, or undefined for an unknown type. */
export function topicOf(eventType: EventType): EventTopic;
export function topicOf(eventType: string): EventTopic | undefined;
export function topicOf(eventType: string): EventTopic | undefined {
  return TOPIC_OF_EVENT.get(eventType);
}

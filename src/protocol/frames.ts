/**
 * Frames of the sockets, both directions: `{type, data}`, one schema for each, and the types from them. The parser of
 * what clients send is in parseFrame.ts. Source: DESIGN section 4 "WebSocket", WIRE "Frames".
 */
import * as z from "zod";
import { FRAME_ID_LIMIT, HEADS_LIMIT, USER_IDS_LIMIT } from "./limits.ts";
import { ConversationId, Count, Cursor, EventId, MessageId, RequestId, SeqId, TimeMs, UserId } from "./primitives.ts";
import {
  Conversation,
  FriendRequest,
  JoinRequest,
  Member,
  Message,
  Role,
  SendData,
  SyncResult,
  User,
  WireError,
} from "./things.ts";

export { SyncResult } from "./things.ts";
export { parseClientFrame, type ParsedFrame } from "./parseFrame.ts";

/** The one ping that wakes nobody, and its answer, byte for byte. Source: DESIGN section 4. */
export const PING_TEXT = '{"type":"ping"}';
export const PONG_TEXT = '{"type":"pong"}';

// ---- client → server

/** A client's own name for a frame: its error or answer carries it as `ref`. */
export const FrameId = z
  .string()
  .max(FRAME_ID_LIMIT)
  .refine((text) => text.isWellFormed(), { error: "must be well-formed Unicode" });

/**
 * What the client knows of each conversation: the last sequence, the version for changes of known messages, and how far its user has
 * read, for what they read on another device.
 */
export const Heads = z
  .record(
    ConversationId,
    z.union([SeqId, z.object({ seqId: SeqId, version: Count.optional(), readSeqId: SeqId.optional() })]),
  )
  .refine((heads) => Object.keys(heads).length <= HEADS_LIMIT, { error: `at most ${HEADS_LIMIT} conversations` })
  .meta({ maxProperties: HEADS_LIMIT });
export type Heads = z.infer<typeof Heads>;

export const SyncRequest = z.object({ heads: Heads, cursor: Cursor.optional() }).meta({ id: "SyncRequest" });
export type SyncRequest = z.infer<typeof SyncRequest>;

const Subscription = z
  .object({
    conversationId: ConversationId.optional().meta({ description: "A big room, on this socket" }),
    presence: z.array(UserId).max(USER_IDS_LIMIT).optional().meta({ description: "Friends, beyond the pushes" }),
  })
  .refine((data) => data.conversationId !== undefined || data.presence !== undefined, {
    error: "must name a conversationId or presence",
  })
  .meta({ id: "Subscription" });

/** The data of each client frame, by type. A new frame is one line here and a handler in `UserSession`. */
export const CLIENT_FRAMES = {
  "send-message": SendData,
  "mark-read": z.object({ conversationId: ConversationId, seqId: SeqId }),
  typing: z.object({ conversationId: ConversationId }),
  sync: SyncRequest,
  subscribe: Subscription,
  unsubscribe: Subscription,
  ping: z.unknown(),
} as const;

export type ClientFrameType = keyof typeof CLIENT_FRAMES;
export type ClientFrameOf<Type extends ClientFrameType> = Type extends "ping"
  ? { type: Type; data?: unknown; id?: string }
  : { type: Type; data: z.infer<(typeof CLIENT_FRAMES)[Type]>; id?: string };
export type ClientFrame = { [Type in ClientFrameType]: ClientFrameOf<Type> }[ClientFrameType];

// ---- server → client

const OneConversation = z.object({ conversation: Conversation });
const Stored = z.object({
  clientMsgId: z.string(),
  conversationId: ConversationId,
  messageId: MessageId,
  seqId: SeqId,
});

const Notification = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("welcome"), eventId: EventId, createdAt: TimeMs.optional() }),
  z.object({
    kind: z.literal("announcement"),
    eventId: EventId,
    text: z.string(),
    conversationId: ConversationId.optional().meta({ description: "Absent: to everyone" }),
    createdAt: TimeMs.optional(),
  }),
  z.object({
    kind: z.literal("join-request"),
    eventId: EventId,
    conversationId: ConversationId,
    request: JoinRequest,
    createdAt: TimeMs.optional(),
  }),
]);
export type Notification = z.infer<typeof Notification>;

/** Of the client frame that is answered. Source: WIRE "Frames". */
const Ref = z.string().optional().meta({ description: "`id` of the frame that this answers" });

/** Frames of changes may overtake each other. */
const ChangeVersion = Count.optional().meta({
  description: "Of the conversation after the change: of two about the same thing the higher one is the newer",
});

/** The data of each server frame, by type. Clients ignore types and fields that they do not know. */
export const SERVER_FRAMES = {
  connected: z.object({
    userId: UserId,
    deviceId: z.string(),
    serverTime: TimeMs,
    heartbeatSeconds: z.int().min(1),
  }),
  "message-ack": z.object({
    clientMsgId: z.string(),
    conversationId: ConversationId,
    status: z.enum(["sending", "sent"]).meta({ description: "`sent`: durable and in its place in the order" }),
    messageId: MessageId.optional(),
    seqId: SeqId.optional(),
    createdAt: TimeMs.optional(),
    ref: Ref,
  }),
  "message-confirmed": Stored,
  "message-persist-failed": Stored,
  "message-error": z.object({ clientMsgId: z.string(), conversationId: z.string(), error: WireError, ref: Ref }),
  "new-message": z.object({ message: Message }),
  "new-messages": z.object({ messages: z.array(Message) }),
  "message-updated": z.object({
    message: Message.meta({ description: "Without reactions: they stay as they are known" }),
    version: ChangeVersion,
  }),
  "message-recalled": z.object({
    conversationId: ConversationId,
    messageId: MessageId,
    seqId: SeqId,
    operatorId: UserId,
    recalledAt: TimeMs.optional(),
    version: ChangeVersion,
  }),
  "message-reaction": z.object({
    conversationId: ConversationId,
    messageId: MessageId,
    seqId: SeqId,
    emoji: z.string(),
    userId: UserId,
    added: z.boolean(),
    count: Count,
    version: ChangeVersion,
  }),
  "message-read-receipt": z.object({ conversationId: ConversationId, userId: UserId, readSeqId: SeqId }),
  typing: z.object({ conversationId: ConversationId, userId: UserId }),
  "friend-request": z.object({ request: FriendRequest, user: User }),
  "friend-accepted": z.object({ request: FriendRequest, user: User, conversation: Conversation }),
  "friend-rejected": z.object({ requestId: RequestId }),
  "friend-removed": z.object({ userId: UserId }),
  "friend-online": z.object({ userId: UserId }),
  "friend-offline": z.object({
    userId: UserId,
    lastSeenAt: TimeMs.optional().meta({ description: "Absent of who was never here" }),
  }),
  "conversation-created": OneConversation,
  "conversation-joined": OneConversation,
  "conversation-updated": OneConversation.extend({
    settings: z
      .object({ muted: z.boolean(), pinned: z.boolean() })
      .optional()
      .meta({ description: "Own settings, changed on another device" }),
  }),
  "conversation-removed": z.object({
    conversationId: ConversationId,
    reason: z.enum(["removed", "left", "dismissed"]),
  }),
  "member-added": z.object({ conversationId: ConversationId, members: z.array(Member), operatorId: UserId }),
  "member-removed": z.object({ conversationId: ConversationId, userId: UserId, operatorId: UserId }),
  "role-updated": z.object({ conversationId: ConversationId, role: Role }),
  "member-role-changed": z.object({ conversationId: ConversationId, userId: UserId, role: Role }),
  notification: Notification,
  "sync-result": SyncResult.extend({ ref: Ref }),
  "session-replaced": z.object({}),
  error: z.object({
    error: WireError,
    ref: z.string().optional().meta({ description: "`id` of the frame that was refused" }),
  }),
  pong: z.undefined(),
  room: z.object({ conversationId: ConversationId, headSeqId: SeqId, fromSeqId: SeqId }),
} as const;

export type ServerFrameType = keyof typeof SERVER_FRAMES;
export type ServerFrameOf<Type extends ServerFrameType> = Type extends "pong"
  ? { type: Type; ref?: string }
  : {
      type: Type;
      data: z.infer<(typeof SERVER_FRAMES)[Type]>;
      /** `id` of the client frame that this answers. */
      ref?: string;
    };
export type ServerFrame = { [Type in ServerFrameType]: ServerFrameOf<Type> }[ServerFrameType];

/** Server frames of `/ws/rooms/{id}`; all others are of `/ws`. */
export const ROOM_SOCKET_FRAMES = [
  "room",
  "new-messages",
  "message-updated",
  "message-recalled",
  "message-reaction",
  "error",
  "pong",
] as const satisfies ServerFrameType[];

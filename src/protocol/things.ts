/**
 * The things on the wire: schemas, and the types from them. Validation, `/openapi.json`, the
 * AsyncAPI document and the SDK's types all come from here. Source: WIRE "Things".
 */
import * as z from "zod";
import {
  ANNOUNCEMENT_LIMIT_CODE_POINTS,
  BIO_LIMIT_CODE_POINTS,
  FRIEND_MESSAGE_LIMIT_CODE_POINTS,
  MAX_MEMBERS_LIMIT,
  MENTIONS_LIMIT,
  NAME_LIMIT_CODE_POINTS,
  TEXT_LIMIT_CODE_POINTS,
} from "./limits.ts";

/** Code points, counted only when the cheap length cannot decide. */
function codePointsAtMost(text: string, limit: number): boolean {
  return text.length <= limit || (text.length <= 2 * limit && Array.from(text).length <= limit);
}

/** Text that people read: whole characters, something to see, at most `limit` code points. */
function text(limit: number) {
  return z
    .string()
    .refine(
      (value) =>
        codePointsAtMost(value, limit) && value.isWellFormed() && value.trim().length > 0,
      { message: `1 to ${limit} characters, not only white space` },
    )
    .meta({ minLength: 1, maxLength: 2 * limit });
}

/** As `text`, and without control characters: names stand in one line. */
function name(limit: number) {
  return text(limit).refine((value) => !/\p{Cc}/u.test(value), {
    message: "no control characters",
  });
}

// ---- ids

const ULID = "[0-9A-HJKMNP-TV-Z]{26}";
export const UserId = z.string().regex(new RegExp(`^${ULID}$`)).meta({ id: "UserId" });
export const MessageId = z.string().regex(new RegExp(`^${ULID}$`)).meta({ id: "MessageId" });
export const RequestId = z.string().regex(new RegExp(`^${ULID}$`)).meta({ id: "FriendRequestId" });
export const ConversationId = z
  .string()
  .regex(new RegExp(`^(?:single_${ULID}_${ULID}|group_${ULID}|world_chat_room)$`))
  .meta({ id: "ConversationId" });
export const ClientMsgId = z
  .string()
  .regex(/^[A-Za-z0-9_.:-]{1,64}$/)
  .meta({ id: "ClientMsgId" });
export const DeviceId = z
  .string()
  .regex(/^[A-Za-z0-9_.:-]{1,64}$/)
  .meta({ id: "DeviceId" });
export const SeqId = z.int().min(0).meta({ id: "SeqId" });
export const TimeMs = z.int().min(0).meta({ description: "epoch milliseconds" });

// ---- users and devices

export const Username = z
  .string()
  .regex(/^[a-z0-9_.-]{3,32}$/i)
  .meta({ id: "Username", description: "3–32 of a–z 0–9 _ . -, unique without case" });
export const DisplayName = name(NAME_LIMIT_CODE_POINTS);
export const AvatarUrl = z.string().max(2_048).refine((value) => value.isWellFormed());
export const Bio = text(BIO_LIMIT_CODE_POINTS);

export const User = z
  .object({
    userId: UserId,
    username: z.string(),
    displayName: z.string(),
    avatarUrl: z.string().optional(),
    bio: z.string().optional(),
    isGuest: z.boolean(),
    role: z.enum(["user", "admin"]),
    createdAt: TimeMs,
  })
  .meta({ id: "User" });
export type User = z.infer<typeof User>;

export const SelfUser = User.extend({
  email: z.string().optional(),
  status: z.enum(["active", "banned"]).optional(),
}).meta({ id: "SelfUser", description: "as the user and admins see it" });
export type SelfUser = z.infer<typeof SelfUser>;

export const DeviceKind = z.enum(["web", "ios", "android", "desktop", "bot"]);
export const Device = z
  .object({
    deviceId: DeviceId,
    kind: DeviceKind,
    name: z.string().optional(),
    createdAt: TimeMs,
    lastSeenAt: TimeMs,
    online: z.boolean(),
    current: z.boolean(),
  })
  .meta({ id: "Device" });
export type Device = z.infer<typeof Device>;

// ---- conversations

export const ConversationType = z
  .union([z.literal(1), z.literal(2), z.literal(3)])
  .meta({ description: "1 direct, 2 group, 3 world" });
export const Role = z
  .union([z.literal(1), z.literal(2), z.literal(3)])
  .meta({ description: "1 member, 2 admin, 3 owner" });
export const GroupName = name(NAME_LIMIT_CODE_POINTS);
export const Announcement = text(ANNOUNCEMENT_LIMIT_CODE_POINTS);
export const MaxMembers = z.int().min(2).max(MAX_MEMBERS_LIMIT);

export const Conversation = z
  .object({
    conversationId: ConversationId,
    type: ConversationType,
    name: z.string().optional(),
    avatarUrl: z.string().optional(),
    announcement: z.string().optional(),
    ownerId: z.string().optional(),
    memberCount: z.int().min(0),
    maxMembers: z.int().min(0),
    joinApproval: z.boolean(),
    muteAll: z.boolean(),
    headSeqId: SeqId,
    version: z.int().min(0),
    createdAt: TimeMs,
    updatedAt: TimeMs,
    dismissedAt: TimeMs.optional(),
  })
  .meta({ id: "Conversation" });
export type Conversation = z.infer<typeof Conversation>;

export const Member = z
  .object({
    userId: UserId,
    displayName: z.string(),
    avatarUrl: z.string().optional(),
    role: Role,
    joinedAt: TimeMs,
    mutedUntil: TimeMs.optional(),
    online: z.boolean().optional(),
  })
  .meta({ id: "Member" });
export type Member = z.infer<typeof Member>;

// ---- messages

export const TextContent = text(TEXT_LIMIT_CODE_POINTS);
const FileName = name(255);
const AttachmentKey = z.string().regex(/^[A-Za-z0-9_.\-/]{1,256}$/);
const MimeType = z.string().regex(/^[a-z0-9.+-]+\/[a-z0-9.+-]+$/i).max(127);
const Bytes = z.int().min(0);
export const ImageContent = z
  .object({
    key: AttachmentKey,
    width: z.int().min(1).max(100_000),
    height: z.int().min(1).max(100_000),
    size: Bytes,
    mimeType: MimeType,
    name: FileName.optional(),
  })
  .meta({ id: "ImageContent" });
export const FileContent = z
  .object({ key: AttachmentKey, name: FileName, size: Bytes, mimeType: MimeType })
  .meta({ id: "FileContent" });
export const Content = z.union([TextContent, ImageContent, FileContent]).meta({ id: "Content" });
export type Content = z.infer<typeof Content>;
export const MessageType = z.enum(["text", "image", "file", "system"]);
export type MessageType = z.infer<typeof MessageType>;

export const ReplyRef = z
  .object({ messageId: MessageId, seqId: SeqId, senderId: UserId, preview: z.string() })
  .meta({ id: "ReplyRef" });

export const Message = z
  .object({
    messageId: MessageId,
    conversationId: ConversationId,
    seqId: SeqId,
    senderId: UserId,
    messageType: MessageType,
    content: z
      .union([z.string(), ImageContent, FileContent])
      .optional()
      .meta({ description: "absent when recalled" }),
    createdAt: TimeMs,
    clientMsgId: z.string().optional().meta({ description: "to the sender only" }),
    replyTo: ReplyRef.optional(),
    mentions: z.array(UserId).optional(),
    reactions: z
      .array(z.object({ emoji: z.string(), count: z.int(), mine: z.boolean() }))
      .optional(),
    editedAt: TimeMs.optional(),
    recalledAt: TimeMs.optional(),
  })
  .meta({ id: "Message" });
export type Message = z.infer<typeof Message>;

/**
 * What a send says, over the socket and over REST. One object for all message types: a union would
 * try each arm on the hot path.
 */
export const SendBody = z
  .object({
    clientMsgId: ClientMsgId,
    messageType: MessageType,
    content: z.unknown(),
    replyTo: MessageId.optional(),
    mentions: z.array(UserId).max(MENTIONS_LIMIT).optional(),
  })
  .superRefine((body, context) => {
    const schema = CONTENT_OF[body.messageType];
    const parsed = schema.safeParse(body.content);
    if (!parsed.success) {
      for (const issue of parsed.error.issues) {
        context.addIssue({
          code: "custom",
          path: ["content", ...issue.path],
          message: issue.message,
        });
      }
    }
  })
  .transform((body) => ({ ...body, content: body.content as Content }))
  .meta({ id: "SendBody" });

/** The schema of the content of each message type. */
export const CONTENT_OF = {
  text: TextContent,
  system: TextContent,
  image: ImageContent,
  file: FileContent,
} as const;

export const ListItem = z
  .object({
    conversation: Conversation,
    lastMessage: Message.optional(),
    unreadCount: z.int().min(0),
    readSeqId: SeqId,
    role: Role,
    muted: z.boolean(),
    pinned: z.boolean(),
    peer: User.optional(),
  })
  .meta({ id: "ListItem" });
export type ListItem = z.infer<typeof ListItem>;

// ---- friends, invites

export const FriendRequestMessage = text(FRIEND_MESSAGE_LIMIT_CODE_POINTS);
export const FriendRequest = z
  .object({
    requestId: RequestId,
    requesterId: UserId,
    targetUserId: UserId,
    message: z.string().optional(),
    status: z.enum(["pending", "accepted", "rejected"]),
    createdAt: TimeMs,
    updatedAt: TimeMs,
  })
  .meta({ id: "FriendRequest" });
export type FriendRequest = z.infer<typeof FriendRequest>;

export const WireErrorSchema = z
  .object({
    code: z.int(),
    name: z.string(),
    message: z.string(),
    requestId: z.string(),
    retry: z.enum(["never", "same", "later"]),
    retryAfterMs: z.int().optional(),
    fields: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: "Error" });

/** One entry of a `sync` answer. */
export const SyncedConversation = ListItem.extend({
  messages: z.array(Message),
  hasMore: z.boolean(),
  updated: z.array(Message),
}).meta({ id: "SyncedConversation" });
export type SyncedConversation = z.infer<typeof SyncedConversation>;

/**
 * The things on the wire: schemas, and the types from them. Validation, `/openapi.json`, the AsyncAPI document and the
 * SDK's types all come from here. Times are epoch milliseconds. Source: WIRE "Things".
 *
 * What comes in is strict (`…Body` and the named texts); what goes out is described, and may gain fields at any time.
 */
import * as z from "zod";
import { ERROR_NAMES } from "./errors.ts";
import {
  ANNOUNCEMENT_LIMIT_CODE_POINTS,
  BIO_LIMIT_CODE_POINTS,
  FILE_NAME_LIMIT_CODE_POINTS,
  FRIEND_MESSAGE_LIMIT_CODE_POINTS,
  MAX_MEMBERS_LIMIT,
  MENTIONS_LIMIT,
  MIN_MEMBERS_LIMIT,
  SYNC_MESSAGES_LIMIT,
  TEXT_LIMIT_CODE_POINTS,
} from "./limits.ts";
import {
  AttachmentKey,
  ClientMsgId,
  ConversationId,
  Count,
  Cursor,
  DeviceId,
  InviteCode,
  lineText,
  MessageId,
  messageText,
  proseText,
  RequestId,
  SeqId,
  TimeMs,
  UserId,
} from "./primitives.ts";

// ---- users and devices

export const DisplayName = lineText();
export const Bio = proseText(BIO_LIMIT_CODE_POINTS);
export const UserRole = z.enum(["user", "admin"]).meta({ description: "Of the account, not in a conversation" });

export const User = z
  .object({
    userId: UserId,
    username: z.string(),
    displayName: z.string(),
    avatarUrl: z.string().optional(),
    bio: z.string().optional(),
    isGuest: z.boolean(),
    role: UserRole,
    createdAt: TimeMs,
  })
  .meta({ id: "User", description: "A user as everybody may see them" });
export type User = z.infer<typeof User>;

export const SelfUser = User.extend({
  email: z.string().optional(),
  status: z.enum(["active", "banned"]).optional(),
}).meta({ id: "SelfUser", description: "A user as they themselves and admins see them" });
export type SelfUser = z.infer<typeof SelfUser>;

export const DeviceKind = z.enum(["web", "ios", "android", "desktop", "bot"]);
export type DeviceKind = z.infer<typeof DeviceKind>;

export const Device = z
  .object({
    deviceId: DeviceId,
    kind: DeviceKind,
    name: z.string().optional(),
    createdAt: TimeMs,
    lastSeenAt: TimeMs,
    online: z.boolean(),
    current: z.boolean().meta({ description: "The device that asks" }),
  })
  .meta({ id: "Device", description: "A signed-in device of a user" });
export type Device = z.infer<typeof Device>;

// ---- conversations

// The values are said once more, because the generator of the document takes only the first of several literals.
export const ConversationType = z
  .literal([1, 2, 3])
  .meta({ type: "integer", enum: [1, 2, 3], description: "1 direct, 2 group, 3 world" });
export const Role = z
  .literal([1, 2, 3])
  .meta({ type: "integer", enum: [1, 2, 3], description: "1 member, 2 admin, 3 owner" });
export const GroupName = lineText();
export const Announcement = proseText(ANNOUNCEMENT_LIMIT_CODE_POINTS);
export const MaxMembers = z.int().min(MIN_MEMBERS_LIMIT).max(MAX_MEMBERS_LIMIT);

export const Conversation = z
  .object({
    conversationId: ConversationId,
    type: ConversationType,
    name: z.string().optional(),
    avatarUrl: z.string().optional(),
    announcement: z.string().optional(),
    ownerId: UserId.optional(),
    memberCount: Count,
    maxMembers: Count,
    joinApproval: z.boolean(),
    muteAll: z.boolean(),
    headSeqId: SeqId,
    version: Count.meta({ description: "Grows with every change of anything in the conversation" }),
    createdAt: TimeMs,
    updatedAt: TimeMs,
    dismissedAt: TimeMs.optional(),
  })
  .meta({ id: "Conversation", description: "A direct conversation, a group or the world room" });
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
  .meta({ id: "Member", description: "A member of a conversation" });
export type Member = z.infer<typeof Member>;

// ---- messages

export const TextContent = messageText(TEXT_LIMIT_CODE_POINTS);
const FileName = lineText(FILE_NAME_LIMIT_CODE_POINTS);
/** The upload decides which types are allowed; here only that it is one. Lengths: RFC 6838 section 4.2. */
const MimeType = z
  .string()
  .regex(/^[a-z0-9][a-z0-9!#$&^_.+-]{0,63}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}$/, "is not a media type");
const Bytes = z.int().min(1).meta({ description: "Bytes" });
/** Pixels of one side: the most that PNG, JPEG and WebP decoders handle in common. */
const Pixels = z.int().min(1).max(65_535).meta({ description: "Pixels" });

export const ImageContent = z
  .object({
    key: AttachmentKey,
    width: Pixels,
    height: Pixels,
    size: Bytes,
    mimeType: MimeType,
    name: FileName.optional(),
  })
  .meta({ id: "ImageContent" });
export const FileContent = z
  .object({ key: AttachmentKey, name: FileName, size: Bytes, mimeType: MimeType })
  .meta({ id: "FileContent" });
/** In this order: an image would pass as a file and lose its width and height. */
export const Content = z
  .union([TextContent, ImageContent, FileContent])
  .meta({ id: "Content", description: "A text for `text` and `system`, else the attachment" });
export type Content = z.infer<typeof Content>;

export const MessageType = z.enum(["text", "image", "file", "system"]);
export type MessageType = z.infer<typeof MessageType>;

/** The schema of the content of each message type. */
export const CONTENT_OF = {
  text: TextContent,
  system: TextContent,
  image: ImageContent,
  file: FileContent,
} as const satisfies Record<MessageType, z.ZodType>;

export const ReplyRef = z
  .object({ messageId: MessageId, seqId: SeqId, senderId: UserId, preview: z.string() })
  .meta({ id: "ReplyRef", description: "The message that this one answers" });

export const Reaction = z.object({ emoji: z.string(), count: Count, mine: z.boolean() }).meta({ id: "Reaction" });
export type Reaction = z.infer<typeof Reaction>;

export const Message = z
  .object({
    messageId: MessageId,
    conversationId: ConversationId,
    seqId: SeqId,
    senderId: UserId,
    messageType: MessageType,
    content: Content.optional().meta({ description: "Absent in a recalled message" }),
    createdAt: TimeMs,
    clientMsgId: z.string().optional().meta({ description: "Only to the sender" }),
    replyTo: ReplyRef.optional(),
    mentions: z.array(UserId).optional(),
    reactions: z.array(Reaction).optional(),
    editedAt: TimeMs.optional(),
    recalledAt: TimeMs.optional(),
  })
  .meta({ id: "Message" });
export type Message = z.infer<typeof Message>;

const sendFields = {
  clientMsgId: ClientMsgId,
  replyTo: MessageId.optional(),
  mentions: z.array(UserId).max(MENTIONS_LIMIT).optional(),
};

/** Whether the sender may send a `system` message is the room's decision, not the schema's. */
const SendText = z.object({ ...sendFields, messageType: z.enum(["text", "system"]), content: TextContent });
const SendImage = z.object({ ...sendFields, messageType: z.literal("image"), content: ImageContent });
const SendFile = z.object({ ...sendFields, messageType: z.literal("file"), content: FileContent });

/** What a send says over REST, where the path names the conversation. */
export const SendBody = z
  .discriminatedUnion("messageType", [SendText, SendImage, SendFile])
  .meta({ id: "SendBody", description: "A message to send" });
export type SendBody = z.infer<typeof SendBody>;

/** What a send says over the socket. */
const toConversation = { conversationId: ConversationId };
export const SendData = z
  .discriminatedUnion("messageType", [
    SendText.extend(toConversation),
    SendImage.extend(toConversation),
    SendFile.extend(toConversation),
  ])
  .meta({ id: "SendData", description: "A message to send, with its conversation" });
export type SendData = z.infer<typeof SendData>;

export const Edit = z
  .object({ content: Content, editedAt: TimeMs })
  .meta({ id: "Edit", description: "An earlier version" });
export type Edit = z.infer<typeof Edit>;

export const ListItem = z
  .object({
    conversation: Conversation,
    lastMessage: Message.optional(),
    unreadCount: Count,
    readSeqId: SeqId,
    role: Role,
    muted: z.boolean(),
    pinned: z.boolean(),
    peer: User.optional().meta({ description: "The other one of a direct conversation" }),
  })
  .meta({ id: "ListItem", description: "A conversation as one of its members has it in the list" });
export type ListItem = z.infer<typeof ListItem>;

export const SyncedConversation = ListItem.extend({
  messages: z.array(Message).meta({ description: `At most ${SYNC_MESSAGES_LIMIT} after the known head, ascending` }),
  hasMore: z.boolean().meta({ description: "There are more: page with `after`" }),
  changesUpTo: Count.optional().meta({
    description: "Version up to which changes are in this answer, where it is not that of the conversation",
  }),
  updated: z.array(Message).meta({ description: "Known messages that changed since the known version" }),
}).meta({ id: "SyncedConversation", description: "What a client missed of one conversation" });
export type SyncedConversation = z.infer<typeof SyncedConversation>;

/** Marks answers made while a dependency is down. Source: DESIGN section 4. */
export const degraded = z.boolean().optional().meta({ description: "Made while a dependency was down" });

/** The answer to one `sync`, as a frame's data and over REST. */
export const SyncResult = z
  .object({
    conversations: z.array(SyncedConversation),
    removed: z.array(ConversationId),
    nextCursor: Cursor.nullable(),
    serverTime: TimeMs,
    degraded,
  })
  .meta({ id: "SyncResult" });
export type SyncResult = z.infer<typeof SyncResult>;

// ---- friends, invites

export const FriendRequestMessage = proseText(FRIEND_MESSAGE_LIMIT_CODE_POINTS);
const Decision = z.enum(["pending", "accepted", "rejected"]);

export const FriendRequest = z
  .object({
    requestId: RequestId,
    requesterId: UserId,
    targetUserId: UserId,
    message: z.string().optional(),
    status: Decision,
    createdAt: TimeMs,
    updatedAt: TimeMs,
  })
  .meta({ id: "FriendRequest" });
export type FriendRequest = z.infer<typeof FriendRequest>;

export const Invite = z
  .object({
    code: InviteCode,
    conversationId: ConversationId,
    expiresAt: TimeMs,
    maxUses: Count.optional(),
    uses: Count,
    createdBy: UserId,
  })
  .meta({ id: "Invite", description: "An invite link of a group" });
export type Invite = z.infer<typeof Invite>;

export const JoinRequest = z
  .object({
    requestId: RequestId,
    conversationId: ConversationId,
    userId: UserId,
    user: User.optional(),
    status: Decision,
    createdAt: TimeMs,
    updatedAt: TimeMs,
  })
  .meta({ id: "JoinRequest", description: "Somebody who wants to join a group with `joinApproval`" });
export type JoinRequest = z.infer<typeof JoinRequest>;

// ---- errors and lists

export const WireError = z
  .object({
    code: z.int(),
    name: z.enum(ERROR_NAMES),
    message: z.string(),
    requestId: z.string(),
    retry: z.enum(["never", "same", "later"]),
    retryAfterMs: z.int().min(1).optional().meta({ description: "Always there with `later`" }),
    fields: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: "Error", description: "docs/errors.md lists them" });
export type WireError = z.infer<typeof WireError>;

/** Body of every refused REST call. */
export const ErrorBody = z.object({ error: WireError }).meta({ id: "ErrorBody" });
export type ErrorBody = z.infer<typeof ErrorBody>;

/** A list answer. @param id component name in the generated documents */
export function listOf<Item extends z.ZodType>(item: Item, id: string) {
  return z.object({ items: z.array(item), nextCursor: Cursor.nullable(), degraded }).meta({ id });
}

/** What every list answers with. */
export type List<Item> = { items: Item[]; nextCursor: string | null; degraded?: boolean };

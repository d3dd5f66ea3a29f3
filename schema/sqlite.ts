/**
 * The SQL schema for D1 (SQLite). Every table here is expressible in MySQL without change of meaning: no RETURNING,
 * no partial index, no foreign key (a table rebuild on D1 would cascade-delete the children, drizzle-orm#3065, and Vitess
 * shards have none). Where a rule wants "unique while pending", a nullable key column with a plain unique index carries it:
 * both dialects allow many NULLs.
 *
 * Conventions: ids are strings; every `*_at` and `*_until` is epoch milliseconds; booleans are 0/1; `log_id` is the
 * counter of the room that wrote the row, and the higher one wins, so that a record applied twice or late changes nothing.
 */
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";

/** Accounts. `username_lower` and `email_lower` carry the uniqueness "without case" (collations differ by dialect). */
export const users = sqliteTable(
  "users",
  {
    userId: text("user_id").primaryKey(),
    username: text("username").notNull(),
    usernameLower: text("username_lower").notNull(),
    email: text("email"),
    emailLower: text("email_lower"),
    /** PHC string of src/platform/passwords.ts; NULL for guests, who have no password. */
    passwordHash: text("password_hash"),
    displayName: text("display_name").notNull(),
    displayNameLower: text("display_name_lower").notNull(),
    avatarUrl: text("avatar_url"),
    bio: text("bio"),
    isGuest: integer("is_guest").notNull().default(0),
    role: text("role").notNull().default("user"),
    bannedAt: integer("banned_at"),
    /** When the user was last seen going offline. */
    lastSeenAt: integer("last_seen_at"),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
  },
  (t) => [
    uniqueIndex("users_username_lower").on(t.usernameLower),
    uniqueIndex("users_email_lower").on(t.emailLower),
    index("users_display_name_lower").on(t.displayNameLower, t.usernameLower),
  ],
);

/**
 * Friend requests. `pair_key` is `{a}:{b}` with sorted ids; `pending_key` equals it while the request waits and is NULL
 * afterwards, so that two crossing requests collide on the unique index. `op_id` names the operation of the last
 * change: later statements of the same batch apply only where it is theirs. `suppressed` = 1: the target has blocked
 * the requester, who sees a pending request like any other; the target sees nothing.
 */
export const friendshipRequests = sqliteTable(
  "friendship_requests",
  {
    requestId: text("request_id").primaryKey(),
    requesterId: text("requester_id").notNull(),
    targetUserId: text("target_user_id").notNull(),
    message: text("message"),
    status: text("status").notNull(),
    pairKey: text("pair_key").notNull(),
    pendingKey: text("pending_key"),
    suppressed: integer("suppressed").notNull().default(0),
    opId: text("op_id").notNull(),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
  },
  (t) => [
    uniqueIndex("friendship_requests_pending").on(t.pendingKey),
    index("friendship_requests_pair").on(t.pairKey),
    index("friendship_requests_target").on(t.targetUserId, t.status, t.requestId),
    index("friendship_requests_requester").on(t.requesterId, t.status, t.requestId),
  ],
);

/** Friendships: two rows a pair, one for each side, so that a list is one range of the primary key. */
export const friendships = sqliteTable(
  "friendships",
  {
    userId: text("user_id").notNull(),
    friendId: text("friend_id").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.userId, t.friendId] })],
);

/** Who has blocked whom. */
export const blocks = sqliteTable(
  "blocks",
  {
    userId: text("user_id").notNull(),
    blockedUserId: text("blocked_user_id").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.userId, t.blockedUserId] }), index("blocks_blocked").on(t.blockedUserId)],
);

/**
 * The queryable copy of a room's settings. `log_id` guards the settings; `head_seq_id`, `last_activity_at` and
 * `version` are maxima and need no guard. The last message is not copied here: it is the row (conversation_id,
 * head_seq_id) of `messages`. `member_count` of the world room is the number of accounts, kept by the one who adds one.
 */
export const conversations = sqliteTable("conversations", {
  conversationId: text("conversation_id").primaryKey(),
  type: integer("type").notNull(),
  name: text("name"),
  avatarUrl: text("avatar_url"),
  announcement: text("announcement"),
  ownerId: text("owner_id"),
  memberCount: integer("member_count").notNull().default(0),
  maxMembers: integer("max_members").notNull(),
  joinApproval: integer("join_approval").notNull().default(0),
  muteAll: integer("mute_all").notNull().default(0),
  headSeqId: integer("head_seq_id").notNull().default(0),
  version: integer("version").notNull().default(0),
  lastActivityAt: integer("last_activity_at").notNull(),
  createdAt: integer("created_at").notNull(),
  updatedAt: integer("updated_at").notNull(),
  dismissedAt: integer("dismissed_at"),
  logId: integer("log_id").notNull().default(0),
});

/**
 * Members. A removal is `removed_at`, never a DELETE: an older "added" record that comes late must find the higher
 * `log_id`. `muted` and `pinned` are the member's own settings; SQL is their authority and room records leave them alone.
 */
export const conversationMembers = sqliteTable(
  "conversation_members",
  {
    conversationId: text("conversation_id").notNull(),
    userId: text("user_id").notNull(),
    role: integer("role").notNull().default(1),
    joinedAt: integer("joined_at").notNull(),
    mutedUntil: integer("muted_until"),
    removedAt: integer("removed_at"),
    muted: integer("muted").notNull().default(0),
    pinned: integer("pinned").notNull().default(0),
    logId: integer("log_id").notNull().default(0),
  },
  (t) => [
    primaryKey({ columns: [t.conversationId, t.userId] }),
    // Covers "the conversations of a user, pinned first". Activity is not in it: it would cost a write per member per message.
    index("conversation_members_user").on(t.userId, t.removedAt, t.pinned, t.conversationId),
  ],
);

/**
 * The queryable copy of all messages. `content`, `reply_to` and `mentions` are JSON; a recalled row has none of them.
 * No index by `message_id`: the sequence is inside the id (src/domain/messageId.ts), so the primary key finds it.
 */
export const messages = sqliteTable(
  "messages",
  {
    conversationId: text("conversation_id").notNull(),
    seqId: integer("seq_id").notNull(),
    messageId: text("message_id").notNull(),
    senderId: text("sender_id").notNull(),
    clientMsgId: text("client_msg_id"),
    messageType: text("message_type").notNull(),
    content: text("content"),
    replyTo: text("reply_to"),
    mentions: text("mentions"),
    createdAt: integer("created_at").notNull(),
    editedAt: integer("edited_at"),
    recalledAt: integer("recalled_at"),
    logId: integer("log_id").notNull(),
  },
  (t) => [primaryKey({ columns: [t.conversationId, t.seqId] })],
);

/** Earlier contents of edited messages; emptied by a recall. */
export const messageEdits = sqliteTable(
  "message_edits",
  {
    conversationId: text("conversation_id").notNull(),
    messageId: text("message_id").notNull(),
    logId: integer("log_id").notNull(),
    content: text("content").notNull(),
    editedAt: integer("edited_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.conversationId, t.messageId, t.logId] })],
);

/** Reactions; taking one back is `removed_at`, for the reason given at conversation_members. */
export const messageReactions = sqliteTable(
  "message_reactions",
  {
    conversationId: text("conversation_id").notNull(),
    messageId: text("message_id").notNull(),
    userId: text("user_id").notNull(),
    emoji: text("emoji").notNull(),
    createdAt: integer("created_at").notNull(),
    removedAt: integer("removed_at"),
    logId: integer("log_id").notNull(),
  },
  (t) => [primaryKey({ columns: [t.conversationId, t.messageId, t.emoji, t.userId] })],
);

/** How far each member has read. `read_seq_id` only grows. */
export const userReadPointers = sqliteTable(
  "user_read_pointers",
  {
    conversationId: text("conversation_id").notNull(),
    userId: text("user_id").notNull(),
    readSeqId: integer("read_seq_id").notNull(),
    updatedAt: integer("updated_at").notNull(),
    logId: integer("log_id").notNull().default(0),
  },
  (t) => [primaryKey({ columns: [t.conversationId, t.userId] })],
);

/** The queryable copy of rooms' invite links. `uses` is counted by the room, which decides who comes in. */
export const invites = sqliteTable(
  "invites",
  {
    code: text("code").primaryKey(),
    conversationId: text("conversation_id").notNull(),
    createdBy: text("created_by").notNull(),
    createdAt: integer("created_at").notNull(),
    expiresAt: integer("expires_at").notNull(),
    maxUses: integer("max_uses"),
    uses: integer("uses").notNull().default(0),
    revokedAt: integer("revoked_at"),
    logId: integer("log_id").notNull().default(0),
  },
  (t) => [index("invites_conversation").on(t.conversationId, t.createdAt)],
);

/** The queryable copy of requests to join a group with `joinApproval`. */
export const joinRequests = sqliteTable(
  "join_requests",
  {
    requestId: text("request_id").primaryKey(),
    conversationId: text("conversation_id").notNull(),
    userId: text("user_id").notNull(),
    status: text("status").notNull(),
    decidedBy: text("decided_by"),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
    logId: integer("log_id").notNull().default(0),
  },
  (t) => [index("join_requests_conversation").on(t.conversationId, t.status, t.requestId)],
);

/** What was uploaded where; the bytes are in R2 under `object_key`. */
export const attachments = sqliteTable(
  "attachments",
  {
    objectKey: text("object_key").primaryKey(),
    conversationId: text("conversation_id").notNull(),
    uploaderId: text("uploader_id").notNull(),
    name: text("name").notNull(),
    mimeType: text("mime_type").notNull(),
    sizeBytes: integer("size_bytes").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [index("attachments_conversation").on(t.conversationId, t.createdAt)],
);

/**
 * Events of changes that begin in SQL, written in the same batch as the change; a row is deleted once a consumer has
 * handled it. `owner_id` is the user who made the change: an alarm of that user's object publishes again what is left.
 */
export const outboxEvents = sqliteTable(
  "outbox_events",
  {
    eventId: text("event_id").primaryKey(),
    ownerId: text("owner_id").notNull(),
    topic: text("topic").notNull(),
    /** Partition key on a bus that has order. */
    eventKey: text("event_key").notNull(),
    /** The whole event as JSON, as consumers get it. */
    body: text("body").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [index("outbox_events_owner").on(t.ownerId, t.eventId)],
);

/**
 * What a consumer gave up on, kept for an admin to look at and replay. A redelivered letter is one row: `message_id` is what it is
 * recognised by (src/queues/letters.ts). `attempts` are the deliveries before it was given up.
 */
export const deadLetters = sqliteTable(
  "dead_letters",
  {
    letterId: text("letter_id").primaryKey(),
    queue: text("queue").notNull(),
    messageId: text("message_id").notNull(),
    body: text("body").notNull(),
    attempts: integer("attempts").notNull().default(1),
    error: text("error"),
    createdAt: integer("created_at").notNull(),
    replayedAt: integer("replayed_at"),
  },
  (t) => [uniqueIndex("dead_letters_message").on(t.messageId), index("dead_letters_open").on(t.replayedAt, t.letterId)],
);

/** One row for every admin act. */
export const auditLog = sqliteTable(
  "audit_log",
  {
    auditId: text("audit_id").primaryKey(),
    actorId: text("actor_id").notNull(),
    action: text("action").notNull(),
    targetKind: text("target_kind").notNull(),
    targetId: text("target_id").notNull(),
    detail: text("detail"),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [index("audit_log_target").on(t.targetKind, t.targetId, t.auditId)],
);

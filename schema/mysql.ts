/**
 * The SQL schema for MySQL (PlanetScale, or any MySQL or MariaDB behind the bridge). It is `schema/sqlite.ts` in another dialect, table by table and column
 * by column, which `schema/equal.test.ts` holds; what the columns mean is said there. Repositories are written against the types of
 * that file and run on these tables.
 *
 * What a dialect must decide: texts have a length, which is the limit of the wire (src/protocol/limits.ts), and compare byte by byte.
 * `utf8mb4_bin` is named at every column, because the default of a database ignores case (and in MySQL 8 accents), which would make
 * two users of one name, and because it is the only such collation that MySQL and MariaDB both have. Ids are not `ascii`: compared
 * with a text that is none, which anybody can send, an ascii column loses its index. Whole numbers of 53 bits are read as numbers.
 */
import { bigint, customType, index, int, mysqlTable, primaryKey, tinyint, uniqueIndex } from "drizzle-orm/mysql-core";

/** A text of at most `length` code points. In strict mode a longer one is an error, never a shorter one. */
function text(name: string, length: number) {
  return customType<{ data: string }>({
    dataType: () => `varchar(${length}) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
  })(name);
}

/** ULIDs have 26 characters; the longest conversation id, of a direct one, has 60. */
function id(name: string) {
  return text(name, 64);
}

/** JSON and other texts whose length an installation's settings decide: up to 16 MiB, never part of an index. */
const longText = customType<{ data: string }>({
  dataType: () => "mediumtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
});

/** Epoch milliseconds, sequences, counters. */
function integer(name: string) {
  return bigint(name, { mode: "number" });
}

export const users = mysqlTable(
  "users",
  {
    userId: id("user_id").primaryKey(),
    username: text("username", 64).notNull(),
    usernameLower: text("username_lower", 64).notNull(),
    email: text("email", 254),
    emailLower: text("email_lower", 254),
    passwordHash: text("password_hash", 255),
    displayName: text("display_name", 64).notNull(),
    displayNameLower: text("display_name_lower", 192).notNull(),
    avatarUrl: text("avatar_url", 2048),
    bio: text("bio", 500),
    isGuest: tinyint("is_guest").notNull().default(0),
    role: text("role", 16).notNull().default("user"),
    bannedAt: integer("banned_at"),
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
export const friendshipRequests = mysqlTable(
  "friendship_requests",
  {
    requestId: id("request_id").primaryKey(),
    requesterId: id("requester_id").notNull(),
    targetUserId: id("target_user_id").notNull(),
    message: text("message", 200),
    status: text("status", 16).notNull(),
    pairKey: text("pair_key", 96).notNull(),
    pendingKey: text("pending_key", 96),
    suppressed: tinyint("suppressed").notNull().default(0),
    opId: text("op_id", 128).notNull(),
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
export const friendships = mysqlTable(
  "friendships",
  {
    userId: id("user_id").notNull(),
    friendId: id("friend_id").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.userId, t.friendId] })],
);
export const blocks = mysqlTable(
  "blocks",
  {
    userId: id("user_id").notNull(),
    blockedUserId: id("blocked_user_id").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.userId, t.blockedUserId] }), index("blocks_blocked").on(t.blockedUserId)],
);
export const conversations = mysqlTable("conversations", {
  conversationId: id("conversation_id").primaryKey(),
  type: tinyint("type").notNull(),
  name: text("name", 64),
  avatarUrl: text("avatar_url", 2048),
  announcement: text("announcement", 2000),
  ownerId: id("owner_id"),
  memberCount: int("member_count").notNull().default(0),
  maxMembers: int("max_members").notNull(),
  joinApproval: tinyint("join_approval").notNull().default(0),
  muteAll: tinyint("mute_all").notNull().default(0),
  headSeqId: integer("head_seq_id").notNull().default(0),
  version: integer("version").notNull().default(0),
  lastActivityAt: integer("last_activity_at").notNull(),
  createdAt: integer("created_at").notNull(),
  updatedAt: integer("updated_at").notNull(),
  dismissedAt: integer("dismissed_at"),
  logId: integer("log_id").notNull().default(0),
});
export const conversationMembers = mysqlTable(
  "conversation_members",
  {
    conversationId: id("conversation_id").notNull(),
    userId: id("user_id").notNull(),
    role: tinyint("role").notNull().default(1),
    joinedAt: integer("joined_at").notNull(),
    mutedUntil: integer("muted_until"),
    removedAt: integer("removed_at"),
    muted: tinyint("muted").notNull().default(0),
    pinned: tinyint("pinned").notNull().default(0),
    logId: integer("log_id").notNull().default(0),
  },
  (t) => [
    primaryKey({ columns: [t.conversationId, t.userId] }),
    index("conversation_members_user").on(t.userId, t.removedAt, t.pinned, t.conversationId),
  ],
);
export const messages = mysqlTable(
  "messages",
  {
    conversationId: id("conversation_id").notNull(),
    seqId: integer("seq_id").notNull(),
    messageId: id("message_id").notNull(),
    senderId: id("sender_id").notNull(),
    clientMsgId: id("client_msg_id"),
    messageType: text("message_type", 16).notNull(),
    content: longText("content"),
    replyTo: longText("reply_to"),
    mentions: longText("mentions"),
    createdAt: integer("created_at").notNull(),
    editedAt: integer("edited_at"),
    recalledAt: integer("recalled_at"),
    logId: integer("log_id").notNull(),
  },
  (t) => [primaryKey({ columns: [t.conversationId, t.seqId] })],
);
export const messageEdits = mysqlTable(
  "message_edits",
  {
    conversationId: id("conversation_id").notNull(),
    messageId: id("message_id").notNull(),
    logId: integer("log_id").notNull(),
    content: longText("content").notNull(),
    editedAt: integer("edited_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.conversationId, t.messageId, t.logId] })],
);
export const messageReactions = mysqlTable(
  "message_reactions",
  {
    conversationId: id("conversation_id").notNull(),
    messageId: id("message_id").notNull(),
    userId: id("user_id").notNull(),
    emoji: text("emoji", 32).notNull(),
    createdAt: integer("created_at").notNull(),
    removedAt: integer("removed_at"),
    logId: integer("log_id").notNull(),
  },
  (t) => [primaryKey({ columns: [t.conversationId, t.messageId, t.emoji, t.userId] })],
);
export const userReadPointers = mysqlTable(
  "user_read_pointers",
  {
    conversationId: id("conversation_id").notNull(),
    userId: id("user_id").notNull(),
    readSeqId: integer("read_seq_id").notNull(),
    updatedAt: integer("updated_at").notNull(),
    logId: integer("log_id").notNull().default(0),
  },
  (t) => [primaryKey({ columns: [t.conversationId, t.userId] })],
);
export const invites = mysqlTable(
  "invites",
  {
    code: id("code").primaryKey(),
    conversationId: id("conversation_id").notNull(),
    createdBy: id("created_by").notNull(),
    createdAt: integer("created_at").notNull(),
    expiresAt: integer("expires_at").notNull(),
    maxUses: int("max_uses"),
    uses: int("uses").notNull().default(0),
    revokedAt: integer("revoked_at"),
    logId: integer("log_id").notNull().default(0),
  },
  (t) => [index("invites_conversation").on(t.conversationId, t.createdAt)],
);
export const joinRequests = mysqlTable(
  "join_requests",
  {
    requestId: id("request_id").primaryKey(),
    conversationId: id("conversation_id").notNull(),
    userId: id("user_id").notNull(),
    status: text("status", 16).notNull(),
    decidedBy: id("decided_by"),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
    logId: integer("log_id").notNull().default(0),
  },
  (t) => [index("join_requests_conversation").on(t.conversationId, t.status, t.requestId)],
);
export const attachments = mysqlTable(
  "attachments",
  {
    objectKey: text("object_key", 255).primaryKey(),
    conversationId: id("conversation_id").notNull(),
    uploaderId: id("uploader_id").notNull(),
    name: text("name", 255).notNull(),
    mimeType: text("mime_type", 255).notNull(),
    sizeBytes: integer("size_bytes").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [index("attachments_conversation").on(t.conversationId, t.createdAt)],
);
export const outboxEvents = mysqlTable(
  "outbox_events",
  {
    eventId: text("event_id", 128).primaryKey(),
    ownerId: id("owner_id").notNull(),
    topic: id("topic").notNull(),
    eventKey: text("event_key", 96).notNull(),
    body: longText("body").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [index("outbox_events_owner").on(t.ownerId, t.eventId)],
);
export const deadLetters = mysqlTable(
  "dead_letters",
  {
    letterId: id("letter_id").primaryKey(),
    queue: id("queue").notNull(),
    messageId: text("message_id", 512).notNull(),
    body: longText("body").notNull(),
    attempts: int("attempts").notNull().default(1),
    error: longText("error"),
    createdAt: integer("created_at").notNull(),
    replayedAt: integer("replayed_at"),
  },
  (t) => [uniqueIndex("dead_letters_message").on(t.messageId), index("dead_letters_open").on(t.replayedAt, t.letterId)],
);
export const auditLog = mysqlTable(
  "audit_log",
  {
    auditId: id("audit_id").primaryKey(),
    actorId: id("actor_id").notNull(),
    action: id("action").notNull(),
    targetKind: text("target_kind", 32).notNull(),
    targetId: text("target_id", 128).notNull(),
    detail: longText("detail"),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [index("audit_log_target").on(t.targetKind, t.targetId, t.auditId)],
);

/**
 * What a room hands to SQL and to the fan-out consumer: internal shapes that cross a queue, so
 * they are plain data and new fields must be optional (a consumer of the previous release may
 * still be running).
 */
import type { Content, Message } from "../protocol/things.ts";

/** Conversation types on the wire. Source: DESIGN section 4. */
export const DIRECT = 1;
export const GROUP = 2;
export const WORLD = 3;
export type ConversationType = typeof DIRECT | typeof GROUP | typeof WORLD;

/** Roles on the wire. Source: DESIGN section 4. */
export const MEMBER = 1;
export const ADMIN = 2;
export const OWNER = 3;
export type Role = typeof MEMBER | typeof ADMIN | typeof OWNER;

/** The one conversation that everybody is in, by rule and not by a row each. */
export const WORLD_ROOM_ID = "world_chat_room";

/** A message as the room's log holds it: the wire's message with its sender's key. */
export type StoredMessage = Omit<Message, "reactions" | "clientMsgId"> & { clientMsgId: string };

/** A message as one reader gets it from its room: with the reactions as they are, seen by that reader. */
export type SeenMessage = StoredMessage & Pick<Message, "reactions">;

/** State of a conversation as stored, all times in epoch milliseconds. */
export type ConversationState = {
  conversationId: string;
  type: ConversationType;
  name?: string;
  avatarUrl?: string;
  announcement?: string;
  ownerId?: string;
  memberCount: number;
  maxMembers: number;
  joinApproval: boolean;
  muteAll: boolean;
  /** Grows with every change of anything in the conversation. */
  version: number;
  createdAt: number;
  updatedAt: number;
  dismissedAt?: number;
  /** Of a direct conversation whose users are no friends (any more): since when it is only for reading. Not on the wire. */
  closedAt?: number;
};

/** A member as stored in the room. */
export type MemberState = {
  userId: string;
  role: Role;
  joinedAt: number;
  mutedUntil?: number;
  /** Highest sequence this member has read; a sender's own message advances it. */
  readSeqId: number;
};

/** An invite link as stored in its group's room. All times in epoch milliseconds. */
export type InviteState = {
  code: string;
  conversationId: string;
  createdBy: string;
  createdAt: number;
  /** From here on it lets nobody in. */
  expiresAt: number;
  /** Absent: as many as the group holds. */
  maxUses?: number;
  /** Who came in by it, and who asked to; never more than `maxUses`. */
  uses: number;
  revokedAt?: number;
};

/** Somebody's wish to join a group with `joinApproval`. */
export type JoinRequestState = {
  requestId: string;
  conversationId: string;
  userId: string;
  status: "pending" | "accepted" | "rejected";
  decidedBy?: string;
  createdAt: number;
  updatedAt: number;
};

/**
 * One row of the queryable copy in SQL. `logId` is the room's change counter: applying a record
 * twice, or an older one after a newer one, changes nothing. `version`: of the conversation, where the change raised it.
 */
export type RoomRecord = { conversationId: string; logId: number; version?: number } &
  /** Sent, edited, or recalled; a recalled one takes its edit history and reactions with it. */
  (
    | { kind: "message"; message: StoredMessage }
    | { kind: "conversation"; conversation: ConversationState; headSeqId: number }
    | { kind: "member"; member: MemberState }
    | { kind: "memberRemoved"; userId: string; removedAt: number }
    | { kind: "readPointer"; userId: string; readSeqId: number }
    | { kind: "invite"; invite: InviteState }
    | { kind: "joinRequest"; request: JoinRequestState }
    /** What a message said before an edit at `editedAt`. */
    | { kind: "edit"; messageId: string; content: Content; editedAt: number }
    | { kind: "reaction"; messageId: string; userId: string; emoji: string; createdAt: number; removedAt?: number }
    /** These messages answer one that was recalled: their previews of it are emptied. */
    | { kind: "previews"; seqIds: number[] }
  );

/** Body of one `gochat.messages.persist` queue message: many records of one conversation. */
export type PersistBatch = {
  conversationId: string;
  /** First and last sequence of the messages in `records`; 0 and 0 when there is none. */
  fromSeqId: number;
  toSeqId: number;
  records: RoomRecord[];
  /** Outbox rows (see `ConversationRoom.settled`) that this batch covers. */
  outboxIds: number[];
};

/** Body of one `gochat.tasks.fanout` queue message: every message since the last task. */
export type FanoutTask = {
  conversationId: string;
  type: ConversationType;
  fromSeqId: number;
  toSeqId: number;
  messages: StoredMessage[];
  /** Instead of messages: one that its readers know has changed. */
  notice?: MessageNotice;
  /** Outbox rows (see `ConversationRoom.settled`) that are done once everybody was told. */
  outboxIds?: number[];
};

/**
 * What readers have to be told of a message that they may have already. No contents: a queue may hold it for long, and the
 * message may be recalled meanwhile. `version`: of the conversation after the change; the higher one is the newer. `earlier`: sequences of
 * changes before it that nobody had been told of; absent where there were too many, and in rows of a release before.
 */
export type MessageNotice = { messageId: string; seqId: number; version: number; earlier?: number[] } & (
  | { kind: "edited" }
  /** `answers`: sequences of messages whose preview of it is gone as well. */
  | { kind: "recalled"; operatorId: string; recalledAt: number; answers?: number[] }
  | { kind: "reaction"; emoji: string; userId: string; added: boolean; count: number }
);

/** The message as one reader sees it: the client's own key only to the sender. */
export function messageFor(stored: SeenMessage, readerId: string): Message {
  if (stored.senderId === readerId) {
    return stored;
  }
  const { clientMsgId: _hidden, ...rest } = stored;
  return rest;
}

/**
 * What a room hands to SQL and to the fan-out consumer: internal shapes that cross a queue, so
 * they are plain data and new fields must be optional (a consumer of the previous release may
 * still be running).
 */
import type { Message } from "../protocol/things.ts";

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
 * twice, or an older one after a newer one, changes nothing.
 */
export type RoomRecord = { conversationId: string; logId: number } & (
  | { kind: "message"; message: StoredMessage }
  | { kind: "conversation"; conversation: ConversationState; headSeqId: number }
  | { kind: "member"; member: MemberState }
  | { kind: "memberRemoved"; userId: string; removedAt: number }
  | { kind: "readPointer"; userId: string; readSeqId: number }
  | { kind: "invite"; invite: InviteState }
  | { kind: "joinRequest"; request: JoinRequestState }
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
};

/** The message as one reader sees it: the client's own key only to the sender. */
export function messageFor(stored: StoredMessage, readerId: string): Message {
  if (stored.senderId === readerId) {
    return stored;
  }
  const { clientMsgId: _hidden, ...rest } = stored;
  return rest;
}

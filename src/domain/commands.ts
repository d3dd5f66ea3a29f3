/** What callers ask of the core, and what it answers. Plain data: all of it crosses RPC. */
import type { Content } from "../protocol/things.ts";
import type {
  ADMIN,
  ConversationState,
  ConversationType,
  JoinRequestState,
  MEMBER,
  MemberState,
  RoomRecord,
  Role,
  SeenMessage,
} from "./records.ts";

/** Who asks: what the access token says. */
export type Actor = { userId: string; isGuest: boolean; isAdmin: boolean };

/** One send, already valid by schema; the room decides the rest. */
export type SendCommand = {
  actor: Actor;
  clientMsgId: string;
  messageType: "text" | "image" | "file" | "system";
  content: Content;
  replyTo?: string;
  mentions?: string[];
};

/** What a member sees of a conversation. */
export type RoomView = {
  conversation: ConversationState;
  headSeqId: number;
  role: Role;
  readSeqId: number;
};

/** What consumers see of a conversation. */
export type CurrentView = {
  conversation: ConversationState;
  headSeqId: number;
  /** Those of the users they ask about who are its members. */
  members: MemberState[];
  /** Of all members the first ones, by user id: as many as they ask for. */
  memberIds: string[];
};

/**
 * A change of a room with the SQL records that it made. The REST handler writes the records
 * through to SQL in the same request and then calls `settled(outboxIds)`; when that fails, the
 * room's outbox sends them through the persist queue.
 */
export type RoomChange<T> = { value: T; records: RoomRecord[]; outboxIds: number[] };

export type CreateRoom = {
  type: ConversationType;
  name?: string;
  /** Creator first; the owner of a group. At most `maxMembers` ids, no repetition. */
  memberIds: string[];
  maxMembers?: number;
  announcement?: string;
  joinApproval?: boolean;
};

/**
 * A page of a room's log, ascending. Rows before `firstSeqId` have left the log (they are old and
 * in SQL): a page that ends there continues in SQL.
 */
export type HistoryPage = {
  messages: SeenMessage[];
  headSeqId: number;
  firstSeqId: number;
  /** Up to here every reader has been served; only where the log itself is read, not in a member's history. */
  deliveredSeqId?: number;
  /** Of the conversation, with `deliveredSeqId`. */
  version?: number;
};

/** Who of a conversation has read a message. Above 500 members only the counts. */
export type ReadersView = { readCount: number; unreadCount: number; read?: string[]; unread?: string[] };

/** Messages that changed: those in the log, and the sequences of those that SQL has. */
export type ChangedMessages = { messages: SeenMessage[]; older: number[] };

/** Outcome of adding members: who is in now, and why the others are not. */
export type AddedMembers = {
  added: MemberState[];
  failed: { userId: string; code: number }[];
};

/** Absent leaves a field as it is, `null` empties it. */
export type ConversationChange = {
  name?: string;
  avatarUrl?: string | null;
  announcement?: string | null;
  joinApproval?: boolean;
  muteAll?: boolean;
  maxMembers?: number;
};

/** An owner is made by transfer, not here. `mutedUntil` in epoch milliseconds; `null` ends a mute. */
export type MemberChange = { role?: typeof MEMBER | typeof ADMIN; mutedUntil?: number | null };

/** `code` is made by the caller, so that a repeated call makes one link. */
export type NewInvite = { code: string; expiresAt?: number; maxUses?: number };

/** `requestId` is for the wish to join that may come of it. */
export type JoinWish = { code: string; requestId: string };

export type JoinOutcome = { status: "joined"; view: RoomView } | { status: "pending"; request: JoinRequestState };

export type JoinDecision = { requestId: string; action: "accept" | "reject" };

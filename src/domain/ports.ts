/**
 * What the core needs from the outside: small synchronous ports. The objects put SQLite behind
 * them, the simulator memory that forgets what was not committed. Nothing here knows a platform.
 */
import type { ConversationState, InviteState, JoinRequestState, MemberState, StoredMessage } from "./records.ts";
import type { TopicName } from "../protocol/events.ts";

/** A log row: the message, the change that wrote it last, and what a resend is compared with. */
export type LogRow = { message: StoredMessage; logId: number; payloadHash: string };

/**
 * How far each copy of the log has come; all are sequence numbers, durable, and only grow.
 * `logId` and the head of the log are also raised by the newest message row, so that a send does
 * not have to write this row (see `RoomStore.load`).
 */
export type Counters = {
  /** Counter of changes; every outbox row and every SQL record carries one. */
  logId: number;
  /** Messages up to here are in SQL. */
  persistedSeqId: number;
  /** Messages up to here were handed to every online member, or to the fan-out. */
  deliveredSeqId: number;
  /** First sequence still in the log. */
  firstSeqId: number;
};

/** Something a consumer must handle once: kept until it says so. */
export type OutboxRow = {
  /** The `logId` of the change. */
  id: number;
  topic: TopicName;
  /** JSON of the bus event or of the SQL record. */
  body: string;
  /** True while a REST request writes it through to SQL; only a later alarm sends it then. */
  held: boolean;
};

/** What a room reads when it wakes. */
export type RoomImage = {
  state: ConversationState | undefined;
  counters: Counters;
  headSeqId: number;
  /** Time of the newest message, epoch milliseconds; 0 for an empty log. */
  headCreatedAt: number;
  hasOutbox: boolean;
};

/** What groups keep besides members: invite links and wishes to join. Writes as for `RoomStore`. */
export interface GroupStore {
  invite(code: string): InviteState | undefined;
  putInvite(invite: InviteState): void;
  deleteInvite(code: string): void;
  /** Drops links that expired at or before `now`. */
  pruneInvites(now: number): void;
  /** Links that expire after `now`, used up or not. */
  inviteCount(now: number): number;
  /** By creation, after `after` (exclusive). */
  invites(after: { createdAt: number; code: string } | undefined, limit: number): InviteState[];

  joinRequest(requestId: string): JoinRequestState | undefined;
  /** The newest one of this user. */
  joinRequestOf(userId: string): JoinRequestState | undefined;
  /** Takes the place of an earlier one of the same user. */
  putJoinRequest(request: JoinRequestState): void;
  /** Those that wait, by id, after `after` (exclusive; "" for the first page). */
  pendingRequests(after: string, limit: number): JoinRequestState[];

  /** Owner and admins, by user id, after `after` (exclusive; "" for the first page). */
  moderators(after: string, limit: number): MemberState[];
}

/** The room's durable memory. Writes outside `transaction` are forbidden. */
export interface RoomStore {
  readonly groups: GroupStore;
  /** All or nothing; what it returns may leave the object only when the writes are durable. */
  transaction<T>(work: () => T): T;
  load(): RoomImage;
  saveState(state: ConversationState): void;
  saveCounters(counters: Counters): void;

  member(userId: string): MemberState | undefined;
  putMember(member: MemberState): void;
  deleteMember(userId: string): void;
  /** Ordered by user id, after `cursor` (exclusive; "" for the first page). */
  members(cursor: string, limit: number): MemberState[];

  message(seqId: number): LogRow | undefined;
  /** Ascending, from `after` (exclusive). */
  messagesAfter(after: number, limit: number): LogRow[];
  /** The last `limit` rows below `before` (exclusive), ascending. */
  messagesBefore(before: number, limit: number): LogRow[];
  findSend(senderId: string, clientMsgId: string): LogRow | undefined;
  insertMessage(row: LogRow): void;
  /** Deletes rows up to `seqId` (inclusive). */
  pruneMessages(seqId: number): void;

  addOutbox(row: OutboxRow): void;
  /** Oldest first. */
  outbox(limit: number): OutboxRow[];
  deleteOutbox(ids: readonly number[]): void;
}

/** Source of randomness: a number in [0, 1). */
export type Random = () => number;

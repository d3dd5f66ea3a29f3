/**
 * What the core needs from the outside: small synchronous ports. The objects put SQLite behind
 * them, the simulator memory that forgets what was not committed. Nothing here knows a platform.
 */
import type { ConversationState, InviteState, JoinRequestState, MemberState, StoredMessage } from "./records.ts";
import type { TopicName } from "../protocol/events.ts";
import type { Edit, Reaction } from "../protocol/things.ts";

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

  /** Until when somebody who has gone is muted, should they come back; epoch milliseconds. */
  keptMute(userId: string): number | undefined;
  /** Also drops what ended at or before `now`. */
  keepMute(userId: string, mutedUntil: number, now: number): void;
  dropMute(userId: string): void;

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
  /** Puts a changed message into its place in the log. */
  replaceMessage(row: LogRow): void;
  /** Deletes rows up to `seqId` (inclusive). */
  pruneMessages(seqId: number): void;

  addOutbox(row: OutboxRow): void;
  /** Oldest first. */
  outbox(limit: number): OutboxRow[];
  deleteOutbox(ids: readonly number[]): void;
  /** Rows whose body holds this text. Looks at all of them: for what happens rarely. */
  findOutbox(text: string): OutboxRow[];
  /** Who sent the messages after `from` up to `to`, each once, the latest first. */
  senders(from: number, to: number, limit: number): string[];
  /** Members who were there at `joinedBy` (epoch milliseconds), and how many of them have read up to `seqId`. */
  countReaders(seqId: number, joinedBy: number): { members: number; readers: number };

  readonly changes: ChangeStore;
}

/** The last change of a message after it was sent. Kept for good, also when the message itself has left the log. */
export type ChangeMark = {
  /** Of the conversation, after the change. */
  version: number;
  isRecalled: boolean;
  /** Previews of this recalled message in answers after this sequence are still to be emptied. */
  blankAfter?: number;
};

/** What became of messages after they were sent. Part of the room's durable memory, under the same rules. */
export interface ChangeStore {
  mark(seqId: number): ChangeMark | undefined;
  setMark(seqId: number, mark: ChangeMark): void;
  /** Messages up to `upTo` that changed after `version`, the latest change first. */
  changedSince(version: number, upTo: number, limit: number): number[];
  /** A message whose mark has `blankAfter`, if there is one. */
  unblanked(): number | undefined;
  /** Messages that answer this one, after `after`, ascending; also those that have left the log. */
  repliesTo(seqId: number, after: number, limit: number): number[];

  /** Earlier contents, oldest first; they leave with their message. */
  edits(seqId: number): Edit[];
  addEdit(seqId: number, logId: number, edit: Edit): void;
  /** Reactions of these messages as `userId` sees them, by sequence, in the order of the first of each emoji. */
  reactions(seqIds: readonly number[], userId: string): Map<number, Reaction[]>;
  /** `at`: when it was made, undefined takes it back. Answers whether that changed anything. */
  setReaction(seqId: number, emoji: string, userId: string, at: number | undefined): boolean;
  /** Edit history and reactions of a message go. */
  forget(seqId: number): void;
}

/** Source of randomness: a number in [0, 1). */
export type Random = () => number;

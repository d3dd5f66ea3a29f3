/**
 * What the rest of the Worker asks of SQL. Expected failures come back as values; a method throws `SqlUnavailable`
 * (src/repo/failures.ts) when the database does not answer, which the edge maps to UNAVAILABLE. All times are epoch milliseconds.
 */
import type { ConversationState, Role, RoomRecord, StoredMessage } from "../domain/records.ts";
import type { Result } from "../protocol/errors.ts";
import type { Edit, FriendRequest, User } from "../protocol/things.ts";
import type { AdminRepo } from "./adminTypes.ts";

/** An account as stored. */
export interface UserRow {
  readonly userId: string;
  readonly username: string;
  readonly email: string | null;
  /** `null` for guests. */
  readonly passwordHash: string | null;
  readonly displayName: string;
  readonly avatarUrl: string | null;
  readonly bio: string | null;
  readonly isGuest: boolean;
  readonly role: "user" | "admin";
  readonly bannedAt: number | null;
  readonly createdAt: number;
}

/** What a new account is made of. */
export interface NewUser {
  readonly userId: string;
  readonly username: string;
  readonly email?: string | undefined;
  readonly passwordHash: string | null;
  readonly displayName: string;
  readonly isGuest: boolean;
  /** Id of the event `welcome`. */
  readonly eventId: string;
  readonly now: number;
}

/** Fields of a profile that a user may change; `null` empties an optional one, absent leaves it. */
export interface ProfileChange {
  readonly displayName?: string | undefined;
  readonly avatarUrl?: string | null | undefined;
  readonly bio?: string | null | undefined;
}

/** What a guest becomes a user with. */
export interface Upgrade {
  readonly username: string;
  readonly email?: string | undefined;
  readonly passwordHash: string;
  readonly displayName?: string | undefined;
}

/** A page by keyset. `limit` was checked by the schema; `cursor` is what an earlier page answered. */
export interface PageRequest {
  readonly limit: number;
  readonly cursor?: string | undefined;
}

export interface Page<T> {
  readonly items: T[];
  readonly nextCursor: string | null;
}

export interface UserRepo {
  /** With event `welcome`. CONFLICT names the taken field (`username` or `email`). */
  create(user: NewUser): Promise<Result<UserRow>>;
  /** By user name or mail address, without case. */
  findByLogin(login: string): Promise<UserRow | null>;
  byId(userId: string): Promise<UserRow | null>;
  /** In no particular order; ids without an account are missing. */
  byIds(userIds: readonly string[]): Promise<UserRow[]>;
  /** All accounts, guests too, by id: up to `limit` after `userId` (exclusive). */
  after(userId: string, limit: number): Promise<UserRow[]>;
  /** With event `user.profile.updated`. USER_NOT_FOUND when there is no such user. */
  updateProfile(userId: string, change: ProfileChange, eventId: string, now: number): Promise<Result<UserRow>>;
  /** CONFLICT when it is no guest (any more), or naming the taken field. */
  upgradeGuest(userId: string, upgrade: Upgrade, now: number): Promise<Result<UserRow>>;
  /** Puts a better hash in place of `oldHash`; does nothing when the password has changed meanwhile. */
  replaceHash(userId: string, oldHash: string, newHash: string, now: number): Promise<void>;
  /** The user has gone offline; an older time than the known one changes nothing. Epoch milliseconds. */
  seen(userId: string, lastSeenAt: number): Promise<void>;
  /** Accounts (no guests, no banned) whose user name or display name begins with `prefix`, by user name. */
  search(prefix: string, page: PageRequest): Promise<Result<Page<UserRow>>>;
}

/** What asking for friendship led to. */
export interface RequestOutcome {
  readonly request: FriendRequest;
  /** `created`: new. `existing`: the pending one of before. `accepted`: it met a request of the other side. */
  readonly kind: "created" | "existing" | "accepted";
}

export interface NewFriendRequest {
  /** Who asks; events carry the user as others see it. */
  readonly requester: User;
  readonly targetUserId: string;
  readonly message?: string | undefined;
  /** Id for the request, should it be new. */
  readonly requestId: string;
  /** Id of this operation and of the event that it may cause. */
  readonly eventId: string;
  readonly now: number;
}

export interface FriendDecision {
  readonly requestId: string;
  /** Who decides. */
  readonly actor: User;
  readonly action: "accept" | "reject";
  readonly eventId: string;
  readonly now: number;
}

export interface FriendRequestFilter extends PageRequest {
  readonly direction: "incoming" | "outgoing";
  readonly status?: "pending" | "accepted" | "rejected" | undefined;
}

export interface FriendRow {
  readonly user: UserRow;
  readonly since: number;
  /** When the friend was last seen going offline; `null` when that was never. */
  readonly lastSeenAt: number | null;
}

export interface BlockRow {
  readonly user: UserRow;
  readonly since: number;
}

export interface FriendRepo {
  /**
   * Asks for friendship; event `friend.request.sent` or `friend.request.accepted` in the same transaction. Two crossing
   * requests, also at the same moment, make one friendship. A block by the target is not told: the requester gets a
   * pending request that the target never sees. Faults: USER_NOT_FOUND, PERMISSION_DENIED (the target is a guest, or
   * blocked by the requester), CONFLICT (already friends; rejected less than a day ago), INVALID_INPUT (oneself).
   */
  request(request: NewFriendRequest): Promise<Result<RequestOutcome>>;
  /** By the addressee alone: NOT_FOUND for everybody else, CONFLICT when it was decided otherwise before. */
  decide(decision: FriendDecision): Promise<Result<FriendRequest>>;
  /** Whether the addressee still has this request before them. */
  isWaiting(requestId: string): Promise<boolean>;
  requests(userId: string, filter: FriendRequestFilter): Promise<Result<Page<FriendRequest>>>;
  /** By friend id. */
  friends(userId: string, page: PageRequest): Promise<Result<Page<FriendRow>>>;
  areFriends(userId: string, otherId: string): Promise<boolean>;
  /** The first friends' ids of each of these users, by id, with one query; users without friends are missing. */
  firstFriendIds(userIds: readonly string[], limit: number): Promise<Map<string, string[]>>;
  /** Friends' ids after `after` ("" for the first page), by id. */
  friendIds(userId: string, after: string, limit: number): Promise<string[]>;
  /** Those of `otherIds` who are friends of this user. */
  friendsAmong(userId: string, otherIds: readonly string[]): Promise<string[]>;
  /** Of `otherIds`, those who may not be brought together with `userId` because one has blocked the other. */
  blockedAmong(userId: string, otherIds: readonly string[]): Promise<string[]>;
  /** The same together with the accounts of `otherIds`, those that exist, in one trip. */
  accountsAmong(userId: string, otherIds: readonly string[]): Promise<{ accounts: UserRow[]; blocked: string[] }>;
  /** Ends a friendship, with event `friend.removed`; `false` when there was none. */
  remove(userId: string, friendId: string, eventId: string, now: number): Promise<boolean>;
}

/** Who blocks whom. */
export interface NewBlock {
  readonly userId: string;
  readonly targetUserId: string;
  /** Of the event `friend.removed`, should it end a friendship. */
  readonly eventId: string;
  readonly now: number;
}

export interface BlockRepo {
  /**
   * Blocks a user; twice is once. In the same transaction a friendship ends as by a removal, requests of the other side become
   * visible to them alone, and own ones are taken back. Faults: USER_NOT_FOUND, INVALID_INPUT (oneself).
   */
  block(block: NewBlock): Promise<Result<void>>;
  /** `false` when there was no block. What it ended does not come back. */
  unblock(userId: string, targetUserId: string): Promise<boolean>;
  /** By blocked user id. */
  list(userId: string, page: PageRequest): Promise<Result<Page<BlockRow>>>;
}

/** A conversation as one of its members has it in the list. */
export interface ConversationItem {
  readonly conversation: ConversationState;
  readonly headSeqId: number;
  readonly lastMessage: StoredMessage | null;
  /** 0 in the world room, whose pointers live in `UserSession`. */
  readonly readSeqId: number;
  readonly role: Role;
  readonly muted: boolean;
  readonly pinned: boolean;
}

export interface ConversationRepo {
  /** One page of a user's conversations, the world room among them: pinned first, newest activity first. */
  list(userId: string, page: PageRequest): Promise<Result<Page<ConversationItem>>>;
  /** The same page in one statement, without last messages: for who comes back and lacks little. */
  listWithoutMessages(userId: string, page: PageRequest): Promise<Result<Page<ConversationItem>>>;
  /** Those of `conversationIds` that the user is in, in no particular order. */
  items(userId: string, conversationIds: readonly string[]): Promise<ConversationItem[]>;
  /** Those of `conversationIds` that the user's list holds, on whatever page. */
  idsAmong(userId: string, conversationIds: readonly string[]): Promise<string[]>;
  /** Ids of all conversations of a user, the world room among them, after `cursor`, by id. */
  idsOf(userId: string, page: PageRequest): Promise<Page<string>>;
  isMember(conversationId: string, userId: string): Promise<boolean>;
  /** The member's own settings; `false` when the user is not in it. */
  setSettings(
    conversationId: string,
    userId: string,
    settings: { readonly muted?: boolean | undefined; readonly pinned?: boolean | undefined },
  ): Promise<boolean>;
  /** Messages of the SQL copy, ascending; `before` and `after` are exclusive sequences, neither means the newest. */
  messages(
    conversationId: string,
    page: { readonly before?: number; readonly after?: number; readonly limit: number },
  ): Promise<StoredMessage[]>;
}

/** Messages that have left the log of their room. */
export interface MessageRepo {
  /** Those of these sequences that there are, ascending. */
  at(conversationId: string, seqIds: readonly number[]): Promise<StoredMessage[]>;
  /** Earlier contents of a message, oldest first. */
  edits(conversationId: string, messageId: string): Promise<Edit[]>;
  /** Members who sent something after `from` up to `to`, each once, the latest first. */
  senders(conversationId: string, from: number, to: number, limit: number): Promise<string[]>;
}

export interface PersistenceRepo {
  /**
   * Writes what rooms hand over. Idempotent, in any order: the higher `logId` wins. On D1 it is one transaction; on MySQL what was
   * written before a failure stays, and the repetition completes it.
   * @param limitMs how long it may take, where nobody waits for the answer
   */
  applyRoomRecords(records: readonly RoomRecord[], limitMs?: number): Promise<void>;
}

export interface OutboxRow {
  readonly eventId: string;
  readonly topic: string;
  readonly key: string;
  /** The event as JSON. */
  readonly body: string;
}

export interface OutboxRepo {
  /** Events of changes by this user that no consumer has handled yet, oldest first. */
  pending(ownerId: string, limit: number): Promise<OutboxRow[]>;
  /** Consumers have handled them. Not earlier: what is in a queue when the process is killed is gone. */
  published(eventIds: readonly string[]): Promise<void>;
  /** How many wait in all, and since when the oldest (epoch milliseconds). */
  backlog(): Promise<{ count: number; oldestAt: number | null }>;
}

export interface DeadLetterRepo {
  /**
   * Keeps what a consumer gave up on; the same message (by `messageId`) again is the same letter with the newest body, open once
   * more. A reason that is known stays when the repetition has none.
   */
  add(letter: DeadLetter): Promise<void>;
  /** Newest first. */
  list(page: PageRequest): Promise<Result<Page<DeadLetterRow>>>;
  byId(letterId: string): Promise<DeadLetterRow | null>;
  /** When it was put on its topic again; null: not at all. */
  markReplayed(letterId: string, replayedAt: number | null): Promise<void>;
  /** How many nobody has replayed. */
  openCount(): Promise<number>;
}

/** A queue message that no consumer could handle. */
export interface DeadLetter {
  readonly deadLetterId: string;
  /** The queue that it came from, or that of the dead letters when nothing tells. */
  readonly queue: string;
  /** What it is recognised by: see src/queues/letters.ts. */
  readonly messageId: string;
  /** JSON. */
  readonly body: string;
  /** Deliveries before it was given up. */
  readonly attempts: number;
  readonly error: string | undefined;
  readonly createdAt: number;
}

/** A kept letter. */
export interface DeadLetterRow {
  readonly letterId: string;
  readonly queue: string;
  readonly body: string;
  readonly attempts: number;
  readonly error: string | null;
  readonly createdAt: number;
  readonly replayedAt: number | null;
}

/** All of SQL. */
export interface Repo {
  readonly users: UserRepo;
  readonly friends: FriendRepo;
  readonly blocks: BlockRepo;
  readonly conversations: ConversationRepo;
  readonly messages: MessageRepo;
  readonly persistence: PersistenceRepo;
  readonly outbox: OutboxRepo;
  readonly deadLetters: DeadLetterRepo;
  readonly admin: AdminRepo;
  /** Whether SQL answers at all. */
  ping(): Promise<boolean>;
}

/**
 * The RPC surface of every Durable Object, in one place: what the gateway, the consumers and the
 * objects call on each other. Plain data in, `Result` out; expected failures are values. New
 * fields are optional, so that a caller of the previous release keeps working during a deploy.
 */
import type {
  Actor,
  AddedMembers,
  ChangedMessages,
  CreateRoom,
  HistoryPage,
  ReadersView,
  RoomChange,
  RoomView,
  SendCommand,
} from "../domain/commands.ts";
import type { PresenceView } from "../domain/comings.ts";
import type { Ban } from "../domain/ban.ts";
import type { Inspection } from "../domain/inspection.ts";
import type { Notice } from "../domain/notices.ts";
import type { MemberState, SeenMessage, StoredMessage } from "../domain/records.ts";
import type { ErrorName, Result } from "../protocol/errors.ts";
import type { Content, Device, Edit, Message, Reaction } from "../protocol/things.ts";
import type { IsolateReport } from "../telemetry/exposition.ts";
import type { Samples } from "../telemetry/meters.ts";
import type { GroupRpc } from "./groupRpc.ts";

export type {
  Actor,
  AddedMembers,
  ChangedMessages,
  CreateRoom,
  HistoryPage,
  ReadersView,
  RoomChange,
  RoomView,
  SendCommand,
} from "../domain/commands.ts";

export interface RoomRpc extends GroupRpc {
  /** One outcome for each send, in the same order. Durable when the call returns. */
  append(sends: SendCommand[]): Promise<Result<StoredMessage>[]>;
  /** Idempotent: creating the same direct conversation again answers the existing one. */
  create(command: CreateRoom): Promise<Result<RoomChange<RoomView>>>;
  view(actor: Actor): Promise<Result<RoomView>>;
  /** `before` and `after` are exclusive sequences; neither: the newest. */
  history(actor: Actor, page: { before?: number; after?: number; limit: number }): Promise<Result<HistoryPage>>;
  /** Members ordered by user id, after `cursor` (exclusive). */
  members(
    actor: Actor,
    page: { cursor?: string; limit: number },
  ): Promise<Result<{ items: MemberState[]; nextCursor: string | null }>>;
  addMembers(actor: Actor, userIds: string[]): Promise<Result<RoomChange<AddedMembers>>>;
  /** Removing oneself is leaving. */
  removeMember(actor: Actor, userId: string): Promise<Result<RoomChange<{ dismissed: boolean }>>>;
  /** Not for the world room, whose pointers live in `UserSession`. */
  markRead(
    actor: Actor,
    seqId: number,
    /** The caller writes the records through to SQL itself (REST); else the outbox does at once. */
    writesThrough: boolean,
  ): Promise<Result<RoomChange<{ readSeqId: number; unreadCount: number }>>>;
  typing(actor: Actor): Promise<Result<void>>;

  /**
   * Changes of a message after it was sent (`src/domain/messageChanges.ts`). `older`: as SQL has it, for a message that has left
   * the log; without it such a message answers MESSAGE_NOT_FOUND. When they return, the cache has no older form of it.
   */
  editMessage(
    actor: Actor,
    messageId: string,
    content: Content,
    older?: StoredMessage,
  ): Promise<Result<RoomChange<SeenMessage>>>;
  /** By a system admin also without being a member. */
  recallMessage(actor: Actor, messageId: string, older?: StoredMessage): Promise<Result<RoomChange<SeenMessage>>>;
  /** @param wanted puts the reaction there, or takes it back */
  react(
    actor: Actor,
    messageId: string,
    emoji: string,
    wanted: boolean,
    older?: StoredMessage,
  ): Promise<Result<RoomChange<Reaction>>>;
  /** Earlier versions; `inLog` false: only SQL has them. */
  edits(actor: Actor, messageId: string, older?: StoredMessage): Promise<Result<{ edits: Edit[]; inLog: boolean }>>;
  readers(actor: Actor, messageId: string, older?: StoredMessage): Promise<Result<ReadersView>>;
  /** Reactions by sequence, also of messages that have left the log. */
  reactions(actor: Actor, seqIds: number[]): Promise<Result<Record<number, Reaction[]>>>;
  /** Messages up to `upTo` that changed since the conversation had this version; at most `limit`, the latest changes. */
  changedSince(actor: Actor, version: number, upTo: number, limit: number): Promise<Result<ChangedMessages>>;
  /**
   * A direct conversation's users became friends, or are friends no more: it opens or closes, as SQL has it now. Throws when
   * SQL does not answer; the event of the change brings the news again.
   */
  friendshipChanged(): Promise<void>;

  /** The REST handler wrote these outbox rows through to SQL, or a consumer handled them. */
  settled(outboxIds: number[]): Promise<void>;
  /** Persist consumer: messages `fromSeqId..toSeqId` are in SQL. */
  persisted(fromSeqId: number, toSeqId: number, outboxIds: number[]): Promise<void>;
  /** Persist consumer gave up on a batch for now; the room tells the senders and tries again later. */
  persistFailed(fromSeqId: number, toSeqId: number): Promise<void>;
  /** Fan-out consumer: everything up to `toSeqId` has been handed to the shards or members. */
  fannedOut(toSeqId: number): Promise<void>;
  /** For admins: undefined when there is no such conversation. */
  inspect(): Promise<Inspection | undefined>;
  /** For consumers and shards, without a membership check: log rows after `after`, and members. */
  readLog(after: number, limit: number): Promise<HistoryPage>;
  memberIds(after: string, limit: number): Promise<string[]>;
  /** Present members who sent something after `from` up to `to`, as far as the log reaches; the latest first. */
  senders(from: number, to: number, limit: number): Promise<{ userIds: string[]; firstSeqId: number }>;
}

/** Account facts that the session stores at sign-in, from SQL. */
export type SignInUser = { userId: string; isGuest: boolean; role: "user" | "admin" };

export type DeviceWish = {
  id?: string;
  kind?: "web" | "ios" | "android" | "desktop" | "bot";
  name?: string;
};

export type SignedIn = {
  deviceId: string;
  /** Opaque, single use; holds the user id so that the gateway finds the object. */
  refreshToken: string;
  /**
   * When this sign-in began, by the object's clock, epoch milliseconds. Access tokens are dated no
   * earlier, whatever the gateway's clock says: what is older is refused.
   */
  validFrom: number;
};

/** A user's presence, and who has asked to be told of it beyond the friends who are told anyway. */
export type WatchedPresence = PresenceView & {
  watchers: string[];
  /** The event that was asked about counts as told now. An object of the release before does not know. */
  isTold?: boolean;
};

/** That a friend came or went. */
export type PresenceNotice = PresenceView & {
  /** The friend. */
  userId: string;
  /** Only for sockets that have asked for it. */
  watched?: boolean;
  /** An answer rather than news: shown although it was shown before. */
  again?: boolean;
};

/** Messages of one conversation after `from` up to `to`, both sequences. */
export type DeliveredRange = { conversationId: string; from: number; to: number };

/**
 * The answer of a room to a send that went through the bus. `requestId` names a failure that an event tells of: the same however
 * often the event comes.
 */
export type LandedSend = { clientMsgId: string; outcome: Result<StoredMessage>; requestId?: string };

export interface SessionRpc {
  /** After the password was checked: makes or reuses a device and begins a refresh family. */
  signIn(user: SignInUser, device: DeviceWish): Promise<Result<SignedIn>>;
  /** Rotates; a reused token revokes its family and closes that device's sockets (UNAUTHENTICATED). */
  refresh(refreshToken: string): Promise<Result<SignedIn & { user: SignInUser }>>;
  signOut(deviceId: string): Promise<Result<void>>;
  devices(currentDeviceId: string): Promise<Device[]>;
  /** NOT_FOUND when there is no such device. Its sockets close, its tokens die. */
  removeDevice(deviceId: string): Promise<Result<void>>;
  /** Sets or lifts a ban; an older decision than the known one changes nothing. A ban signs every device out (close 4017). */
  setBan(ban: Ban): Promise<void>;
  /** By an admin, or as "log out everywhere". Signs every device out: sockets close (4006), all tokens die. Signing in again is allowed. */
  kick(): Promise<void>;
  /** Asked for every authenticated REST call: device alive, not banned, within the rate. */
  admit(deviceId: string, issuedAtMs: number): Promise<Result<{ isGuest: boolean; role: "user" | "admin" }>>;
  /** Guest became a user, or role changed: kept with the devices. */
  accountChanged(user: SignInUser): Promise<void>;
  /** REST send: the same lane as the sockets use, so that one user's order holds. */
  send(actor: Actor, conversationId: string, command: Omit<SendCommand, "actor">): Promise<Result<Message>>;
  /** What became of sends of this user that went through the bus; idempotent. */
  sendsLanded(conversationId: string, outcomes: LandedSend[]): Promise<void>;
  /** World room only: pointer kept here; answers the pointer after the change. */
  markWorldRead(seqId: number, headSeqId: number): Promise<number>;
  worldReadSeqId(): Promise<number>;
  /** Newest sequences that passed through here, by conversation: as new as what the user has seen. */
  heads(): Promise<Record<string, number>>;
  /** How far the user has read, by conversation, as far as that passed through here; SQL is a moment behind it. */
  reads(): Promise<Record<string, number>>;
  /**
   * Serialised frames for every open socket of the user (or all but the named device's).
   * Answers how many sockets were open: 0 tells the caller that the user is away. `range` names the
   * messages among them: a room that cannot be sure delivers again, and what this session has
   * already passed on is not shown twice.
   */
  deliver(frames: string[], range?: DeliveredRange): Promise<number>;
  /**
   * As `deliver`, for a big room: only sockets that have not unsubscribed from it count. `toSeqId`: the newest sequence in the
   * frames.
   */
  deliverBigRoom(conversationId: string, frames: string[], toSeqId?: number): Promise<number>;
  /** A notification that must be seen: to the open sockets, or to the first one that comes. The same event twice is shown once. */
  notify(notice: Notice): Promise<void>;
  /** Own changes (read pointer, settings) to the user's other devices. */
  deliverToOthers(deviceId: string, frames: string[]): Promise<number>;
  /**
   * As friends see this user.
   * @param friendless an event of which a consumer has no friend to tell: told, unless somebody else has asked for it
   */
  presence(friendless?: string): Promise<WatchedPresence>;
  /** From the consumer of its events: everybody whom this one concerns has been told. */
  presenceTold(eventId: string): Promise<void>;
  /** Another user, who is a friend, wants to be told of this one's presence, or does not any more. */
  watch(watcherId: string, wanted: boolean): Promise<WatchedPresence>;
  /** These have no socket any more that asks. */
  forgetWatchers(watcherIds: string[]): Promise<void>;
  /** Shows this user that a friend came or went, unless newer is known; answers how many open sockets there are for it. */
  showPresence(notice: PresenceNotice): Promise<number>;
  /** Durably arms this user's alarm so that SQL outbox rows written next are never forgotten. */
  watchOutbox(): Promise<void>;
}

export interface ShardRpc {
  /**
   * A user's session wants this room's frames; a lease, renewed while the user is connected. Answers the last sequence that was
   * sent to readers before: what is up to there does not come any more (undefined from a shard of an earlier release).
   */
  register(userId: string): Promise<number | undefined>;
  /** @param listens the user is still here: announcements to everyone go on coming */
  unregister(userId: string, listens?: boolean): Promise<void>;
  /** A serialised frame for every user of this shard; answers how many sockets took it. */
  announce(frame: string): Promise<number>;
  /** Sends of this shard's users, batched upwards; outcomes in order. */
  send(sends: SendCommand[]): Promise<Result<StoredMessage>[]>;
  /** The same onto the bus, with `UPSTREAM=topic`: an outcome says whether the bus has the send. */
  produce(sends: SendCommand[]): Promise<Result<undefined>[]>;
  /** From the fan-out consumer; a hole before `fromSeqId` is healed from the log. */
  push(task: { fromSeqId: number; toSeqId: number; messages: StoredMessage[] }): Promise<void>;
  /** A message that readers may have has changed; comes back when they were told. */
  tell(notice: TellNotice): Promise<void>;
  /**
   * Comes back when every reader has taken over everything up to `toSeqId`; false when that will not be known (the shard
   * died since the push, or it takes too long): then the fan-out is not confirmed, and the room repeats it.
   */
  served(toSeqId: number): Promise<boolean>;
  /** A device was signed out: its room sockets close as well. */
  closeDevice(userId: string, deviceId: string, name: ErrorName): Promise<void>;
  readers(): Promise<{ sockets: number; sessions: number }>;
}

/**
 * Frame of a changed message. `key`: of two notices with the same key that of the higher `version` is enough. `message`: its new form,
 * when it was recalled the time of that; absent when only a reaction came or went.
 */
export type TellNotice = {
  seqId: number;
  version: number;
  key: string;
  frame: string;
  message?: StoredMessage | number;
};

/** Commands of the cache, the dialect of Redis, as much as we use of it; SETMAX and DELIF are scripts there. */
export type CacheCommand =
  | ["GET", string]
  | ["MGET", ...string[]]
  | ["SET", string, string, number?] // key, value, life in ms
  | ["SETNX", string, string, number?]
  | ["DEL", ...string[]]
  /** Raises a number, and never lowers it: a command that comes late changes nothing. Answers what stands there now. */
  | ["SETMAX", string, string]
  /** Deletes the key when the number there is at most this one; answers how many keys went, as DEL. */
  | ["DELIF", string, string]
  | ["ZADD", string, number, ...(string | number)[]] // key, max size kept, score, member, …
  | ["ZREMRANGEBYSCORE", string, number, number]
  | ["ZRANGE", string, number, number];
export type CacheReply = string | number | null | (string | null)[];

export interface CacheRpc {
  pipeline(commands: CacheCommand[]): Promise<CacheReply[]>;
}

export interface MetricsRpc {
  /** What an isolate has counted since it began, and how things stand there. Idempotent. */
  report(report: IsolateReport): Promise<void>;
  /** Sums over all isolates that ever were; gauges of those that reported lately. */
  read(): Promise<{ totals: Samples; gauges: Samples; isolates: number }>;
}

/**
 * What the parts of a room's core share: its memory, the newest rows of its log, and the effects of
 * the step that runs. One owner (`RoomCore`) calls the parts; they never call each other.
 */
import { ChangeBrake } from "./changeBrake.ts";
import type { ContentFilter } from "./contentFilter.ts";
import { jsonBytes } from "./jsonSize.ts";
import type { Counters, LogRow, RoomStore } from "./ports.ts";
import type { Rate } from "./rate.ts";
import { WORLD, WORLD_ROOM_ID, type ConversationState, type MemberState, type StoredMessage } from "./records.ts";
import type { RoomEffect, TimerName } from "./roomEffects.ts";
import { worldState } from "./membership.ts";

/** Numbers that a room works with. The simulator makes them small, so that short runs meet each border. */
export type RoomLimits = {
  /** Larger conversations are delivered by fan-out tasks. */
  directDelivery: number;
  /** A resend is recognised at least so long. */
  dedupeWindowMs: number;
  /** Messages that a cache holds of a conversation; as many stay in the log whatever their age. */
  hotMessages: number;
  /** A sender may edit a message so long. */
  editWindowMs: number;
  /** A sender may recall a message so long. */
  recallWindowMs: number;
  /** Changes of messages by one user in a room that fan-out tasks serve: each goes to every reader. */
  bigRoomChanges: Rate;
};

/** Source: DESIGN section 3. */
export const DIRECT_DELIVERY_LIMIT = 500;
/** Source: DESIGN section 1. */
export const DEDUPE_WINDOW_MS = 7 * 24 * 3_600_000;
/** Source: DESIGN section 4, `hot_messages`. */
export const HOT_MESSAGES = 300;

/** Source of both: WIRE "Messages". */
export const EDIT_WINDOW_MS = 24 * 3_600_000;
export const RECALL_WINDOW_MS = 2 * 60_000;
/** One typing of a user in two seconds is passed on; clients show it for longer. Not in the contract. */
const TYPING_RATE: Rate = { perSecond: 0.5, burst: 1 };
/** Not in the contract: as often as one may send to the world room. */
export const BIG_ROOM_CHANGES: Rate = { perSecond: 1, burst: 5 };

export const ROOM_LIMITS: RoomLimits = {
  directDelivery: DIRECT_DELIVERY_LIMIT,
  dedupeWindowMs: DEDUPE_WINDOW_MS,
  hotMessages: HOT_MESSAGES,
  editWindowMs: EDIT_WINDOW_MS,
  recallWindowMs: RECALL_WINDOW_MS,
  bigRoomChanges: BIG_ROOM_CHANGES,
};

/**
 * A queue message holds 128 KB (platform); room is left for the envelope. Whatever is larger is refused each time it is
 * sent again, and everything behind it in the room would wait for ever.
 */
export const BATCH_BYTES = 120_000;
const BATCH_RECORDS = 500;
/** Upstash takes 1 MB in a request on its smallest plan; the largest message is 50 KB. */
const HOT_BYTES = 500_000;
/** Rows that are read at first to fill a batch. */
const FIRST_PAGE = 8;
/** JSON of a record of a message without what `sizeOf` counts: at most 517 with the longest ids and numbers. */
const MESSAGE_OVERHEAD_BYTES = 520;
/** An id in quotes and its comma; the longest preview (100 code points, six bytes each at most) with its ids. */
const MENTION_BYTES = 30;
const REPLY_BYTES = 800;
/** Rows kept in memory for rounds and batches; the log has the rest. */
const RECENT_ROWS = 256;
/** More than the messages that a pipeline carries to the cache. */
const REACTED_KEPT = 1_000;
/** Log rows looked at by one pruning. */
const PRUNE_ROWS = 1_000;

export class RoomContext {
  readonly conversationId: string;
  readonly store: RoomStore;
  readonly limits: RoomLimits;
  /** What may not be said in the world room. */
  readonly filter: ContentFilter;
  state: ConversationState | undefined;
  counters: Counters;
  headSeqId: number;
  headCreatedAt: number;
  hasOutbox: boolean;
  /** Time of the step that runs, epoch milliseconds. */
  now: number;
  /** Grows while confirmations fail; the retry time grows with it. */
  attempts = 0;
  effects: RoomEffect[] = [];
  /** Version that the cache was told last in this life; 0 when nobody knows whether it heard. */
  cachedVersion = 0;
  /** Sequences whose cached form is not to be shown any more, by the outbox row of the news that nobody was told of yet. */
  readonly untold = new Map<number, number[]>();
  /** Changes that go to the readers of a big room, and typing. */
  readonly #changeBrake: ChangeBrake;
  readonly typingBrake = new ChangeBrake(TYPING_RATE);
  readonly #armed = new Set<TimerName>();
  /** Newest rows, without a hole, the last one at the head. */
  #recent: LogRow[] = [];
  /**
   * Newest own message of each sender whose read pointer does not stand there yet. A sender has
   * read what they sent; writing that with every send would cost a row each, so it is written when
   * SQL confirms, and after a crash it is found again in the rows that SQL has not confirmed.
   */
  readonly #ownSeqIds = new Map<string, number>();
  /** Messages that were reacted to in this life, the latest last. */
  readonly #reacted = new Set<number>();
  /** A message has changed in this life. */
  #hasReplaced = false;
  /** The head when this life began. */
  readonly #wokeAt: number;

  constructor(conversationId: string, store: RoomStore, limits: RoomLimits, filter: ContentFilter, now: number) {
    this.conversationId = conversationId;
    this.store = store;
    this.limits = limits;
    this.filter = filter;
    this.now = now;
    this.#changeBrake = new ChangeBrake(limits.bigRoomChanges);
    const image = store.load();
    this.state = conversationId === WORLD_ROOM_ID ? worldState(conversationId, image.state) : image.state;
    this.counters = image.counters;
    this.headSeqId = image.headSeqId;
    this.#wokeAt = image.headSeqId;
    this.headCreatedAt = image.headCreatedAt;
    this.hasOutbox = image.hasOutbox;
    this.#findOwn();
  }

  /** A member as of now, own messages counted as read. */
  member(userId: string): MemberState | undefined {
    const member = this.store.member(userId);
    return member === undefined ? undefined : this.withOwnRead(member);
  }

  withOwnRead(member: MemberState): MemberState {
    const own = this.#ownSeqIds.get(member.userId) ?? 0;
    return own > member.readSeqId ? { ...member, readSeqId: own } : member;
  }

  /** 0, and a token is taken; or how long `userId` has to wait with another change that goes to a big room's readers. */
  changeWaitMs(userId: string, now: number): number {
    return this.big ? this.#changeBrake.take(userId, now) : 0;
  }

  /** Members since `joinedBy`, and who of them has read up to `seqId`; own messages count as read. */
  countReaders(seqId: number, joinedBy: number): { members: number; readers: number } {
    const { members, readers } = this.store.countReaders(seqId, joinedBy);
    // Their pointer on disk is behind what they sent.
    const late = [...this.#ownSeqIds].filter(([userId, own]) => {
      const member = own >= seqId ? this.store.member(userId) : undefined;
      return member !== undefined && member.readSeqId < seqId && member.joinedAt <= joinedBy;
    });
    return { members, readers: readers + late.length };
  }

  /** Writes the read pointers of these rows' senders; inside the caller's transaction. */
  saveOwnRead(rows: readonly LogRow[]): void {
    for (const userId of new Set(rows.map((row) => row.message.senderId))) {
      const member = this.member(userId);
      if (member !== undefined) {
        this.store.putMember(member);
      }
    }
  }

  /** Own messages up to `seqId` stand in the members' rows. */
  forgetOwnRead(seqId: number): void {
    for (const [userId, own] of this.#ownSeqIds) {
      if (own <= seqId) {
        this.#ownSeqIds.delete(userId);
      }
    }
  }

  /** Page by page: after a long outage of SQL all of these rows at once would not fit into memory, and the room would never wake again. */
  #findOwn(): void {
    for (let from = this.counters.persistedSeqId; from < this.headSeqId;) {
      const rows = this.store.messagesAfter(from, BATCH_RECORDS);
      const last = rows.at(-1);
      if (last === undefined) {
        return;
      }
      this.#noteOwn(rows);
      from = last.message.seqId;
    }
  }

  #noteOwn(rows: readonly LogRow[]): void {
    for (const { message } of rows) {
      this.#ownSeqIds.set(message.senderId, message.seqId);
    }
  }

  /** Too many readers for rounds: fan-out tasks carry its messages. */
  get big(): boolean {
    return this.state?.type === WORLD || (this.state?.memberCount ?? 0) > this.limits.directDelivery;
  }

  /** One timer of each name is armed at a time. */
  timer(name: TimerName, inMs: number): void {
    if (!this.#armed.has(name)) {
      this.#armed.add(name);
      this.effects.push({ kind: "timer", name, inMs });
    }
  }

  fired(name: TimerName): void {
    this.#armed.delete(name);
  }

  /** Rows that were committed just now, ascending. */
  remember(rows: readonly LogRow[]): void {
    const last = rows.at(-1);
    if (last === undefined) {
      return;
    }
    this.headSeqId = last.message.seqId;
    this.headCreatedAt = last.message.createdAt;
    this.counters = { ...this.counters, logId: last.logId };
    this.#noteOwn(rows);
    this.#recent.push(...rows);
    if (this.#recent.length > 2 * RECENT_ROWS) {
      this.#recent = this.#recent.slice(-RECENT_ROWS);
    }
  }

  /** Rows that were changed just now: what is delivered or persisted from here on is the new content. */
  replaced(rows: readonly LogRow[]): void {
    this.#hasReplaced ||= rows.length > 0;
    const first = this.#recent[0]?.message.seqId ?? Infinity;
    for (const row of rows) {
      const at = row.message.seqId - first;
      if (at >= 0 && at < this.#recent.length) {
        this.#recent[at] = row;
      }
    }
  }

  /** These messages as they are now: an effect may wait for its timer while one of them changes. */
  asNow(messages: StoredMessage[]): StoredMessage[] {
    if (!this.#hasReplaced) {
      return messages;
    }
    const first = this.#recent[0]?.message.seqId ?? Infinity;
    return messages.map((message) => {
      const row = message.seqId >= first ? this.#recent[message.seqId - first] : this.store.message(message.seqId);
      return row?.message ?? message;
    });
  }

  /** Somebody has reacted to this message. */
  reacted(seqId: number): void {
    this.#reacted.delete(seqId);
    this.#reacted.add(seqId);
    if (this.#reacted.size > REACTED_KEPT) {
      const [oldest] = this.#reacted;
      this.#reacted.delete(oldest ?? 0);
    }
  }

  /**
   * Those of these messages that a cache may hold, as they are now. A cached message stands for all its readers, but reactions look
   * different to each: a message with reactions is read from the log.
   */
  cacheable(messages: StoredMessage[]): StoredMessage[] {
    const [first] = messages;
    if (this.#reacted.size === 0 && (first === undefined || first.seqId > this.#wokeAt)) {
      return this.asNow(messages);
    }
    // What was reacted to in this life is known; for earlier lives the store is asked, once after waking.
    const before = messages.filter((message) => message.seqId <= this.#wokeAt).map((message) => message.seqId);
    const found = before.length === 0 ? undefined : this.store.changes.reactions(before, "");
    return this.asNow(messages).filter(({ seqId }) => !this.#reacted.has(seqId) && found?.has(seqId) !== true);
  }

  /** Rows after `from` up to `to`, from memory where they are there. */
  rows(from: number, to: number): LogRow[] {
    if (to <= from) {
      return [];
    }
    const first = this.#recent[0]?.message.seqId;
    if (first !== undefined && from + 1 >= first) {
      return this.#recent.slice(from + 1 - first, to + 1 - first);
    }
    return this.store.messagesAfter(from, to - from);
  }

  /** Rows after `from` up to `to`, as many as one queue message holds beside `taken` bytes, at least one. */
  fitting(from: number, to: number, taken = 0): LogRow[] {
    const fit: LogRow[] = [];
    let bytes = taken;
    const end = Math.min(to, from + BATCH_RECORDS);
    // In pages that grow: of long messages three fit, and behind the memory reading hundreds for three would take all of the room's time.
    for (let page = FIRST_PAGE; ; page *= 2) {
      const rows = this.rows(from + fit.length, Math.min(end, from + fit.length + page));
      for (const row of rows) {
        bytes += MESSAGE_OVERHEAD_BYTES + sizeOf(row.message);
        if (fit.length > 0 && bytes > BATCH_BYTES) {
          return fit;
        }
        fit.push(row);
      }
      if (rows.length < page) {
        return fit;
      }
    }
  }

  /** The newest rows after `from` up to `to` that a flight to the cache holds. What is not in the cache, the log has. */
  hot(from: number, to: number): LogRow[] {
    const rows = this.rows(Math.max(from, to - this.limits.hotMessages), to);
    let bytes = 0;
    const tooMuch = rows.findLastIndex(({ message }) => {
      bytes += MESSAGE_OVERHEAD_BYTES + sizeOf(message);
      return bytes > HOT_BYTES;
    });
    return rows.slice(tooMuch + 1);
  }

  /** Rows leave the log only when they are in SQL, delivered, not hot, and too old to be sent again. */
  prune(): void {
    const { counters, limits, store } = this;
    const [oldest] = store.messagesAfter(counters.firstSeqId - 1, 1);
    if (oldest === undefined || oldest.message.createdAt >= this.now - limits.dedupeWindowMs) {
      return;
    }
    const limit = Math.min(counters.persistedSeqId, counters.deliveredSeqId, this.headSeqId - limits.hotMessages);
    const last = store
      .messagesAfter(counters.firstSeqId - 1, PRUNE_ROWS)
      .filter(({ message }) => message.seqId <= limit && message.createdAt < this.now - limits.dedupeWindowMs)
      .at(-1);
    if (last !== undefined) {
      this.counters = { ...counters, firstSeqId: last.message.seqId + 1 };
      store.transaction(() => {
        store.pruneMessages(last.message.seqId);
        store.saveCounters(this.counters);
      });
    }
  }
}

/** UTF-8 bytes of what varies in a message as JSON, from above. */
function sizeOf(message: StoredMessage): number {
  return (
    jsonBytes(message.content) +
    (message.mentions?.length ?? 0) * MENTION_BYTES +
    (message.replyTo === undefined ? 0 : REPLY_BYTES)
  );
}

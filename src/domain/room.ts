/**
 * The core of a conversation: the one place that gives out its sequence numbers. It holds the
 * log's head, decides, and says what to do next as effects; everything that repeats (cache
 * pipeline, delivery rounds, persist batches, fan-out tasks) is one flight at a time, and the next
 * flight carries all that was committed meanwhile. Adapters (the object, the simulator) apply the
 * effects; alarms belong to the same commit as the change, everything else waits until after it.
 */
import { err, ERRORS, ok, type Fault, type Result } from "../protocol/errors.ts";
import type { ServerFrame } from "../protocol/frames.ts";
import type { Actor, HistoryPage, RoomView, SendCommand } from "./commands.ts";
import { NO_FILTER, type ContentFilter } from "./contentFilter.ts";
import { requireMember } from "./membership.ts";
import { withReactions } from "./messageViews.ts";
import type { Counters, GroupStore, LogRow, OutboxRow, Random, RoomStore } from "./ports.ts";
import type { ConversationState, MemberState, RoomRecord, StoredMessage } from "./records.ts";
import { writeCommit, type RoomCommit } from "./roomCommit.ts";
import { ROOM_LIMITS, RoomContext, type RoomLimits } from "./roomContext.ts";
import { RoomDelivery } from "./roomDelivery.ts";
import type { RoomEffect, TimerName } from "./roomEffects.ts";
import { persistFailed, RoomOutbox } from "./roomOutbox.ts";
import { decideSend, type OlderMessages } from "./sendRules.ts";

export { DIRECT_DELIVERY_LIMIT, HOT_MESSAGES, DEDUPE_WINDOW_MS, type RoomLimits } from "./roomContext.ts";
export { FANOUT_WINDOW_MS } from "./roomDelivery.ts";
export type { OutboxDraft, RoomEffect, TimerName } from "./roomEffects.ts";
export { OUTBOX_RETRY_MAX_MS, OUTBOX_RETRY_MS } from "./roomOutbox.ts";

export class RoomCore {
  readonly conversationId: string;
  /** For the rules beside this class, which read it; what they decide is written by `commit` alone. */
  readonly room: RoomContext;
  readonly #random: Random;
  readonly #delivery: RoomDelivery;
  readonly #outbox: RoomOutbox;
  #alarmAt = 0;
  /** Up to here senders were told that SQL did not take their messages for now. */
  #failedSeqId = 0;

  constructor(
    conversationId: string,
    store: RoomStore,
    random: Random,
    now: number,
    limits: RoomLimits = ROOM_LIMITS,
    filter: ContentFilter = NO_FILTER,
  ) {
    this.conversationId = conversationId;
    this.#random = random;
    this.room = new RoomContext(conversationId, store, limits, filter, now);
    this.#outbox = new RoomOutbox(this.room);
    this.#delivery = new RoomDelivery(this.room);
    if (this.#pending()) {
      // What the last incarnation did not finish: members may be waiting for it right now.
      this.#continue();
    }
  }

  /** Effects since the last call, in order. */
  takeEffects(): RoomEffect[] {
    const effects = this.room.effects;
    this.room.effects = [];
    return effects;
  }

  get state(): ConversationState | undefined {
    return this.room.state;
  }

  get headSeqId(): number {
    return this.room.headSeqId;
  }

  get counters(): Readonly<Counters> {
    return this.room.counters;
  }

  /** Invites and join requests; written only by a change's `write`. */
  get groups(): GroupStore {
    return this.room.store.groups;
  }

  // ---- messages

  /**
   * One outcome for each send, in order; all rows of the batch in one transaction.
   * @param older what SQL has of answered messages that have left the log (`olderTargets`)
   */
  append(sends: readonly SendCommand[], now: number, older?: OlderMessages): Result<StoredMessage>[] {
    const room = this.room;
    const { state, store } = room;
    if (state === undefined) {
      return sends.map(() => err({ name: "CONVERSATION_NOT_FOUND" }));
    }
    const rows: LogRow[] = [];
    const outcomes = store.transaction(() => {
      const head = { seqId: room.headSeqId, logId: room.counters.logId, createdAt: room.headCreatedAt };
      const held = new Map<string, Fault>();
      return sends.map((send): Result<StoredMessage> => {
        const { userId } = send.actor;
        const before = held.get(userId);
        if (before !== undefined && store.findSend(userId, send.clientMsgId) === undefined) {
          // Its sender repeats the one before later, and this one must not overtake it.
          return err(before);
        }
        const member = store.member(userId);
        const decided = decideSend(store, state, member, send, head, now, this.#random, room.filter, older);
        if (!decided.ok) {
          if (before === undefined && ERRORS[decided.fault.name].retry === "later") {
            held.set(userId, decided.fault);
          }
          return decided;
        }
        const { row, fresh } = decided.value;
        if (fresh) {
          store.insertMessage(row);
          rows.push(row);
          head.seqId = row.message.seqId;
          head.logId = row.logId;
          head.createdAt = row.message.createdAt;
        }
        return ok(row.message);
      });
    });
    if (rows.length > 0) {
      room.now = now;
      room.remember(rows);
      this.#delivery.newBatch();
      this.#continue();
    }
    return outcomes;
  }

  /** A page of the log for a member, ascending; `before` and `after` are exclusive. */
  history(actor: Actor, page: { before?: number; after?: number; limit: number }): Result<HistoryPage> {
    const { state, store, headSeqId, counters } = this.room;
    const member = requireMember(state, store.member(actor.userId), actor);
    if (!member.ok) {
      return member;
    }
    const rows =
      page.after === undefined
        ? store.messagesBefore(page.before ?? headSeqId + 1, page.limit)
        : store
            .messagesAfter(page.after, page.limit)
            .filter((row) => page.before === undefined || row.message.seqId < page.before);
    const messages = rows.map((row) => row.message);
    return ok({
      messages: withReactions(store.changes, messages, actor.userId),
      headSeqId,
      firstSeqId: counters.firstSeqId,
    });
  }

  /** Log rows after `after`, for consumers and shards; no membership is asked. */
  readLog(after: number, limit: number): HistoryPage {
    const { headSeqId, counters } = this.room;
    return {
      messages: this.room.rows(after, Math.min(headSeqId, after + limit)).map((row) => row.message),
      headSeqId,
      firstSeqId: counters.firstSeqId,
      deliveredSeqId: Math.max(counters.deliveredSeqId, this.#delivery.deliveredSeqId),
      ...(this.state === undefined ? {} : { version: this.state.version }),
    };
  }

  view(actor: Actor): Result<RoomView> {
    const { state, headSeqId } = this.room;
    const found = requireMember(state, this.room.member(actor.userId), actor);
    if (!found.ok) {
      return found;
    }
    return ok({
      conversation: found.value.state,
      headSeqId,
      role: found.value.member.role,
      readSeqId: found.value.member.readSeqId,
    });
  }

  member(userId: string): MemberState | undefined {
    return this.room.member(userId);
  }

  members(cursor: string, limit: number): MemberState[] {
    return this.room.store.members(cursor, limit).map((member) => this.room.withOwnRead(member));
  }

  /** Frames to these users, once; nothing of it is kept. */
  push(userIds: readonly string[], frames: ServerFrame[]): void {
    this.room.effects.push(...userIds.map((userId) => ({ kind: "push" as const, userId, frames })));
  }

  /** A frame to the other members of a small room who are here, unless they are too many to read it; nothing of it is kept. */
  showHere(from: string, frame: ServerFrame, now: number): void {
    this.room.now = now;
    this.#delivery.showHere(from, frame);
  }

  // ---- changes of anything but messages

  /**
   * Commits a change in one transaction; with `held` the caller writes the records through to SQL, with those of earlier changes
   * that are not there yet, and says `settled`.
   */
  commit(change: RoomCommit, now: number): { records: RoomRecord[]; outboxIds: number[] } {
    const room = this.room;
    this.#outbox.deleteSettled();
    const gone = new Set(change.supersedes);
    const behind = change.held ? this.#outbox.behind().filter((row) => !gone.has(row.id)) : [];
    const { records, heldIds, rows, replaced } = writeCommit(room, change, now);
    room.now = now;
    room.replaced(replaced);
    this.#outbox.deleted(change.supersedes ?? []);
    if (change.state !== undefined) {
      room.state = change.state;
    }
    if (change.state !== undefined && (change.put !== undefined || change.removed !== undefined)) {
      // Membership changes come with a new state; a moved read pointer does not.
      this.#delivery.membersChanged(change.removed ?? []);
    }
    this.#outbox.added(rows, change.held);
    this.#ensureAlarm();
    this.#outbox.tryPersist();
    return {
      records: [...behind.map((row) => JSON.parse(row.body) as RoomRecord), ...records],
      outboxIds: [...behind.map((row) => row.id), ...heldIds],
    };
  }

  /** Outbox rows that SQL or a consumer has. */
  settled(outboxIds: readonly number[], now: number): void {
    if (outboxIds.length > 0) {
      this.room.now = now;
      this.#outbox.settled(outboxIds);
    }
  }

  /** The first rows that nobody has confirmed. */
  outbox(limit: number): OutboxRow[] {
    this.#outbox.deleteSettled();
    return this.room.store.outbox(limit);
  }

  // ---- answers to effects

  /** A delivery's answer: open sockets of that user, or "failed". */
  delivered(userId: string, delivery: { from: number; to: number }, sockets: number | "failed", now: number): void {
    this.room.now = now;
    this.#delivery.answered(userId, delivery, sockets);
  }

  /**
   * The cache pipeline came back with those of `presenceOf` who are online. `complete` false (the
   * cache was emptied not long ago) and "failed" both mean: whoever is not named may be online.
   */
  cached(answer: { online: string[]; complete: boolean } | "failed", now: number): void {
    if (answer === "failed") {
      this.room.cachedVersion = 0;
    }
    this.room.now = now;
    this.#delivery.cached(answer);
  }

  /** The persist batch could not be put on the bus; the alarm tries again. */
  persistRefused(now: number): void {
    this.room.now = now;
    this.#outbox.failed();
  }

  /** Messages up to `toSeqId` are in SQL; their senders are told. */
  persisted(fromSeqId: number, toSeqId: number, outboxIds: readonly number[], now: number): void {
    const room = this.room;
    room.now = now;
    const before = room.counters.persistedSeqId;
    // A batch that starts behind a hole proves nothing about the hole.
    const reaches = toSeqId > before && fromSeqId <= before + 1;
    const confirmed = reaches ? room.rows(before, toSeqId) : [];
    this.#outbox.deleteSettled();
    room.store.transaction(() => {
      this.#outbox.delete(outboxIds);
      if (reaches) {
        room.counters = {
          ...room.counters,
          persistedSeqId: Math.min(toSeqId, room.headSeqId),
          deliveredSeqId: Math.max(room.counters.deliveredSeqId, this.#delivery.deliveredSeqId),
        };
        room.store.saveCounters(room.counters);
        room.saveOwnRead(confirmed);
      }
    });
    room.forgetOwnRead(room.counters.persistedSeqId);
    this.#outbox.deleted(outboxIds);
    this.#outbox.persisted(toSeqId);
    this.#outbox.confirm(confirmed);
    this.#outbox.tryPersist();
  }

  /** The consumer gave up on a batch for now: tell the senders, keep the record, try again later. */
  persistFailed(fromSeqId: number, toSeqId: number, now: number): void {
    const room = this.room;
    room.now = now;
    // A batch that was sent again fails again: its senders know.
    const known = Math.max(room.counters.persistedSeqId, this.#failedSeqId);
    const rows = room.rows(Math.max(fromSeqId - 1, known), toSeqId);
    this.#failedSeqId = Math.max(this.#failedSeqId, toSeqId);
    const failed = rows.map(({ message }) => persistFailed(message));
    if (failed.length > 0) {
      this.commit({ outbox: failed, held: false }, now);
    }
    // Behind the commit, which sends whatever nobody is at: what has just failed waits for the alarm.
    this.#outbox.failed();
  }

  /** The fan-out task up to `toSeqId` could not be put on the bus. */
  fanoutRefused(now: number): void {
    this.room.now = now;
    this.room.attempts += 1;
    this.#delivery.fanoutRefused();
  }

  /** Shards or members have everything up to `toSeqId`; made durable with the next confirmation. */
  fannedOut(toSeqId: number, now: number): void {
    this.room.now = now;
    this.#delivery.fannedOut(toSeqId);
  }

  onTimer(name: TimerName, now: number): void {
    this.room.now = now;
    this.room.fired(name);
    switch (name) {
      case "patience":
        return this.#delivery.onPatience();
      case "retry":
        return this.#delivery.onRetry();
      case "gather":
        return this.#delivery.onGathered();
      case "persist":
        return this.#outbox.tryPersist();
      case "fanout":
        return this.#delivery.tryFanout();
      case "cache":
        return this.#delivery.tryCache();
    }
  }

  /** Sends again whatever has not been confirmed, prunes the log, and arms itself while needed. */
  onAlarm(now: number): void {
    const room = this.room;
    room.now = now;
    this.#alarmAt = 0;
    const { retryMs } = this.#outbox;
    this.#outbox.onAlarm();
    if (this.#delivery.onAlarm(retryMs)) {
      room.attempts += 1;
    }
    const delivered = this.#delivery.deliveredSeqId;
    if (delivered > room.counters.deliveredSeqId) {
      room.counters = { ...room.counters, deliveredSeqId: delivered };
      room.store.transaction(() => room.store.saveCounters(room.counters));
    }
    room.prune();
    this.#continue();
  }

  // ---- flights

  /** Starts whatever waits and is not under way. */
  #continue(): void {
    if (this.#pending()) {
      this.#ensureAlarm();
    }
    this.#delivery.committed();
    this.#outbox.tryPersist();
  }

  #pending(): boolean {
    const { hasOutbox, counters, headSeqId } = this.room;
    return hasOutbox || counters.persistedSeqId < headSeqId || counters.deliveredSeqId < headSeqId;
  }

  #ensureAlarm(): void {
    if (this.#alarmAt === 0) {
      this.#alarmAt = this.room.now + this.#outbox.retryMs;
      this.room.effects.push({ kind: "alarm", at: this.#alarmAt });
    }
  }
}

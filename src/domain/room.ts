/**
 * The core of a conversation: the one place that gives out its sequence numbers. It holds the
 * log's head, decides, and says what to do next as effects; everything that repeats (cache
 * pipeline, delivery rounds, persist batches, fan-out tasks) is one flight at a time, and the next
 * flight carries all that was committed meanwhile. Adapters (the object, the simulator) apply the
 * effects; alarms belong to the same commit as the change, everything else waits until after it.
 */
import { err, ok, type Result } from "../protocol/errors.ts";
import type { ServerFrame } from "../protocol/frames.ts";
import type { TopicName } from "../protocol/events.ts";
import type { Actor, HistoryPage, RoomView, SendCommand } from "./commands.ts";
import { requireMember, worldState } from "./membership.ts";
import type { Counters, LogRow, OutboxRow, Random, RoomStore } from "./ports.ts";
import {
  WORLD,
  WORLD_ROOM_ID,
  type ConversationState,
  type FanoutTask,
  type MemberState,
  type PersistBatch,
  type RoomRecord,
  type StoredMessage,
} from "./records.ts";
import { DeliveryRounds, type Delivery } from "./rounds.ts";
import { decideSend } from "./sendRules.ts";

/** Larger conversations are delivered by fan-out tasks. Source: DESIGN section 3. */
export const DIRECT_DELIVERY_LIMIT = 500;
/** At most one fan-out task in this time. Source: DESIGN section 2, FanoutShard. */
export const FANOUT_WINDOW_MS = 100;
/** What is not confirmed after this time is sent again; doubles up to the maximum. */
export const OUTBOX_RETRY_MS = 5_000;
export const OUTBOX_RETRY_MAX_MS = 60_000;
/** A queue message holds 128 KB (platform); room is left for the envelope. */
const BATCH_BYTES = 96_000;
const BATCH_RECORDS = 500;
/** JSON of a message without its content, roughly; only to keep batches below the limit. */
const MESSAGE_OVERHEAD_BYTES = 400;
/** The next persist batch leaves after this multiple of the last one's way there and back, at most
 * after the maximum: alone a message is in SQL at once, under load batches grow. */
const PERSIST_PAUSE_FACTOR = 3;
const PERSIST_PAUSE_MAX_MS = 250;
/** Messages that a cache holds of a conversation. Source: DESIGN section 4, `hot_messages`. */
export const HOT_MESSAGES = 300;
/** Rows kept in memory for rounds and batches; the log has the rest. */
const RECENT_ROWS = 256;
/** A resend is recognised at least so long. Source: DESIGN section 1. */
export const DEDUPE_WINDOW_MS = 7 * 24 * 3_600_000;
/** Presence is read again for the same receiver so often, per batch, before its client is left to sync. */
const RECHECK_LIMIT = 3;
const OUTBOX_PAGE = 200;

export type TimerName = "patience" | "retry" | "persist" | "fanout";

export type RoomEffect =
  | { kind: "deliver"; from: number; to: number; messages: StoredMessage[]; userIds: string[] }
  | { kind: "push"; userId: string; frames: ServerFrame[] }
  | { kind: "cache"; headSeqId: number; messages: StoredMessage[]; presenceOf: string[] }
  | { kind: "persist"; batch: PersistBatch }
  | { kind: "publish"; rows: { topic: TopicName; body: string }[] }
  | { kind: "fanout"; task: FanoutTask }
  | { kind: "timer"; name: TimerName; inMs: number }
  /** Durable; belongs to the same commit as the change. */
  | { kind: "alarm"; at: number };

/** What a change of anything but messages leaves behind, besides its rows. */
export type OutboxDraft =
  | { kind: "record"; record: (logId: number) => RoomRecord }
  | { kind: "event"; topic: TopicName; event: (eventId: string, timestampS: number) => object };

type CacheFlight = { from: number; to: number; asked: string[] };
type Unsure = { cursor: number; soon: boolean };

export class RoomCore {
  readonly conversationId: string;
  readonly #store: RoomStore;
  readonly #random: Random;
  #effects: RoomEffect[] = [];

  #state: ConversationState | undefined;
  #counters: Counters;
  #headSeqId: number;
  #headCreatedAt: number;
  /** Newest rows, without a hole, the last one at the head. */
  #recent: LogRow[] = [];
  /** Members of a room small enough for rounds, or undefined when it must be read (again). */
  #memberIds: string[] | undefined;

  readonly #rounds: DeliveryRounds;
  #doneHere: { userId: string; delivery: Delivery }[] = [];
  #cacheFlight: CacheFlight | undefined;
  #cachedSeqId: number;
  #cacheDown = false;
  #unsure = new Map<string, Unsure>();
  #rechecks = new Map<string, number>();

  #persistFlight: { to: number; outboxIds: number[]; startedAt: number } | undefined;
  #persistNotBefore = 0;
  #unsentRecords: OutboxRow[] = [];
  /** When each outbox row was last sent (or begun to be written through). */
  #sentAt = new Map<number, number>();
  #armed = new Set<TimerName>();
  #fanoutSeqId: number;
  #fanoutNotBefore = 0;
  #fanoutSentAt = 0;
  #hasOutbox: boolean;
  #alarmAt = 0;
  #attempts = 0;
  #now = 0;

  constructor(conversationId: string, store: RoomStore, random: Random, now: number) {
    this.conversationId = conversationId;
    this.#store = store;
    this.#random = random;
    const image = store.load();
    this.#state =
      image.state ?? (conversationId === WORLD_ROOM_ID ? worldState(conversationId) : undefined);
    this.#counters = image.counters;
    this.#headSeqId = image.headSeqId;
    this.#headCreatedAt = image.headCreatedAt;
    this.#hasOutbox = image.hasOutbox;
    const delivered = Math.min(image.counters.deliveredSeqId, image.headSeqId);
    this.#cachedSeqId = delivered;
    this.#fanoutSeqId = delivered;
    this.#rounds = new DeliveryRounds(
      {
        deliver: (delivery) => this.#deliver(delivery),
        patience: (inMs) => this.#timer("patience", inMs),
        retry: (inMs) => this.#timer("retry", inMs),
        unsure: (userId, cursor, soon) => this.#recheck(userId, cursor, soon),
      },
      delivered,
    );
    if (this.#pending()) {
      // What the last incarnation did not finish: members may be waiting for it right now.
      this.#run(now, () => this.#afterCommit());
    }
  }

  /** Effects since the last call, in order. */
  takeEffects(): RoomEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  get state(): ConversationState | undefined {
    return this.#state;
  }

  get headSeqId(): number {
    return this.#headSeqId;
  }

  get counters(): Readonly<Counters> {
    return this.#counters;
  }

  // ---- messages

  /** One outcome for each send, in order; all rows of the batch in one transaction. */
  append(sends: readonly SendCommand[], now: number): Result<StoredMessage>[] {
    const state = this.#state;
    if (state === undefined) {
      return sends.map(() => err({ name: "CONVERSATION_NOT_FOUND" }));
    }
    const rows: LogRow[] = [];
    const outcomes = this.#store.transaction(() => {
      const head = {
        seqId: this.#headSeqId,
        logId: this.#counters.logId,
        createdAt: this.#headCreatedAt,
      };
      const touched = new Map<string, MemberState>();
      const results = sends.map((send): Result<StoredMessage> => {
        const userId = send.actor.userId;
        const member = touched.get(userId) ?? this.#store.member(userId);
        const decided = decideSend(this.#store, state, member, send, head, now, this.#random);
        if (!decided.ok) {
          return decided;
        }
        const { row, fresh } = decided.value;
        if (fresh) {
          this.#store.insertMessage(row);
          rows.push(row);
          head.seqId = row.message.seqId;
          head.logId = row.logId;
          head.createdAt = row.message.createdAt;
          if (member !== undefined) {
            touched.set(userId, { ...member, readSeqId: row.message.seqId });
          }
        }
        return ok(row.message);
      });
      for (const member of touched.values()) {
        this.#store.putMember(member);
      }
      return results;
    });
    const last = rows.at(-1);
    if (last !== undefined) {
      this.#headSeqId = last.message.seqId;
      this.#headCreatedAt = last.message.createdAt;
      this.#counters = { ...this.#counters, logId: last.logId };
      this.#remember(rows);
      this.#rechecks.clear();
      this.#run(now, () => this.#afterCommit());
    }
    return outcomes;
  }

  /** A page of the log for a member, ascending; `before` and `after` are exclusive. */
  history(
    actor: Actor,
    page: { before?: number; after?: number; limit: number },
  ): Result<HistoryPage> {
    const member = requireMember(this.#state, this.#store.member(actor.userId), actor);
    if (!member.ok) {
      return member;
    }
    const rows =
      page.after === undefined
        ? this.#store.messagesBefore(page.before ?? this.#headSeqId + 1, page.limit)
        : this.#store
            .messagesAfter(page.after, page.limit)
            .filter((row) => page.before === undefined || row.message.seqId < page.before);
    return ok({
      messages: rows.map((row) => row.message),
      headSeqId: this.#headSeqId,
      firstSeqId: this.#counters.firstSeqId,
    });
  }

  /** Log rows after `after`, for consumers and shards; no membership is asked. */
  readLog(after: number, limit: number): HistoryPage {
    return {
      messages: this.#rows(after, Math.min(this.#headSeqId, after + limit)).map((r) => r.message),
      headSeqId: this.#headSeqId,
      firstSeqId: this.#counters.firstSeqId,
    };
  }

  view(actor: Actor): Result<RoomView> {
    const found = requireMember(this.#state, this.#store.member(actor.userId), actor);
    if (!found.ok) {
      return found;
    }
    return ok({
      conversation: found.value.state,
      headSeqId: this.#headSeqId,
      role: found.value.member.role,
      readSeqId: found.value.member.readSeqId,
    });
  }

  member(userId: string): MemberState | undefined {
    return this.#store.member(userId);
  }

  members(cursor: string, limit: number): MemberState[] {
    return this.#store.members(cursor, limit);
  }

  // ---- changes of anything but messages

  /**
   * Commits a change: new state, members put or removed, and outbox rows for SQL and the bus.
   * `held`: the caller writes the records through to SQL itself and then says `settled`.
   */
  commit(
    change: {
      state?: ConversationState;
      put?: MemberState[];
      removed?: string[];
      outbox: OutboxDraft[];
      held: boolean;
    },
    now: number,
  ): { records: RoomRecord[]; outboxIds: number[] } {
    const records: RoomRecord[] = [];
    const heldIds: number[] = [];
    const rows: OutboxRow[] = [];
    const counters = this.#store.transaction(() => {
      const next = { ...this.#counters };
      if (change.state !== undefined) {
        this.#store.saveState(change.state);
      }
      for (const member of change.put ?? []) {
        this.#store.putMember(member);
      }
      for (const userId of change.removed ?? []) {
        this.#store.deleteMember(userId);
      }
      for (const draft of change.outbox) {
        next.logId += 1;
        const row = this.#outboxRow(draft, next.logId, change.held, now);
        this.#store.addOutbox(row.row);
        rows.push(row.row);
        if (row.record !== undefined) {
          records.push(row.record);
          heldIds.push(row.row.id);
        }
      }
      this.#store.saveCounters(next);
      return next;
    });
    this.#counters = counters;
    this.#state = change.state ?? this.#state;
    this.#hasOutbox ||= rows.length > 0;
    if (change.state !== undefined) {
      // Membership changes come with a new state; a moved read pointer does not.
      this.#memberIds = undefined;
    }
    this.#run(now, () => {
      for (const userId of change.removed ?? []) {
        this.#unsure.delete(userId);
        this.#rounds.remove(userId, now);
      }
      for (const row of rows) {
        this.#sentAt.set(row.id, now);
      }
      this.#publish(rows.filter((row) => row.topic !== "gochat.messages.persist"));
      if (!change.held) {
        this.#unsentRecords.push(...rows.filter((r) => r.topic === "gochat.messages.persist"));
      }
      this.#ensureAlarm();
      this.#tryPersist();
    });
    return { records, outboxIds: heldIds };
  }

  /** Outbox rows that SQL or a consumer has. */
  settled(outboxIds: readonly number[], now: number): void {
    if (outboxIds.length === 0) {
      return;
    }
    this.#store.transaction(() => this.#store.deleteOutbox(outboxIds));
    this.#unsentRecords = this.#unsentRecords.filter((row) => !outboxIds.includes(row.id));
    for (const id of outboxIds) {
      this.#sentAt.delete(id);
    }
    this.#now = now;
  }

  /** Shown to the members who are known to be here; nobody is looked up for it. */
  typing(actor: Actor): Result<void> {
    const found = requireMember(this.#state, this.#store.member(actor.userId), actor);
    if (!found.ok) {
      return found;
    }
    const frame: ServerFrame = {
      type: "typing",
      data: { conversationId: this.conversationId, userId: actor.userId },
    };
    for (const userId of this.#big() ? [] : this.#members()) {
      if (userId !== actor.userId && this.#rounds.knows(userId)) {
        this.#effects.push({ kind: "push", userId, frames: [frame] });
      }
    }
    return ok(undefined);
  }

  // ---- answers to effects

  /** A delivery's answer: open sockets of that user, or "failed". */
  delivered(
    userId: string,
    delivery: { from: number; to: number },
    sockets: number | "failed",
    now: number,
  ): void {
    this.#run(now, () => this.#rounds.answered(userId, delivery, sockets, now));
  }

  /**
   * The cache pipeline came back with those of `presenceOf` who are online. `complete` false (the
   * cache was emptied not long ago) and "failed" both mean: whoever is not named may be online.
   */
  cached(answer: { online: string[]; complete: boolean } | "failed", now: number): void {
    const flight = this.#cacheFlight;
    if (flight === undefined) {
      return;
    }
    this.#run(now, () => {
      this.#cacheFlight = undefined;
      this.#cacheDown = answer === "failed";
      this.#cachedSeqId = flight.to;
      const everybody = answer === "failed" || !answer.complete;
      const online = new Set(everybody ? flight.asked : answer.online);
      // Who left the conversation while the pipeline was in the air is not asked for any more.
      const members = new Set(this.#big() ? [] : this.#members());
      for (const userId of flight.asked) {
        const cursor = this.#unsure.get(userId)?.cursor ?? flight.from;
        this.#unsure.delete(userId);
        if (online.has(userId) && members.has(userId)) {
          this.#rounds.found(userId, cursor, now);
        }
      }
      this.#tryCache();
    });
  }

  /** The persist batch could not be put on the bus; the alarm tries again. */
  persistRefused(now: number): void {
    this.#run(now, () => {
      this.#endPersistFlight();
      this.#attempts += 1;
    });
  }

  /** Messages up to `toSeqId` are in SQL; their senders are told. */
  persisted(fromSeqId: number, toSeqId: number, outboxIds: readonly number[], now: number): void {
    const before = this.#counters.persistedSeqId;
    // A batch that starts behind a hole proves nothing about the hole.
    const reaches = toSeqId > before && fromSeqId <= before + 1;
    const confirmed = reaches ? this.#rows(before, toSeqId) : [];
    this.#run(now, () => {
      this.#store.transaction(() => {
        if (outboxIds.length > 0) {
          this.#store.deleteOutbox(outboxIds);
          outboxIds.forEach((id) => this.#sentAt.delete(id));
        }
        if (reaches) {
          this.#counters = {
            ...this.#counters,
            persistedSeqId: Math.min(toSeqId, this.#headSeqId),
            deliveredSeqId: Math.max(this.#counters.deliveredSeqId, this.#deliveredSeqId()),
          };
          this.#store.saveCounters(this.#counters);
        }
      });
      const flight = this.#persistFlight;
      if (flight !== undefined && toSeqId >= flight.to) {
        const pauseMs = (now - flight.startedAt) * PERSIST_PAUSE_FACTOR;
        this.#persistNotBefore = now + Math.min(PERSIST_PAUSE_MAX_MS, pauseMs);
        this.#endPersistFlight();
        this.#attempts = 0;
      }
      this.#confirm(confirmed);
      this.#tryPersist();
    });
  }

  /** The consumer gave up on a batch for now: tell the senders, keep the record, try again later. */
  persistFailed(fromSeqId: number, toSeqId: number, now: number): void {
    const rows = this.#rows(Math.max(fromSeqId - 1, this.#counters.persistedSeqId), toSeqId);
    const failed = rows.map(({ message }): OutboxDraft => ({
      kind: "event",
      topic: "gochat.message-events",
      event: (eventId, timestamp) => ({
        event_id: eventId,
        event_type: "message.persist.failed",
        timestamp,
        conversation_id: this.conversationId,
        payload: {
          sender_id: message.senderId,
          client_msg_id: message.clientMsgId,
          message_id: message.messageId,
          seq_id: message.seqId,
        },
      }),
    }));
    this.#run(now, () => {
      this.#endPersistFlight();
      this.#attempts += 1;
    });
    if (failed.length > 0) {
      this.commit({ outbox: failed, held: false }, now);
    }
  }

  /** The fan-out task up to `toSeqId` could not be put on the bus. */
  fanoutRefused(now: number): void {
    this.#run(now, () => {
      this.#fanoutSeqId = Math.min(this.#fanoutSeqId, this.#counters.deliveredSeqId);
      this.#attempts += 1;
    });
  }

  /** Shards or members have everything up to `toSeqId`; made durable with the next confirmation. */
  fannedOut(toSeqId: number, now: number): void {
    this.#run(now, () => {
      this.#fanoutDone = Math.max(this.#fanoutDone, Math.min(toSeqId, this.#headSeqId));
    });
  }

  onTimer(name: TimerName, now: number): void {
    this.#run(now, () => {
      this.#armed.delete(name);
      switch (name) {
        case "patience":
          return this.#rounds.onPatience(now);
        case "retry":
          return this.#rounds.onRetry(now);
        case "persist":
          return this.#tryPersist();
        case "fanout":
          return this.#tryFanout();
      }
    });
  }

  /** Sends again whatever has not been confirmed, prunes the log, and arms itself while needed. */
  onAlarm(now: number): void {
    this.#run(now, () => {
      this.#alarmAt = 0;
      const retryMs = this.#retryMs();
      const flight = this.#persistFlight;
      if (flight !== undefined && now - flight.startedAt >= retryMs) {
        this.#endPersistFlight();
        this.#attempts += 1;
      }
      const kept = this.#store.outbox(OUTBOX_PAGE);
      this.#hasOutbox = kept.length > 0;
      const rows = kept.filter((row) => now - (this.#sentAt.get(row.id) ?? 0) >= OUTBOX_RETRY_MS);
      for (const row of rows) {
        this.#sentAt.set(row.id, now);
      }
      this.#publish(rows.filter((row) => row.topic !== "gochat.messages.persist"));
      if (this.#persistFlight === undefined) {
        this.#persistNotBefore = 0;
        this.#unsentRecords = rows.filter((row) => row.topic === "gochat.messages.persist");
      }
      if (this.#big() && now - this.#fanoutSentAt >= retryMs) {
        this.#fanoutSeqId = Math.max(this.#counters.deliveredSeqId, this.#fanoutDone);
      }
      const delivered = this.#deliveredSeqId();
      if (delivered > this.#counters.deliveredSeqId) {
        this.#counters = { ...this.#counters, deliveredSeqId: delivered };
        this.#store.transaction(() => this.#store.saveCounters(this.#counters));
      }
      this.#prune(now);
      this.#afterCommit();
    });
  }

  // ---- flights

  #fanoutDone = 0;

  /** Runs one step at time `now`, then whatever it finished without leaving the core. */
  #run(now: number, step: () => void): void {
    this.#now = now;
    step();
    for (let done = this.#doneHere.pop(); done !== undefined; done = this.#doneHere.pop()) {
      this.#rounds.answered(done.userId, done.delivery, 1, now);
    }
  }

  #afterCommit(): void {
    if (this.#pending()) {
      this.#ensureAlarm();
    }
    if (this.#big()) {
      this.#rounds.skipTo(this.#headSeqId);
      this.#tryFanout();
    } else {
      this.#fanoutSeqId = this.#headSeqId;
      this.#rounds.committed(this.#headSeqId, this.#now);
    }
    this.#tryCache();
    this.#tryPersist();
  }

  #pending(): boolean {
    return (
      this.#hasOutbox ||
      this.#counters.persistedSeqId < this.#headSeqId ||
      this.#counters.deliveredSeqId < this.#headSeqId
    );
  }

  #retryMs(): number {
    return Math.min(OUTBOX_RETRY_MAX_MS, OUTBOX_RETRY_MS * 2 ** Math.min(this.#attempts, 10));
  }

  #ensureAlarm(): void {
    if (this.#alarmAt === 0) {
      this.#alarmAt = this.#now + this.#retryMs();
      this.#effects.push({ kind: "alarm", at: this.#alarmAt });
    }
  }

  #timer(name: TimerName, inMs: number): void {
    if (!this.#armed.has(name)) {
      this.#armed.add(name);
      this.#effects.push({ kind: "timer", name, inMs });
    }
  }

  #big(): boolean {
    return (
      this.#state?.type === WORLD || (this.#state?.memberCount ?? 0) > DIRECT_DELIVERY_LIMIT
    );
  }

  /** Up to where every online member (or the fan-out) has everything. */
  #deliveredSeqId(): number {
    if (this.#big()) {
      return this.#fanoutDone;
    }
    let least = Math.min(this.#rounds.delivered(), this.#cachedSeqId);
    for (const { cursor } of this.#unsure.values()) {
      least = Math.min(least, cursor);
    }
    return least;
  }

  #deliver(delivery: Delivery): void {
    const messages = this.#rows(delivery.from, delivery.to).map((row) => row.message);
    const senders = new Set(messages.map((message) => message.senderId));
    const others = delivery.userIds.filter((userId) => !senders.has(userId));
    const { from, to } = delivery;
    if (others.length > 0) {
      this.#effects.push({ kind: "deliver", from, to, messages, userIds: others });
    }
    if (others.length === delivery.userIds.length) {
      return;
    }
    for (const userId of delivery.userIds) {
      if (!senders.has(userId)) {
        continue;
      }
      // A sender has its own messages from the acknowledgement.
      const rest = messages.filter((message) => message.senderId !== userId);
      if (rest.length === 0) {
        this.#doneHere.push({ userId, delivery });
      } else {
        this.#effects.push({ kind: "deliver", from, to, messages: rest, userIds: [userId] });
      }
    }
  }

  #recheck(userId: string, cursor: number, soon: boolean): void {
    const tries = (this.#rechecks.get(userId) ?? 0) + 1;
    if (tries > RECHECK_LIMIT || (soon && this.#cacheDown)) {
      return;
    }
    this.#rechecks.set(userId, tries);
    this.#unsure.set(userId, { cursor, soon });
    this.#tryCache();
  }

  #tryCache(): void {
    if (this.#cacheFlight !== undefined) {
      return;
    }
    const behind = this.#cachedSeqId < this.#headSeqId;
    const again = [...this.#unsure.values()].some((entry) => entry.soon);
    if (!behind && !again) {
      return;
    }
    const from = this.#cachedSeqId;
    const to = this.#headSeqId;
    const presenceOf = this.#big()
      ? []
      : this.#members().filter((userId) => !this.#rounds.knows(userId));
    this.#cacheFlight = { from, to, asked: presenceOf };
    const messages = this.#rows(Math.max(from, to - HOT_MESSAGES), to).map((row) => row.message);
    this.#effects.push({ kind: "cache", headSeqId: to, messages, presenceOf });
  }

  #tryFanout(): void {
    if (this.#fanoutSeqId >= this.#headSeqId) {
      return;
    }
    if (this.#now < this.#fanoutNotBefore) {
      this.#timer("fanout", this.#fanoutNotBefore - this.#now);
      return;
    }
    const rows = this.#fitting(this.#fanoutSeqId);
    const last = rows.at(-1);
    if (last === undefined || this.#state === undefined) {
      return;
    }
    const task: FanoutTask = {
      conversationId: this.conversationId,
      type: this.#state.type,
      fromSeqId: this.#fanoutSeqId + 1,
      toSeqId: last.message.seqId,
      messages: rows.map((row) => row.message),
    };
    this.#fanoutSeqId = task.toSeqId;
    this.#fanoutSentAt = this.#now;
    this.#fanoutNotBefore = this.#now + FANOUT_WINDOW_MS;
    this.#effects.push({ kind: "fanout", task });
    if (this.#fanoutSeqId < this.#headSeqId) {
      this.#timer("fanout", FANOUT_WINDOW_MS);
    }
  }

  #tryPersist(): void {
    if (this.#persistFlight !== undefined) {
      return;
    }
    const from = this.#counters.persistedSeqId;
    if (from >= this.#headSeqId && this.#unsentRecords.length === 0) {
      return;
    }
    if (this.#now < this.#persistNotBefore) {
      this.#timer("persist", this.#persistNotBefore - this.#now);
      return;
    }
    const rows = this.#fitting(from);
    const extra = this.#unsentRecords.splice(0, OUTBOX_PAGE);
    const to = rows.at(-1)?.message.seqId ?? from;
    const batch: PersistBatch = {
      conversationId: this.conversationId,
      fromSeqId: rows.length === 0 ? 0 : from + 1,
      toSeqId: rows.length === 0 ? 0 : to,
      records: [
        ...rows.map((row): RoomRecord => ({
          kind: "message",
          conversationId: this.conversationId,
          logId: row.logId,
          message: row.message,
        })),
        ...extra.map((row) => JSON.parse(row.body) as RoomRecord),
      ],
      outboxIds: extra.map((row) => row.id),
    };
    this.#persistFlight = { to: batch.toSeqId, outboxIds: batch.outboxIds, startedAt: this.#now };
    this.#effects.push({ kind: "persist", batch });
  }

  #endPersistFlight(): void {
    this.#persistFlight = undefined;
  }

  #publish(rows: readonly OutboxRow[]): void {
    if (rows.length > 0) {
      this.#effects.push({
        kind: "publish",
        rows: rows.map(({ topic, body }) => ({ topic, body })),
      });
    }
  }

  /** One push a sender, with a frame for each of their messages. */
  #confirm(rows: readonly LogRow[]): void {
    const frames = new Map<string, ServerFrame[]>();
    for (const { message } of rows) {
      const list = frames.get(message.senderId) ?? [];
      list.push({
        type: "message-confirmed",
        data: {
          clientMsgId: message.clientMsgId,
          conversationId: this.conversationId,
          messageId: message.messageId,
          seqId: message.seqId,
        },
      });
      frames.set(message.senderId, list);
    }
    for (const [userId, list] of frames) {
      this.#effects.push({ kind: "push", userId, frames: list });
    }
  }

  // ---- rows

  #outboxRow(
    draft: OutboxDraft,
    logId: number,
    held: boolean,
    now: number,
  ): { row: OutboxRow; record?: RoomRecord } {
    if (draft.kind === "record") {
      const record = draft.record(logId);
      const body = JSON.stringify(record);
      return { record, row: { id: logId, topic: "gochat.messages.persist", body, held } };
    }
    // The same id each time it is published: consumers are idempotent by it.
    const event = draft.event(`${this.conversationId}:${logId}`, Math.floor(now / 1000));
    return { row: { id: logId, topic: draft.topic, body: JSON.stringify(event), held: false } };
  }

  #members(): string[] {
    this.#memberIds ??= this.#store
      .members("", DIRECT_DELIVERY_LIMIT)
      .map((member) => member.userId);
    return this.#memberIds;
  }

  #remember(rows: readonly LogRow[]): void {
    this.#recent.push(...rows);
    if (this.#recent.length > 2 * RECENT_ROWS) {
      this.#recent = this.#recent.slice(-RECENT_ROWS);
    }
  }

  /** Rows after `from` up to `to`, from memory where they are there. */
  #rows(from: number, to: number): LogRow[] {
    if (to <= from) {
      return [];
    }
    const first = this.#recent[0]?.message.seqId;
    if (first !== undefined && from + 1 >= first) {
      return this.#recent.slice(from + 1 - first, to + 1 - first);
    }
    return this.#store.messagesAfter(from, to - from);
  }

  /** Rows after `from`, as many as one queue message holds, at least one. */
  #fitting(from: number): LogRow[] {
    const rows = this.#rows(from, Math.min(this.#headSeqId, from + BATCH_RECORDS));
    let bytes = 0;
    const end = rows.findIndex(({ message }, index) => {
      bytes += MESSAGE_OVERHEAD_BYTES + sizeOf(message);
      return index > 0 && bytes > BATCH_BYTES;
    });
    return end < 0 ? rows : rows.slice(0, end);
  }

  #prune(now: number): void {
    const limit = Math.min(
      this.#counters.persistedSeqId,
      this.#counters.deliveredSeqId,
      this.#headSeqId - HOT_MESSAGES,
    );
    const old = this.#store
      .messagesAfter(this.#counters.firstSeqId - 1, 1_000)
      .filter((row) => row.message.seqId <= limit && row.message.createdAt < now - DEDUPE_WINDOW_MS);
    const last = old.at(-1);
    if (last !== undefined) {
      this.#counters = { ...this.#counters, firstSeqId: last.message.seqId + 1 };
      this.#store.transaction(() => {
        this.#store.pruneMessages(last.message.seqId);
        this.#store.saveCounters(this.#counters);
      });
    }
  }
}

/** UTF-8 bytes of what varies in a message, from above. */
function sizeOf(message: StoredMessage): number {
  const text =
    typeof message.content === "string" ? message.content : JSON.stringify(message.content ?? "");
  return text.length * 3 + (message.mentions?.length ?? 0) * 30 + (message.replyTo ? 500 : 0);
}

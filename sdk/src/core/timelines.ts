/**
 * All conversations' timelines, and the repair of their gaps: a short grace, then range requests, a few at a time.
 * Before the sync of a connection is done nothing is asked for, since its answer fills most gaps.
 */
import type { Effects } from "./effects.ts";
import { MessageForms } from "./forms.ts";
import {
  BUFFER_LIMIT,
  EMPTY_PAGE_TRIES,
  GAP_GRACE_MS,
  HISTORY_PAGE,
  LOADS_AT_ONCE,
  SYNC_HEADS_LIMIT,
} from "./limits.ts";
import { retryDelayMs } from "./reconnect.ts";
import { Timeline, type TimelineSink } from "./timeline.ts";
import type { Message, ServerFrame, WireError } from "./types.ts";
import { messageChange, MessageWindow, type MessageChange } from "./window.ts";

type Entry = {
  timeline: Timeline;
  forms: MessageForms;
  /** Not a member any more: the cursor stays, so that a return brings nothing twice. */
  removed: boolean;
  /** Was removed since the last sync that spoke of it by its heads. */
  left: boolean;
  /** `halted`: the server refuses its history; the next sync may change that. */
  repair: "none" | "waiting" | "queued" | "loading" | "halted";
  dueAt: number;
  /** Pages that brought nothing, or requests that failed, in a row. */
  tries: number;
  touchedAt: number;
};

/** Heads as `sync` sends them. */
export type Heads = Record<string, number | { seqId: number; version?: number; readSeqId?: number }>;

export type TimelinesOptions = {
  backlog: "all" | number;
  keepMessages: number;
  random: () => number;
  cursors: Readonly<Record<string, number>>;
};

export class Timelines {
  readonly #options: TimelinesOptions;
  readonly #out: Effects;
  readonly #sink: TimelineSink;
  readonly #entries = new Map<string, Entry>();
  /** Entries whose repair is anything but `none`. */
  readonly #busy = new Set<Entry>();
  /** Changes in conversations that nothing else is known of yet: their messages may be on their way in the old form. */
  #orphans: MessageChange[] = [];
  #queue: Entry[] = [];
  #loading = 0;
  #synced = false;

  constructor(options: TimelinesOptions, out: Effects) {
    this.#options = options;
    this.#out = out;
    this.#sink = {
      message: (conversationId, message, live) => {
        this.#entries.get(conversationId)?.forms.shown(message, live);
        out.emit({ type: "message", conversationId, message, live });
      },
      gap: (conversationId, fromSeqId, toSeqId) => out.emit({ type: "gap", conversationId, fromSeqId, toSeqId }),
      again: (message, live) => this.#again(message, live),
    };
    for (const [conversationId, seqId] of Object.entries(options.cursors)) {
      // What an earlier life kept, and in which form, is its application's business.
      this.#create(conversationId, seqId).forms.version = undefined;
    }
  }

  /**
   * Begins a conversation, or takes part in it again.
   * @param headSeqId what exists already
   * @param syncedVersion from the answer of `sync`: up to there its changes are known here. A frame's version says nothing: what
   *   is pushed may have been sent before a change, and news of changes come in any order
   */
  open(conversationId: string, headSeqId: number, syncedVersion: number | undefined, now: number): void {
    const entry = this.#entries.get(conversationId) ?? this.#create(conversationId, this.#startOf(headSeqId));
    entry.removed = false;
    if (syncedVersion !== undefined) {
      entry.forms.synced(syncedVersion);
      entry.left = false;
      entry.timeline.readVersion = entry.forms.version ?? 0;
    }
    entry.timeline.exists(headSeqId);
    this.#check(entry, now, GAP_GRACE_MS);
  }

  close(conversationId: string): void {
    const entry = this.#entries.get(conversationId);
    if (entry !== undefined) {
      entry.removed = true;
      entry.left = true;
      this.#settle(entry);
    }
  }

  /** A message from anywhere, in any order, any number of times. */
  accept(message: Message, live: boolean, now: number): void {
    const entry =
      this.#entries.get(message.conversationId) ??
      this.#create(message.conversationId, this.#startOf(message.seqId - 1));
    entry.touchedAt = now;
    if (live) {
      // Frames about who joined and who left come over queues, in any order; what is shown to us now we take part in.
      entry.removed = false;
    }
    entry.timeline.accept(message, live);
    if (entry.repair !== "none" || entry.timeline.hasGap) {
      this.#check(entry, now, GAP_GRACE_MS);
    }
  }

  /** An own message got this sequence, and its full form is not known here. */
  exists(conversationId: string, seqId: number, now: number): void {
    const entry = this.#entries.get(conversationId) ?? this.#create(conversationId, this.#startOf(seqId - 1));
    entry.timeline.exists(seqId);
    this.#check(entry, now, GAP_GRACE_MS);
  }

  /**
   * True when nobody else needs the change: it went into a message that has not been emitted yet, or a later one about the
   * same thing has been here before.
   */
  change(frame: ServerFrame, me: string | undefined, now: number): boolean {
    const changed = messageChange(frame, me);
    const entry = changed === undefined ? undefined : this.#entries.get(changed.conversationId);
    if (changed !== undefined && entry === undefined && this.#orphans.length < BUFFER_LIMIT) {
      this.#orphans.push(changed);
    }
    if (changed === undefined || entry === undefined) {
      return false;
    }
    const change = entry.forms.take(changed, entry.timeline.contiguous);
    if (change === undefined) {
      return true;
    }
    const isEarly = entry.timeline.changeBefore(changed.seqId, changed.version ?? Infinity, change);
    this.#check(entry, now, GAP_GRACE_MS);
    return isEarly;
  }

  /** From now on gaps are repaired (or, while a connection has not synced, are not). */
  setSynced(synced: boolean, now: number): void {
    this.#synced = synced;
    if (!synced) {
      for (const entry of this.#busy) {
        entry.repair = "none";
        entry.tries = 0;
      }
      this.#busy.clear();
      this.#queue = [];
      this.#loading = 0;
      this.#orphans = [];
      return;
    }
    for (const entry of this.#entries.values()) {
      this.#check(entry, now, 0);
    }
    this.#pump();
  }

  /** A page of the history after `after`, as `loadHistory` asked for it. */
  loaded(conversationId: string, after: number, messages: readonly Message[], now: number): void {
    const entry = this.#entries.get(conversationId);
    if (entry === undefined) {
      return;
    }
    const asked = this.#landed(entry);
    entry.timeline.page(after, messages);
    if (asked && entry.timeline.hasGap) {
      if (entry.timeline.contiguous > after) {
        entry.tries = 0;
      } else {
        entry.tries += 1;
        if (entry.tries >= EMPTY_PAGE_TRIES) {
          entry.tries = 0;
          entry.timeline.abandonGap();
        }
      }
      const waitMs = entry.tries === 0 ? GAP_GRACE_MS : retryDelayMs(entry.tries, this.#options.random);
      this.#check(entry, now, messages.length >= HISTORY_PAGE ? 0 : waitMs);
    }
    this.#pump();
  }

  failed(conversationId: string, error: WireError | undefined, now: number): void {
    const entry = this.#entries.get(conversationId);
    if (entry !== undefined && this.#landed(entry)) {
      entry.tries += 1;
      if (error?.retry === "never") {
        entry.repair = "halted";
        this.#busy.add(entry);
      } else {
        const backoffMs = retryDelayMs(entry.tries, this.#options.random);
        this.#check(entry, now, Math.max(error?.retryAfterMs ?? 0, backoffMs));
      }
    }
    this.#pump();
  }

  timer(now: number): void {
    for (const entry of this.#busy) {
      if (entry.repair === "waiting" && entry.dueAt <= now) {
        entry.repair = "queued";
        this.#queue.push(entry);
      }
    }
    this.#pump();
  }

  nextDueAt(): number {
    let due = Infinity;
    for (const entry of this.#busy) {
      if (entry.repair === "waiting" && entry.dueAt < due) {
        due = entry.dueAt;
      }
    }
    return due;
  }

  /** Messages are known from an earlier membership. */
  isReturn(conversationId: string): boolean {
    const entry = this.#entries.get(conversationId);
    return entry !== undefined && entry.left && entry.timeline.contiguous > 0;
  }

  /** Messages of it were pushed whose changes no sync has told of. */
  hasPushed(conversationId: string): boolean {
    return this.#entries.get(conversationId)?.forms.hasPushed === true;
  }

  /** Everything up to here has been emitted; undefined when nothing is known of the conversation. */
  cursor(conversationId: string): number | undefined {
    return this.#entries.get(conversationId)?.timeline.contiguous;
  }

  head(conversationId: string): number | undefined {
    return this.#entries.get(conversationId)?.timeline.head;
  }

  messages(conversationId: string): readonly Message[] {
    return this.#entries.get(conversationId)?.forms.window?.rows ?? [];
  }

  cursors(): Record<string, number> {
    const cursors: Record<string, number> = {};
    for (const [conversationId, entry] of this.#entries) {
      if (!entry.removed) {
        cursors[conversationId] = entry.timeline.contiguous;
      }
    }
    return cursors;
  }

  /**
   * For `sync`: the most recently active conversations, as many as fit.
   * @param readSeqIdOf how far this user has read. Where something is unread it is said, since another device may read it
   */
  heads(readSeqIdOf: (conversationId: string) => number): Heads {
    let entries = [...this.#entries.values()].filter((entry) => !entry.removed);
    if (entries.length > SYNC_HEADS_LIMIT) {
      entries = entries.sort((a, b) => b.touchedAt - a.touchedAt).slice(0, SYNC_HEADS_LIMIT);
    }
    const heads: Heads = {};
    for (const { timeline, forms } of entries) {
      const { version } = forms;
      const { contiguous: seqId, conversationId } = timeline;
      const readSeqId = readSeqIdOf(conversationId);
      const unread = readSeqId < seqId ? { readSeqId } : {};
      heads[conversationId] = version === undefined ? seqId : { seqId, version, ...unread };
    }
    return heads;
  }

  /**
   * A message as sync or history has it: what is known in an older form is changed. True when nobody else needs to know.
   */
  reread(message: Message, now: number): boolean {
    const entry = this.#entries.get(message.conversationId);
    if (entry === undefined) {
      return false;
    }
    const change = entry.forms.reread(message);
    const isEarly = entry.timeline.changeBefore(message.seqId, entry.forms.version ?? 0, change);
    this.#check(entry, now, GAP_GRACE_MS);
    return isEarly;
  }

  /** Those who hold a message must have its last form, too: pushes and own sends may be older. */
  #again(message: Message, live: boolean): void {
    const { editedAt, recalledAt, reactions = [], replyTo } = message;
    if (
      !live &&
      (editedAt !== undefined || recalledAt !== undefined || reactions.length > 0 || replyTo?.preview === "")
    ) {
      this.reread(message, 0);
      this.#out.emit({ type: "frame", frame: { type: "message-updated", data: { message } } });
    }
  }

  #startOf(headSeqId: number): number {
    return this.#options.backlog === "all" ? 0 : Math.max(0, headSeqId - this.#options.backlog);
  }

  #create(conversationId: string, contiguous: number): Entry {
    const entry: Entry = {
      timeline: new Timeline(conversationId, contiguous, this.#sink),
      forms: new MessageForms(
        this.#options.keepMessages > 0 ? new MessageWindow(this.#options.keepMessages) : undefined,
      ),
      removed: false,
      left: false,
      repair: "none",
      dueAt: 0,
      tries: 0,
      touchedAt: 0,
    };
    this.#entries.set(conversationId, entry);
    for (const orphan of this.#orphans.filter((one) => one.conversationId === conversationId)) {
      entry.timeline.changeBefore(orphan.seqId, orphan.version ?? Infinity, orphan.change);
    }
    this.#orphans = this.#orphans.filter((one) => one.conversationId !== conversationId);
    return entry;
  }

  #check(entry: Entry, now: number, waitMs: number): void {
    if (entry.removed || !entry.timeline.hasGap) {
      if (entry.repair === "waiting" || entry.repair === "halted") {
        this.#settle(entry);
      }
      return;
    }
    if (!this.#synced || entry.repair !== "none") {
      return;
    }
    this.#busy.add(entry);
    if (waitMs <= 0) {
      entry.repair = "queued";
      this.#queue.push(entry);
      return;
    }
    entry.repair = "waiting";
    entry.dueAt = now + waitMs;
    this.#out.arm(entry.dueAt);
  }

  /** Nothing to repair any more; a request in the air is answered all the same. */
  #settle(entry: Entry): void {
    entry.tries = 0;
    if (entry.repair === "waiting" || entry.repair === "halted") {
      entry.repair = "none";
      this.#busy.delete(entry);
    }
  }

  /** A request came back. False when this connection did not ask. */
  #landed(entry: Entry): boolean {
    if (entry.repair !== "loading") {
      return false;
    }
    this.#loading -= 1;
    entry.repair = "none";
    this.#busy.delete(entry);
    return true;
  }

  #pump(): void {
    while (this.#loading < LOADS_AT_ONCE) {
      const entry = this.#queue.shift();
      if (entry === undefined) {
        return;
      }
      if (entry.repair !== "queued") {
        continue;
      }
      if (entry.removed || !entry.timeline.hasGap) {
        entry.repair = "none";
        entry.tries = 0;
        this.#busy.delete(entry);
        continue;
      }
      entry.repair = "loading";
      this.#loading += 1;
      this.#out.push({
        kind: "loadHistory",
        conversationId: entry.timeline.conversationId,
        after: entry.timeline.contiguous,
        limit: HISTORY_PAGE,
      });
    }
  }
}

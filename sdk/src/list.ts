/** The conversation list: kept by sync and frames, unread derived from two sequences, newest activity first. */
import { messageChange, withoutPreview, type ClientEvent } from "./core/index.ts";
import type { Conversation, ConversationItem, Message, ServerFrame, User } from "./protocol.ts";
import type { Store } from "./store.ts";

/**
 * One conversation as it is now. What every message changes stands apart from the item, which is put together when
 * somebody looks: a busy room has thousands of messages between two looks.
 */
type Row = {
  base: ConversationItem;
  headSeqId: number;
  readSeqId: number;
  lastMessage: Message | undefined;
  /** `base` with the rest in it; undefined when something has changed since. */
  item: ConversationItem | undefined;
};

/** What of a conversation may be known before it stands in the list. */
export type KnownElsewhere = {
  /** Messages that have been shown, ascending. */
  messages(conversationId: string): readonly Message[];
  /** How far this user has read; 0 when that is not known. */
  readSeqId(conversationId: string): number;
};

export class ConversationList implements Store<readonly ConversationItem[]> {
  readonly #rows = new Map<string, Row>();
  readonly #listeners = new Set<() => void>();
  readonly #me: () => string | undefined;
  readonly #known: KnownElsewhere;
  #sorted: readonly ConversationItem[] | undefined;

  /**
   * @param me this user, once known
   * @param known what the core knows of a conversation that is new here
   */
  constructor(me: () => string | undefined, known: KnownElsewhere) {
    this.#me = me;
    this.#known = known;
  }

  get = (): readonly ConversationItem[] => {
    this.#sorted ??= [...this.#rows.values()].map(itemOf).sort(byActivity);
    return this.#sorted;
  };

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  item(conversationId: string): ConversationItem | undefined {
    const row = this.#rows.get(conversationId);
    return row === undefined ? undefined : itemOf(row);
  }

  clear(): void {
    this.#rows.clear();
    this.#changed(undefined);
  }

  /** What an event of the core changes in the list. */
  apply(event: ClientEvent): void {
    switch (event.type) {
      case "message":
        return this.#message(event.message);
      case "item":
        return this.#put(event.item);
      case "removed":
        return this.#remove(event.conversationId);
      case "frame":
        return this.#frame(event.frame);
      default:
        return;
    }
  }

  /**
   * A conversation that a frame or a REST call has brought.
   * @param readSeqId how far it is read, should it be new here
   */
  add(conversation: Conversation, peer?: User, readSeqId = 0): void {
    const row = this.#rows.get(conversation.conversationId);
    if (row === undefined) {
      const owned = conversation.ownerId !== undefined && conversation.ownerId === this.#me();
      const own = { unreadCount: 0, readSeqId, role: owned ? 3 : 1, muted: false, pinned: false } as const;
      return this.#put({ conversation, ...own, ...(peer === undefined ? {} : { peer }) });
    }
    // What comes late must not undo what is newer.
    const isNewer = conversation.version >= row.base.conversation.version;
    row.base = { ...row.base, ...(isNewer ? { conversation } : {}), ...(peer === undefined ? {} : { peer }) };
    row.headSeqId = Math.max(row.headSeqId, conversation.headSeqId);
    this.#changed(row);
  }

  /** This user has read up to here, on this device or another. */
  read(conversationId: string, seqId: number): void {
    const row = this.#rows.get(conversationId);
    if (row !== undefined && seqId > row.readSeqId) {
      row.readSeqId = seqId;
      this.#changed(row);
    }
  }

  /** Own settings of a conversation, from another device or this one. */
  settings(conversationId: string, { muted, pinned }: { muted: boolean; pinned: boolean }): void {
    const row = this.#rows.get(conversationId);
    if (row !== undefined) {
      row.base = { ...row.base, muted, pinned };
      this.#changed(row);
    }
  }

  #message(message: Message): void {
    const row = this.#rows.get(message.conversationId);
    if (row === undefined) {
      return;
    }
    if (message.senderId === this.#me()) {
      // Whoever writes has read what stands above.
      row.readSeqId = Math.max(row.readSeqId, message.seqId);
    }
    if (row.lastMessage === undefined || row.lastMessage.seqId < message.seqId) {
      row.lastMessage = message;
    }
    row.headSeqId = Math.max(row.headSeqId, message.seqId);
    this.#changed(row);
  }

  #frame(frame: ServerFrame): void {
    switch (frame.type) {
      case "conversation-created":
        return this.add(frame.data.conversation);
      case "conversation-joined":
        // Whoever comes in has nothing to read of what was said before.
        return this.add(frame.data.conversation, undefined, frame.data.conversation.headSeqId);
      case "conversation-updated":
        this.add(frame.data.conversation);
        if (frame.data.settings !== undefined) {
          this.settings(frame.data.conversation.conversationId, frame.data.settings);
        }
        return;
      case "friend-accepted":
        return this.add(frame.data.conversation, frame.data.user);
      case "conversation-removed":
        return this.#remove(frame.data.conversationId);
      case "message-read-receipt":
        return frame.data.userId === this.#me()
          ? this.read(frame.data.conversationId, frame.data.readSeqId)
          : undefined;
      case "role-updated": {
        const row = this.#rows.get(frame.data.conversationId);
        if (row !== undefined) {
          row.base = { ...row.base, role: frame.data.role };
          this.#changed(row);
        }
        return;
      }
      case "message-updated":
      case "message-recalled":
      case "message-reaction":
        return this.#change(frame);
      default:
        return;
    }
  }

  /** A change of a message matters here when it is the last one, or when the last one answers it. */
  #change(frame: ServerFrame): void {
    const changed = messageChange(frame, this.#me());
    const row = changed === undefined ? undefined : this.#rows.get(changed.conversationId);
    const last = row?.lastMessage;
    if (changed === undefined || row === undefined || last === undefined) {
      return;
    }
    const { seqId, change, recalledId } = changed;
    const next = last.seqId === seqId ? change(last) : last;
    row.lastMessage = recalledId === undefined ? next : withoutPreview(next, recalledId);
    if (row.lastMessage !== last) {
      this.#changed(row);
    }
  }

  /** An item of sync: read from SQL, so it may be older than what was pushed meanwhile. */
  #put(base: ConversationItem): void {
    const { conversationId, headSeqId } = base.conversation;
    const old = this.#rows.get(conversationId);
    const oldLast = old?.lastMessage;
    const row: Row = {
      base: old?.base.peer === undefined ? base : { peer: old.base.peer, ...base },
      headSeqId: Math.max(headSeqId, old?.headSeqId ?? 0, base.lastMessage?.seqId ?? 0),
      readSeqId: Math.max(base.readSeqId, old?.readSeqId ?? 0),
      lastMessage: (oldLast?.seqId ?? 0) > (base.lastMessage?.seqId ?? 0) ? oldLast : base.lastMessage,
      item: undefined,
    };
    this.#rows.set(conversationId, row);
    this.#changed(row);
    if (old === undefined) {
      // Frames about who comes and goes are sent over queues: messages may have been here before, and read on another device.
      this.#known.messages(conversationId).forEach((message) => this.#message(message));
      this.read(conversationId, this.#known.readSeqId(conversationId));
    }
  }

  #remove(conversationId: string): void {
    if (this.#rows.delete(conversationId)) {
      this.#changed(undefined);
    }
  }

  #changed(row: Row | undefined): void {
    if (row !== undefined) {
      row.item = undefined;
    }
    this.#sorted = undefined;
    for (const listener of this.#listeners) {
      listener();
    }
  }
}

/** Unread is never counted, only derived: it cannot drift. */
function itemOf(row: Row): ConversationItem {
  if (row.item === undefined) {
    const { base, headSeqId, readSeqId, lastMessage } = row;
    row.item = {
      ...base,
      conversation: { ...base.conversation, headSeqId },
      // What was read on another device may be on its way to this one.
      readSeqId: Math.min(readSeqId, headSeqId),
      unreadCount: Math.max(0, headSeqId - readSeqId),
      ...(lastMessage === undefined ? {} : { lastMessage }),
    };
  }
  return row.item;
}

function byActivity(a: ConversationItem, b: ConversationItem): number {
  return a.pinned === b.pinned ? activityOf(b) - activityOf(a) : Number(b.pinned) - Number(a.pinned);
}

function activityOf(item: ConversationItem): number {
  return Math.max(item.lastMessage?.createdAt ?? 0, item.conversation.createdAt);
}

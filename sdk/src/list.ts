/** The conversation list: kept by sync and frames, unread derived from two sequences, newest activity first. */
import type { ClientEvent } from "./core/index.ts";
import type { Conversation, ConversationItem, Message, ServerFrame, User } from "./protocol.ts";
import type { Store } from "./store.ts";

export class ConversationList implements Store<readonly ConversationItem[]> {
  readonly #items = new Map<string, ConversationItem>();
  readonly #listeners = new Set<() => void>();
  readonly #me: () => string | undefined;
  /** Sorted when somebody looks, not with each message. */
  #sorted: readonly ConversationItem[] | undefined;

  constructor(me: () => string | undefined) {
    this.#me = me;
  }

  get = (): readonly ConversationItem[] => {
    this.#sorted ??= [...this.#items.values()].sort(byActivity);
    return this.#sorted;
  };

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  item(conversationId: string): ConversationItem | undefined {
    return this.#items.get(conversationId);
  }

  clear(): void {
    this.#items.clear();
    this.#changed();
  }

  /** What an event of the core changes in the list. */
  apply(event: ClientEvent): void {
    switch (event.type) {
      case "message":
        return this.#message(event.message);
      case "item":
        return this.#set(this.#withKnownPointer(event.item));
      case "removed":
        return this.#remove(event.conversationId);
      case "frame":
        return this.#frame(event.frame);
      default:
        return;
    }
  }

  /** A conversation that a REST call has made or answered. */
  add(conversation: Conversation, peer?: User): void {
    const old = this.#items.get(conversation.conversationId);
    if (old === undefined) {
      const unreadCount = conversation.headSeqId;
      const owned = conversation.ownerId !== undefined && conversation.ownerId === this.#me();
      const own = { role: owned ? 3 : 1, muted: false, pinned: false } as const;
      this.#set({ conversation, unreadCount, readSeqId: 0, ...own, ...(peer === undefined ? {} : { peer }) });
    } else if (conversation.version >= old.conversation.version) {
      const headSeqId = Math.max(conversation.headSeqId, old.conversation.headSeqId);
      this.#set(
        derived({ ...old, conversation: { ...conversation, headSeqId }, ...(peer === undefined ? {} : { peer }) }),
      );
    }
  }

  /** This user has read up to here, on this device or another. */
  read(conversationId: string, seqId: number): void {
    const old = this.#items.get(conversationId);
    if (old !== undefined && seqId > old.readSeqId) {
      this.#set(derived({ ...old, readSeqId: Math.min(seqId, old.conversation.headSeqId) }));
    }
  }

  #message(message: Message): void {
    const old = this.#items.get(message.conversationId);
    if (old === undefined || (old.lastMessage !== undefined && old.lastMessage.seqId >= message.seqId)) {
      return;
    }
    const headSeqId = Math.max(old.conversation.headSeqId, message.seqId);
    const conversation =
      headSeqId === old.conversation.headSeqId ? old.conversation : { ...old.conversation, headSeqId };
    // Whoever writes has read what stands above.
    const readSeqId = message.senderId === this.#me() ? Math.max(old.readSeqId, message.seqId) : old.readSeqId;
    this.#set(derived({ ...old, conversation, lastMessage: message, readSeqId }));
  }

  #frame(frame: ServerFrame): void {
    switch (frame.type) {
      case "conversation-created":
      case "conversation-joined":
      case "conversation-updated":
        return this.add(frame.data.conversation);
      case "friend-accepted":
        return this.add(frame.data.conversation, frame.data.user);
      case "conversation-removed":
        return this.#remove(frame.data.conversationId);
      case "message-read-receipt":
        return frame.data.userId === this.#me()
          ? this.read(frame.data.conversationId, frame.data.readSeqId)
          : undefined;
      case "role-updated": {
        const { conversationId, role } = frame.data;
        const old = this.#items.get(conversationId);
        return old === undefined ? undefined : this.#set({ ...old, role });
      }
      case "message-updated": {
        const { message } = frame.data;
        const old = this.#items.get(message.conversationId);
        const last = old?.lastMessage;
        return old !== undefined && last?.seqId === message.seqId
          ? this.#set({ ...old, lastMessage: message })
          : undefined;
      }
      case "message-recalled": {
        const { conversationId, seqId } = frame.data;
        const old = this.#items.get(conversationId);
        if (old?.lastMessage?.seqId === seqId) {
          const { content: _content, ...rest } = old.lastMessage;
          this.#set({ ...old, lastMessage: { ...rest, recalledAt: rest.recalledAt ?? rest.createdAt } });
        }
        return;
      }
      default:
        return;
    }
  }

  /** A list read from SQL may be older than what was pushed meanwhile. */
  #withKnownPointer(item: ConversationItem): ConversationItem {
    const old = this.#items.get(item.conversation.conversationId);
    if (old === undefined) {
      return item;
    }
    const readSeqId = Math.max(item.readSeqId, old.readSeqId);
    const headSeqId = Math.max(item.conversation.headSeqId, old.conversation.headSeqId);
    const newer = (old.lastMessage?.seqId ?? 0) > (item.lastMessage?.seqId ?? 0) ? old.lastMessage : item.lastMessage;
    return derived({
      ...item,
      conversation: { ...item.conversation, headSeqId },
      readSeqId,
      ...(newer === undefined ? {} : { lastMessage: newer }),
    });
  }

  #set(item: ConversationItem): void {
    this.#items.set(item.conversation.conversationId, item);
    this.#changed();
  }

  #remove(conversationId: string): void {
    if (this.#items.delete(conversationId)) {
      this.#changed();
    }
  }

  #changed(): void {
    this.#sorted = undefined;
    for (const listener of this.#listeners) {
      listener();
    }
  }
}

/** Unread is never counted, only derived: it cannot drift. */
function derived(item: ConversationItem): ConversationItem {
  return { ...item, unreadCount: Math.max(0, item.conversation.headSeqId - item.readSeqId) };
}

function byActivity(a: ConversationItem, b: ConversationItem): number {
  return a.pinned === b.pinned ? activityOf(b) - activityOf(a) : Number(b.pinned) - Number(a.pinned);
}

function activityOf(item: ConversationItem): number {
  return Math.max(item.lastMessage?.createdAt ?? 0, item.conversation.createdAt);
}

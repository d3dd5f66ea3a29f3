/** The newest messages of one conversation, kept up to date by edits, recalls and reactions. */
import type { Message, ServerFrame, ServerFrameOf } from "./types.ts";

export class MessageWindow {
  readonly #keep: number;
  #rows: Message[] = [];

  /** @param keep messages kept; older ones are dropped (the history has them). */
  constructor(keep: number) {
    this.#keep = keep;
  }

  get rows(): readonly Message[] {
    return this.#rows.length > this.#keep ? this.#rows.slice(-this.#keep) : this.#rows;
  }

  push(message: Message): void {
    this.#rows.push(this.#asAnswer(message));
    // Dropped in blocks: shifting at each push would move the whole window each time.
    if (this.#rows.length >= 2 * this.#keep) {
      this.#rows = this.#rows.slice(-this.#keep);
    }
  }

  /** Answers to a recalled message lose what they show of it. */
  recalled(messageId: string): void {
    this.#rows = this.#rows.map((row) => withoutPreview(row, messageId));
  }

  /** An answer may have been on its way while the recall of what it quotes overtook it. */
  #asAnswer(message: Message): Message {
    const { replyTo } = message;
    const quoted = replyTo === undefined ? undefined : this.#rows.find((row) => row.messageId === replyTo.messageId);
    return quoted?.recalledAt === undefined ? message : withoutPreview(message, quoted.messageId);
  }

  change(seqId: number, change: (message: Message) => Message): void {
    for (let i = this.#rows.length - 1; i >= 0; i--) {
      const row = this.#rows[i];
      if (row === undefined || row.seqId < seqId) {
        return;
      }
      if (row.seqId === seqId) {
        this.#rows[i] = change(row);
        return;
      }
    }
  }
}

/** What a frame does to a message. */
export type MessageChange = {
  conversationId: string;
  seqId: number;
  /** Of two frames with the same key the one with the higher version counts. */
  key: string;
  version: number | undefined;
  change: (message: Message) => Message;
  /** The recalled message, whose previews in answers go as well. */
  recalledId?: string;
  /** This user's own part in it: news also where a later change by others has been here before. */
  own?: { key: string; change: (message: Message) => Message };
};

/** A frame that changes a message, as a function of the message; undefined for every other frame. */
export function messageChange(frame: ServerFrame, me: string | undefined): MessageChange | undefined {
  switch (frame.type) {
    case "message-updated": {
      const { message, version } = frame.data;
      const { conversationId, seqId, messageId } = message;
      const gone = message.recalledAt === undefined ? {} : { recalledId: messageId };
      return { conversationId, seqId, key: `${seqId}`, version, change: (old) => newerOf(old, message), ...gone };
    }
    case "message-recalled": {
      const { conversationId, seqId, messageId, recalledAt, version } = frame.data;
      const change = (old: Message): Message => recalled(old, recalledAt);
      return { conversationId, seqId, key: `${seqId}`, version, change, recalledId: messageId };
    }
    case "message-reaction": {
      const { conversationId, seqId, emoji, userId, added, version } = frame.data;
      const change = (old: Message): Message => reacted(old, frame.data, me);
      const own = { key: `${seqId} ${emoji} own`, change: (old: Message): Message => ownReaction(old, emoji, added) };
      return { conversationId, seqId, key: `${seqId} ${emoji}`, version, change, ...(userId === me ? { own } : {}) };
    }
    default:
      return undefined;
  }
}

/** An answer loses its preview of a message that was recalled. */
export function withoutPreview(message: Message, recalledId: string): Message {
  return message.replyTo?.messageId === recalledId && message.replyTo.preview !== ""
    ? { ...message, replyTo: { ...message.replyTo, preview: "" } }
    : message;
}

/** What is known stays where what comes is older: a sync answer may have been on its way while a frame overtook it. */
export function newerOf(old: Message, message: Message): Message {
  if ((old.recalledAt !== undefined && message.recalledAt === undefined) || editedAt(old) > editedAt(message)) {
    return old;
  }
  // The sender's own key comes only with some frames, reactions not with an edit: kept once known.
  const { clientMsgId = old.clientMsgId, reactions = old.reactions } = message;
  const kept = message.recalledAt === undefined && reactions !== undefined ? { reactions } : {};
  // What an answer quoted of a recalled message is gone for good; the same form without it has no time of its own.
  const replyTo = old.replyTo?.preview === "" ? { replyTo: old.replyTo } : {};
  return { ...message, ...(clientMsgId === undefined ? {} : { clientMsgId }), ...kept, ...replyTo };
}

/**
 * A known message and what sync or history say of it.
 * @param isNews whether a frame about this emoji may be later than what they say
 */
export function reread(old: Message, message: Message, isNews: (emoji: string) => boolean): Message {
  const next = newerOf(old, { ...message, reactions: message.reactions ?? [] });
  if (next.recalledAt !== undefined) {
    return next;
  }
  const said = (message.reactions ?? []).filter(({ emoji }) => !isNews(emoji));
  const known = (old.reactions ?? []).filter(({ emoji }) => isNews(emoji));
  return { ...next, reactions: [...said, ...known] };
}

function editedAt(message: Message): number {
  return message.recalledAt === undefined ? (message.editedAt ?? 0) : Infinity;
}

function reacted(old: Message, data: ServerFrameOf<"message-reaction">["data"], me: string | undefined): Message {
  if (old.recalledAt !== undefined) {
    return old;
  }
  const { emoji, userId, added, count } = data;
  const before = old.reactions ?? [];
  const known = before.find((reaction) => reaction.emoji === emoji);
  const next = { emoji, count, mine: userId === me ? added : (known?.mine ?? false) };
  if (count === 0) {
    return { ...old, reactions: before.filter((reaction) => reaction !== known) };
  }
  // In its place, so that nothing jumps under somebody's finger.
  const reactions = known === undefined ? [...before, next] : before.map((one) => (one === known ? next : one));
  return { ...old, reactions };
}

/** Whether this user is among those who react so, and nothing else. */
function ownReaction(old: Message, emoji: string, mine: boolean): Message {
  const reactions = old.reactions?.map((one) => (one.emoji === emoji ? { ...one, mine } : one));
  return reactions === undefined ? old : { ...old, reactions };
}

/** A recalled message keeps its place and loses what it said. */
function recalled(old: Message, recalledAt: number | undefined): Message {
  const { content: _content, reactions: _reactions, mentions: _mentions, editedAt: _editedAt, ...rest } = old;
  return { ...rest, recalledAt: old.recalledAt ?? recalledAt ?? old.createdAt };
}

/** The newest messages of one conversation, kept up to date by edits, recalls and reactions. */
import type { Message, ServerFrame } from "./types.ts";

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
    this.#rows.push(message);
    // Dropped in blocks: shifting at each push would move the whole window each time.
    if (this.#rows.length >= 2 * this.#keep) {
      this.#rows = this.#rows.slice(-this.#keep);
    }
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

/** A frame that changes a message, as a function of the message; undefined for every other frame. */
export function messageChange(
  frame: ServerFrame,
  me: string | undefined,
  now: number,
): { conversationId: string; seqId: number; change: (message: Message) => Message } | undefined {
  switch (frame.type) {
    case "message-updated": {
      const { message } = frame.data;
      const { conversationId, seqId } = message;
      // The sender's own key comes only with some frames: keep it once known.
      return {
        conversationId,
        seqId,
        change: (old) => (old.clientMsgId === undefined ? message : { ...message, clientMsgId: old.clientMsgId }),
      };
    }
    case "message-recalled": {
      const { conversationId, seqId } = frame.data;
      return { conversationId, seqId, change: (old) => recalled(old, now) };
    }
    case "message-reaction": {
      const { conversationId, seqId, emoji, userId, added, count } = frame.data;
      return {
        conversationId,
        seqId,
        change: (old) => {
          const before = old.reactions ?? [];
          const mine = userId === me ? added : (before.find((reaction) => reaction.emoji === emoji)?.mine ?? false);
          const others = before.filter((reaction) => reaction.emoji !== emoji);
          return { ...old, reactions: count > 0 ? [...others, { emoji, count, mine }] : others };
        },
      };
    }
    default:
      return undefined;
  }
}

/** A recalled message keeps its place and loses what it said. The frame has no time; the next reading corrects it. */
function recalled(old: Message, now: number): Message {
  const { content: _content, reactions: _reactions, mentions: _mentions, ...rest } = old;
  return { ...rest, recalledAt: old.recalledAt ?? now };
}

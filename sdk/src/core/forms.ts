/**
 * In which form this client has the messages of one conversation, and up to which version of it changes are known. News of
 * changes come twice and in any order, overtake answers of sync, and come after messages that were sent before them.
 */
import type { Message } from "./types.ts";
import { reread, type MessageChange, type MessageWindow } from "./window.ts";

/** Changes, and pushed messages, remembered for each conversation: those that may still overtake each other. */
const REMEMBERED = 256;

export class MessageForms {
  /** Absent when the application keeps its messages itself. */
  readonly window: MessageWindow | undefined;
  /** Up to there changes are known here; 0: none of them, undefined: nothing is known of the form that messages have. */
  version: number | undefined = 0;
  /** Versions of the last changes of messages, by what they changed. */
  readonly #versions = new Map<string, number>();
  /** Messages that were pushed, perhaps in a form from before `version`. */
  readonly #pushed = new Set<number>();

  constructor(window: MessageWindow | undefined) {
    this.window = window;
  }

  get hasPushed(): boolean {
    return this.#pushed.size > 0;
  }

  /** A message was shown. */
  shown(message: Message, live: boolean): void {
    this.window?.push(message);
    if (live) {
      this.#pushed.add(message.seqId);
      if (this.#pushed.size > REMEMBERED) {
        const [oldest] = this.#pushed;
        this.#pushed.delete(oldest ?? 0);
      }
    }
  }

  /** A sync has told of all changes up to this version. */
  synced(version: number): void {
    if ((this.version ?? 0) > 0) {
      // Asked for the changes since then, the server has named them all, also of what was pushed.
      this.#pushed.clear();
    }
    this.version = Math.max(this.version ?? 0, version);
  }

  /**
   * News of a change. Messages that were shown are changed here.
   * @param shownUpTo messages up to here were shown
   * @returns what is left to do with one that was not; undefined when this or something later is known
   */
  take(
    { seqId, key, version, change, recalledId, own }: MessageChange,
    shownUpTo: number,
  ): MessageChange["change"] | undefined {
    if (version === undefined) {
      this.#apply(seqId, change, recalledId);
      return change;
    }
    if (version <= (this.version ?? 0) && seqId <= shownUpTo) {
      if (!this.#pushed.has(seqId)) {
        // Late over a queue: the sync has told of it, and perhaps of what was later.
        return undefined;
      }
      // The message had an older form than the sync spoke of: what came after this change may be lacking as well.
      this.version = version;
    }
    // One's own part of a reaction is news also where a later change by others has been here before.
    const isOwnNews = own !== undefined && this.#remember(own.key, version);
    const news = this.#remember(key, version) ? change : isOwnNews ? own.change : undefined;
    if (news !== undefined) {
      this.#apply(seqId, news, recalledId);
    }
    return news;
  }

  /**
   * A message as sync or history has it. One that was shown is changed here.
   * @returns what is left to do with one that was not
   */
  reread(message: Message): MessageChange["change"] {
    const { seqId, messageId, recalledAt } = message;
    const readVersion = this.version ?? 0;
    // Reactions that are absent there are absent, but for those that a frame has told of since.
    const isNews = (emoji: string): boolean => (this.#versions.get(`${seqId} ${emoji}`) ?? -1) > readVersion;
    const change = (old: Message): Message => reread(old, message, isNews);
    this.#apply(seqId, change, recalledAt === undefined ? undefined : messageId);
    return change;
  }

  #apply(seqId: number, change: MessageChange["change"], recalledId: string | undefined): void {
    this.window?.change(seqId, change);
    if (recalledId !== undefined) {
      this.window?.recalled(recalledId);
    }
  }

  /** False when this version or a later one is known. */
  #remember(key: string, version: number): boolean {
    if ((this.#versions.get(key) ?? -1) >= version) {
      return false;
    }
    this.#versions.delete(key);
    this.#versions.set(key, version);
    if (this.#versions.size > REMEMBERED) {
      const [oldest] = this.#versions.keys();
      this.#versions.delete(oldest ?? "");
    }
    return true;
  }
}

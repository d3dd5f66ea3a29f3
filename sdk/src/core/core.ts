/**
 * The client without its runtime: inputs with the time they came at, effects out. Holds no Promise, clock, timer,
 * chance or socket, so that the simulator runs exactly what applications run.
 *
 * The adapter's duties: carry out effects in order; give back only what the newest socket of a link says; answer every
 * `loadHistory` with `historyLoaded` or `historyFailed`; never call from inside an effect (queue it instead).
 */
import { Connection } from "./connection.ts";
import { Effects } from "./effects.ts";
import { PENDING_LIMIT } from "./limits.ts";
import { memoryPendingStore, Outbox } from "./outbox.ts";
import { Reads } from "./reads.ts";
import { Sends } from "./sends.ts";
import { Syncer } from "./syncer.ts";
import { Timelines } from "./timelines.ts";
import type {
  ClientEffect,
  ConnectionState,
  CoreOptions,
  Message,
  PendingRow,
  ServerFrame,
  ServerFrameOf,
  WireError,
} from "./types.ts";

/** What a step wants done, in order. */
export type Steps = readonly ClientEffect[];

export class ClientCore {
  readonly #out = new Effects();
  readonly #connection: Connection;
  readonly #outbox: Outbox;
  readonly #timelines: Timelines;
  readonly #sends: Sends;
  readonly #reads: Reads;
  readonly #syncer: Syncer;
  #userId: string | undefined;

  constructor(options: CoreOptions) {
    const { random } = options;
    this.#outbox = new Outbox({
      maxInFlight: Math.max(1, options.maxInFlight ?? 1),
      maxPending: options.maxPending ?? PENDING_LIMIT,
      store: options.store ?? memoryPendingStore(),
      random,
    });
    this.#timelines = new Timelines(
      {
        backlog: options.backlog ?? "all",
        keepMessages: options.keepMessages ?? 0,
        random,
        cursors: options.cursors ?? {},
      },
      this.#out,
    );
    this.#sends = new Sends(this.#outbox, this.#timelines, this.#out);
    this.#reads = new Reads(this.#out);
    this.#syncer = new Syncer(() => this.#timelines.heads((id) => this.#reads.readSeqId(id)), this.#out);
    this.#connection = new Connection(
      random,
      this.#out,
      (conversationId) => this.#timelines.cursor(conversationId),
      (now) => this.#lost(now),
    );
  }

  // ---- what it knows

  get state(): ConnectionState {
    return this.#connection.state;
  }

  /** From `connected`. */
  get userId(): string | undefined {
    return this.#userId;
  }

  get pendingCount(): number {
    return this.#outbox.count;
  }

  get oldestPendingAt(): number | undefined {
    return this.#outbox.oldestAt;
  }

  pending(): PendingRow[] {
    return this.#outbox.all();
  }

  /** Everything up to this sequence has been emitted; undefined for an unknown conversation. */
  cursor(conversationId: string): number | undefined {
    return this.#timelines.cursor(conversationId);
  }

  /** The last message that is known to exist; undefined for an unknown conversation. */
  head(conversationId: string): number | undefined {
    return this.#timelines.head(conversationId);
  }

  /** How far this user has read, on this device or another; 0 when that is not known. */
  readSeqId(conversationId: string): number {
    return this.#reads.readSeqId(conversationId);
  }

  /** For the next life of this client: give it back as `cursors`. */
  cursors(): Record<string, number> {
    return this.#timelines.cursors();
  }

  /** The newest messages in memory, ascending; empty without `keepMessages`. */
  messages(conversationId: string): readonly Message[] {
    return this.#timelines.messages(conversationId);
  }

  // ---- connection

  /** Wants a connection from now on. Does nothing when there is one, or one is on its way. */
  connect(now: number): Steps {
    this.#connection.connect(now);
    return this.#out.take();
  }

  /** Wants none. Pending sends and cursors stay. */
  disconnect(now: number): Steps {
    this.#connection.disconnect(now);
    return this.#out.take();
  }

  /** Opens at once instead of waiting: the network is back, or somebody pressed the button. */
  retryNow(now: number): Steps {
    this.#connection.retryNow(now);
    return this.#out.take();
  }

  socketOpened(link: string, now: number): Steps {
    this.#connection.opened(link, now);
    return this.#out.take();
  }

  /**
   * The socket of a link is gone, or never came to be (1006).
   * @param retryAfterMs what the server said beside the code, if anything.
   */
  socketClosed(link: string, code: number, now: number, retryAfterMs?: number): Steps {
    this.#connection.closed(link, code, now, retryAfterMs);
    return this.#out.take();
  }

  /** Answers `refreshToken {why: "rejected"}`: there is a new access token. */
  tokenRefreshed(now: number): Steps {
    this.#connection.tokenRefreshed(now);
    return this.#out.take();
  }

  /** Answers it: not now (no network, server busy). */
  tokenUnavailable(now: number): Steps {
    this.#connection.tokenUnavailable(now);
    return this.#out.take();
  }

  /** The refresh token is dead: only signing in helps. */
  authFailed(now: number): Steps {
    this.#connection.signedOut(now);
    return this.#out.take();
  }

  /** Reads a big room through a socket of its own instead of the user's. */
  watch(conversationId: string, now: number): Steps {
    this.#connection.rooms.watch(conversationId, now, this.#connection.isReady);
    return this.#out.take();
  }

  unwatch(conversationId: string): Steps {
    this.#connection.rooms.unwatch(conversationId, this.#connection.isReady);
    return this.#out.take();
  }

  // ---- what the user does

  /** Takes a send in; `accepted` or `failed` comes for it, once, whatever happens in between. */
  send(row: PendingRow, now: number): Steps {
    this.#sends.add(row, now);
    return this.#out.take();
  }

  /** Gives a waiting send up. One that is in flight may arrive all the same. */
  cancel(clientMsgId: string, now: number): Steps {
    this.#sends.cancel(clientMsgId, now);
    return this.#out.take();
  }

  /** Coalesced, and only grows; nobody has read what is not known to exist. */
  markRead(conversationId: string, seqId: number, now: number): Steps {
    const upTo = Math.min(seqId, this.head(conversationId) ?? seqId);
    this.#reads.want(conversationId, upTo, now, this.#connection.isReady);
    return this.#out.take();
  }

  /** Coalesced; forgotten while offline. */
  typing(conversationId: string, now: number): Steps {
    if (this.#connection.isReady) {
      this.#reads.typing(conversationId, now);
    }
    return this.#out.take();
  }

  /** For friends whose presence is wanted beyond what the server pushes. Forgotten while offline: the caller asks again. */
  subscribePresence(userIds: string[], wanted: boolean): Steps {
    if (this.#connection.isReady) {
      this.#out.send({ type: wanted ? "subscribe" : "unsubscribe", data: { presence: userIds } });
    }
    return this.#out.take();
  }

  // ---- what the server says

  /** A frame of the newest socket of a link. */
  frame(link: string, frame: ServerFrame, now: number): Steps {
    const from = this.#connection.link(link);
    if (from === undefined) {
      return this.#out.take();
    }
    from.heard(now);
    switch (frame.type) {
      case "pong":
        break;
      case "connected":
        this.#connected(frame.data, now);
        break;
      case "room":
        this.#connection.rooms.ready(link, now, this.#connection.isReady);
        this.#timelines.open(frame.data.conversationId, frame.data.headSeqId, undefined, now);
        break;
      case "message-ack":
        this.#sends.acked(frame.data, now);
        break;
      case "message-error":
        this.#sends.refused(frame.data, now);
        break;
      case "new-message":
        this.#received(frame.data.message, true, now);
        break;
      case "new-messages":
        for (const message of frame.data.messages) {
          this.#received(message, true, now);
        }
        break;
      case "sync-result":
        if (this.#syncer.isAwaited(frame.ref)) {
          this.#synced(frame.data, now);
        }
        break;
      case "error":
        this.#refused(frame, now);
        break;
      default:
        this.#other(frame, now);
    }
    return this.#out.take();
  }

  /** The answer to `loadHistory`: messages after `after`, ascending, nothing left out. */
  historyLoaded(conversationId: string, after: number, messages: readonly Message[], now: number): Steps {
    for (const message of messages) {
      this.#sends.settle(message, now);
    }
    this.#timelines.loaded(conversationId, after, messages, now);
    return this.#out.take();
  }

  /** `error`: what the server answered; without it nobody was reached. */
  historyFailed(conversationId: string, error: WireError | undefined, now: number): Steps {
    this.#timelines.failed(conversationId, error, now);
    return this.#out.take();
  }

  /** Call it when a `timer` effect's time has come; calling it early or often does no harm. */
  timer(now: number): Steps {
    this.#out.disarm();
    this.#connection.timer(now);
    this.#sends.timer(now);
    this.#timelines.timer(now);
    if (this.#connection.isReady) {
      this.#syncer.timer(now);
      this.#reads.flush(now);
    }
    this.#out.arm(
      Math.min(
        this.#connection.nextDueAt(),
        this.#sends.nextDueAt(),
        this.#timelines.nextDueAt(),
        this.#connection.isReady ? Math.min(this.#syncer.nextDueAt(), this.#reads.nextDueAt()) : Infinity,
      ),
    );
    return this.#out.take();
  }

  #connected(data: ServerFrameOf<"connected">["data"], now: number): void {
    this.#userId = data.userId;
    this.#connection.ready(data.heartbeatSeconds * 1_000, now);
    this.#syncer.start(now);
    // Not after the sync: whoever waits for an ack should not wait for a list, and a resend is recognised anyway.
    this.#sends.connected(data.userId, now);
  }

  #lost(now: number): void {
    this.#sends.disconnected();
    this.#timelines.setSynced(false, now);
    this.#syncer.cancel();
    this.#reads.disconnected(now);
  }

  #received(message: Message, live: boolean, now: number): void {
    this.#sends.settle(message, now);
    if (message.senderId === this.#userId) {
      // Whoever writes has read what stands above.
      this.#reads.confirmed(message.conversationId, message.seqId);
    }
    this.#timelines.accept(message, live, now);
  }

  #synced(data: ServerFrameOf<"sync-result">["data"], now: number): void {
    for (const synced of data.conversations) {
      const { messages, updated, changesUpTo, hasMore: _hasMore, ...item } = synced;
      const { conversationId, headSeqId, version } = item.conversation;
      this.#out.emit({ type: "item", item });
      // Who was removed and is back did not ask for the changes of what they have: that is a sync of its own.
      const wasNamed = this.#syncer.hasNamed(conversationId);
      const isBack = !wasNamed && this.#timelines.isReturn(conversationId);
      if (isBack) {
        this.#syncer.askAgain();
      }
      // Nor did who was pushed the first messages while the answer was on its way: the next sync asks for their changes.
      const isTold = wasNamed || !(isBack || this.#timelines.hasPushed(conversationId));
      this.#timelines.open(conversationId, headSeqId, isTold ? (changesUpTo ?? version) : undefined, now);
      this.#reads.confirmed(conversationId, item.readSeqId);
      for (const message of messages) {
        this.#received(message, false, now);
      }
      for (const message of updated) {
        if (!this.#timelines.reread(message, now)) {
          this.#out.emit({ type: "frame", frame: { type: "message-updated", data: { message } } });
        }
      }
    }
    for (const conversationId of data.removed) {
      this.#timelines.close(conversationId);
      this.#out.emit({ type: "removed", conversationId });
    }
    if (this.#syncer.answered(data.nextCursor, now)) {
      this.#connection.synced();
      this.#timelines.setSynced(true, now);
      this.#reads.flush(now);
      this.#out.emit({ type: "synced", serverTime: data.serverTime });
    }
  }

  #refused(frame: ServerFrameOf<"error">, now: number): void {
    const { error, ref } = frame.data;
    if (error.name === "RATE_LIMITED") {
      this.#connection.rateLimited(error.retryAfterMs);
    }
    if (!this.#syncer.refused(ref, error, now) && !this.#reads.refused(ref, error, now)) {
      this.#out.emit({ type: "frame", frame });
    }
  }

  /** Frames that the application gets as they are, and what they mean to the timelines. */
  #other(frame: ServerFrame, now: number): void {
    switch (frame.type) {
      case "conversation-created":
      case "conversation-joined":
      case "conversation-updated":
      case "friend-accepted": {
        const { conversationId, headSeqId } = frame.data.conversation;
        this.#timelines.open(conversationId, headSeqId, undefined, now);
        break;
      }
      case "conversation-removed":
        this.#timelines.close(frame.data.conversationId);
        break;
      case "message-read-receipt": {
        const { conversationId, userId, readSeqId } = frame.data;
        if (userId === this.#userId) {
          this.#reads.confirmed(conversationId, readSeqId);
        }
        if (!this.#reads.isNews(conversationId, userId, readSeqId)) {
          return;
        }
        break;
      }
      default:
        if (this.#timelines.change(frame, this.#userId, now)) {
          return;
        }
    }
    this.#out.emit({ type: "frame", frame });
  }
}

/** Own messages: out of the outbox when there is a connection, into the timeline when they are acknowledged. */
import type { Effects } from "./effects.ts";
import { ACK_TIMEOUT_MS, FAILED_KEPT, PENDING_MAX_AGE_MS } from "./limits.ts";
import type { Outbox } from "./outbox.ts";
import type { Timelines } from "./timelines.ts";
import type { ClientEvent, LocalErrorName, Message, PendingRow, SendError, ServerFrameOf, WireError } from "./types.ts";

export class Sends {
  readonly #outbox: Outbox;
  readonly #timelines: Timelines;
  readonly #out: Effects;
  /** Undefined while sends have to wait. */
  #userId: string | undefined;
  /**
   * Conversations of failed sends, by key. An earlier copy of a send that was refused, cancelled or given up may have been on its way
   * then: the conversation decides what is true.
   */
  readonly #failed = new Map<string, string>();
  /** The moment of the flush under way, for `#frame`, which is made once and not per flush. */
  #now = 0;
  readonly #frame = (row: PendingRow): void => {
    this.#out.send({ type: "send-message", data: row.data });
    this.#out.arm(this.#now + ACK_TIMEOUT_MS);
  };

  constructor(outbox: Outbox, timelines: Timelines, out: Effects) {
    this.#outbox = outbox;
    this.#timelines = timelines;
    this.#out = out;
  }

  add(row: PendingRow, now: number): void {
    this.#failed.delete(row.data.clientMsgId);
    if (!this.#outbox.add(row)) {
      this.#fail(row, localError("PENDING_FULL", "Too many messages wait to be sent."));
      return;
    }
    if (this.#outbox.count === 1) {
      this.#out.arm(row.createdAt + PENDING_MAX_AGE_MS);
    }
    this.#flush(row.data.conversationId, now);
  }

  cancel(clientMsgId: string, now: number): void {
    const row = this.#outbox.cancel(clientMsgId);
    if (row !== undefined) {
      this.#fail(row, localError("CANCELLED", "The send was cancelled."));
      this.#flush(row.data.conversationId, now);
    }
  }

  /** There is a connection: everything that waits leaves, in order and under its old ids. */
  connected(userId: string, now: number): void {
    this.#userId = userId;
    this.timer(now);
    this.#out.arm(this.#outbox.nextDueAt(true));
  }

  disconnected(): void {
    this.#userId = undefined;
    this.#outbox.disconnected();
  }

  /** Fails what is too old, and sends again what has had no answer for too long or was held back. */
  timer(now: number): void {
    for (const row of this.#outbox.expire(now)) {
      this.#fail(row, localError("EXPIRED", "The message waited too long to be sent safely."));
    }
    if (this.#userId !== undefined && this.#outbox.count > 0) {
      this.#now = now;
      this.#outbox.timeOut(now);
      this.#outbox.flushAll(now, this.#frame);
    }
  }

  nextDueAt(): number {
    return this.#outbox.nextDueAt(this.#userId !== undefined);
  }

  acked(ack: ServerFrameOf<"message-ack">["data"], now: number): void {
    const { clientMsgId, conversationId, messageId, seqId, createdAt } = ack;
    if (ack.status !== "sent" || messageId === undefined || seqId === undefined) {
      this.#outbox.taken(clientMsgId, now);
      return;
    }
    const row = this.#outbox.accepted(clientMsgId);
    const accepted = { clientMsgId, conversationId, messageId, seqId, createdAt: createdAt ?? now };
    if (row === undefined) {
      // Acknowledged before, or by an earlier life of this client: the sequence exists all the same.
      this.#arrived(accepted);
      this.#timelines.exists(conversationId, seqId, now);
      return;
    }
    this.#out.emit({ type: "accepted", ...accepted });
    if (row.data.replyTo !== undefined || createdAt === undefined || this.#userId === undefined) {
      // The quoted preview is the server's: read it back instead of guessing it.
      this.#timelines.exists(conversationId, seqId, now);
    } else {
      const { messageType, content, mentions } = row.data;
      const message: Message = {
        messageId,
        conversationId,
        seqId,
        senderId: this.#userId,
        messageType,
        content,
        createdAt,
        clientMsgId,
      };
      if (mentions !== undefined) {
        message.mentions = mentions;
      }
      this.#timelines.accept(message, true, now);
    }
    this.#flush(conversationId, now);
  }

  refused(data: ServerFrameOf<"message-error">["data"], now: number): void {
    const { clientMsgId, conversationId, error } = data;
    // A token that ran out says nothing about the message.
    const advice: WireError = error.name === "UNAUTHENTICATED" ? { ...error, retry: "later" } : error;
    const refusal = this.#outbox.refused(clientMsgId, advice, now);
    if (refusal.kind === "failed") {
      this.#fail(refusal.row, error);
      this.#flush(conversationId, now);
    } else if (refusal.kind === "waits") {
      this.#out.arm(refusal.until);
    }
  }

  /** A message that came another way than by an ack may be one of those that wait for theirs. */
  settle(message: Message, now: number): void {
    const { clientMsgId, conversationId, messageId, seqId, createdAt } = message;
    if (clientMsgId === undefined || (this.#outbox.count === 0 && this.#failed.size === 0)) {
      return;
    }
    const accepted = { clientMsgId, conversationId, messageId, seqId, createdAt };
    if (this.#outbox.get(clientMsgId)?.data.conversationId !== conversationId) {
      this.#arrived(accepted);
      return;
    }
    this.#outbox.accepted(clientMsgId);
    this.#out.emit({ type: "accepted", ...accepted });
    this.#flush(conversationId, now);
  }

  #flush(conversationId: string, now: number): void {
    if (this.#userId !== undefined) {
      this.#now = now;
      this.#outbox.flush(conversationId, now, this.#frame);
    }
  }

  /** A send that has failed is in the conversation nevertheless. */
  #arrived(accepted: Omit<Extract<ClientEvent, { type: "accepted" }>, "type">): void {
    const { clientMsgId, conversationId } = accepted;
    if (this.#failed.get(clientMsgId) === conversationId) {
      this.#failed.delete(clientMsgId);
      this.#out.emit({ type: "accepted", ...accepted });
    }
  }

  #fail(row: PendingRow, error: SendError): void {
    const { clientMsgId, conversationId } = row.data;
    this.#failed.set(clientMsgId, conversationId);
    if (this.#failed.size > FAILED_KEPT) {
      const [oldest = ""] = this.#failed.keys();
      this.#failed.delete(oldest);
    }
    this.#out.emit({ type: "failed", clientMsgId, conversationId, error });
  }
}

function localError(name: LocalErrorName, message: string): SendError {
  return { code: 0, name, message, retry: "never" };
}

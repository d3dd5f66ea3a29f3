/** The handles of own sends: found again by their key when the core has decided about them. */
import type { PendingRow } from "./core/index.ts";
import type { ChatError } from "./errors.ts";
import type { SendData } from "./protocol.ts";
import { Sent, type Accepted } from "./sent.ts";

/** Handles that still wait to hear of SQL, or have failed: a reader of `state` may be one of the last so many sends. */
const KEPT_LIMIT = 1_000;
const PREFIX_BYTES = 12;

export type SentBookPorts = {
  send(row: PendingRow): void;
  cancel(clientMsgId: string): void;
  now(): number;
};

type Open = { sent: Sent; data: SendData };

export class SentBook {
  readonly #ports: SentBookPorts;
  readonly #open = new Map<string, Open>();
  readonly #unstored = new Map<string, Sent>();
  readonly #failed = new Map<string, Sent>();
  /** Random once, counted then: unique for ever, and cheap for senders of thousands a second. */
  readonly #prefix = randomText(PREFIX_BYTES);
  #count = 0;

  constructor(ports: SentBookPorts) {
    this.#ports = ports;
  }

  newId(): string {
    this.#count += 1;
    return `${this.#prefix}-${this.#count}`;
  }

  /** The same key again, while it waits, is the same send. */
  take(data: SendData): Sent {
    const known = this.#open.get(data.clientMsgId);
    if (known !== undefined) {
      return known.sent;
    }
    const sent = new Sent(data.clientMsgId, data.conversationId, {
      cancel: (clientMsgId) => this.#ports.cancel(clientMsgId),
      retry: (failed) => this.#retry(failed, data),
    });
    this.#open.set(data.clientMsgId, { sent, data });
    this.#ports.send({ data, createdAt: this.#ports.now() });
    return sent;
  }

  accepted(event: { clientMsgId: string } & Accepted): void {
    const { clientMsgId, messageId, seqId, createdAt } = event;
    const open = this.#open.get(clientMsgId);
    const sent = open?.sent ?? this.#failed.get(clientMsgId);
    if (sent === undefined) {
      return; // Sent by an earlier life of this client.
    }
    if (open === undefined) {
      sent.arrived({ messageId, seqId, createdAt });
    } else {
      sent.decide({ messageId, seqId, createdAt });
    }
    this.#open.delete(clientMsgId);
    this.#failed.delete(clientMsgId);
    keep(this.#unstored, sent);
  }

  failed(clientMsgId: string, error: ChatError): void {
    const open = this.#open.get(clientMsgId);
    if (open !== undefined) {
      this.#open.delete(clientMsgId);
      keep(this.#failed, open.sent);
      open.sent.decide(error);
    }
  }

  stored(clientMsgId: string): void {
    this.#unstored.get(clientMsgId)?.stored();
    this.#unstored.delete(clientMsgId);
  }

  #retry(failed: Sent, data: SendData): Sent {
    // An expired key may not be recognised any more, a refused one stands for something else: those begin anew.
    const anew = failed.error?.name === "EXPIRED" || failed.error?.name === "DUPLICATE_MESSAGE";
    return this.take(anew ? { ...data, clientMsgId: this.newId() } : data);
  }
}

/** The newest so many, by key. */
function keep(kept: Map<string, Sent>, sent: Sent): void {
  kept.set(sent.clientMsgId, sent);
  if (kept.size > KEPT_LIMIT) {
    const [oldest = ""] = kept.keys();
    kept.delete(oldest);
  }
}

/** Letters and digits, as keys may hold them. */
function randomText(bytes: number): string {
  const random = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

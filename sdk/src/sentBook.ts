/** The handles of own sends: found again by their key when the core has decided about them. */
import type { PendingRow } from "./core/index.ts";
import type { ChatError } from "./errors.ts";
import type { SendData } from "./protocol.ts";
import { Sent, type Accepted } from "./sent.ts";

/** Handles that still wait to hear of SQL: a reader of `state` may be one of the last so many sends. */
const UNSTORED_LIMIT = 1_000;
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
  readonly #failed = new WeakMap<Sent, SendData>();
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
      retry: (failed) => this.#retry(failed),
    });
    this.#open.set(data.clientMsgId, { sent, data });
    this.#ports.send({ data, createdAt: this.#ports.now() });
    return sent;
  }

  accepted(event: { clientMsgId: string } & Accepted): void {
    const open = this.#open.get(event.clientMsgId);
    if (open === undefined) {
      return; // Sent by an earlier life of this client.
    }
    const { messageId, seqId, createdAt } = event;
    this.#open.delete(event.clientMsgId);
    open.sent.decide({ messageId, seqId, createdAt });
    this.#unstored.set(event.clientMsgId, open.sent);
    if (this.#unstored.size > UNSTORED_LIMIT) {
      for (const oldest of this.#unstored.keys()) {
        this.#unstored.delete(oldest);
        break;
      }
    }
  }

  failed(clientMsgId: string, error: ChatError): void {
    const open = this.#open.get(clientMsgId);
    if (open !== undefined) {
      this.#open.delete(clientMsgId);
      this.#failed.set(open.sent, open.data);
      open.sent.decide(error);
    }
  }

  stored(clientMsgId: string): void {
    this.#unstored.get(clientMsgId)?.stored();
    this.#unstored.delete(clientMsgId);
  }

  #retry(failed: Sent): Sent {
    const data = this.#failed.get(failed);
    if (data === undefined) {
      return failed;
    }
    // An expired key may not be recognised any more, a refused one stands for something else: those begin anew.
    const anew = failed.error?.name === "EXPIRED" || failed.error?.name === "DUPLICATE_MESSAGE";
    return this.take(anew ? { ...data, clientMsgId: this.newId() } : data);
  }
}

/** Letters and digits, as keys may hold them. */
function randomText(bytes: number): string {
  const random = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

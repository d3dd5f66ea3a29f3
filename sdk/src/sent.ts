/** One own send, from the call to its place in the conversation. */
import { ChatError } from "./errors.ts";
import { Writable, type Store } from "./store.ts";

/** Where an accepted send stands. */
export type Accepted = { messageId: string; seqId: number; createdAt: number };

/** `stored`: in SQL as well; `sent` is just as safe. */
export type SentState = "sending" | "sent" | "stored" | "failed";

export type SentActions = {
  cancel(clientMsgId: string): void;
  retry(sent: Sent): Sent;
};

export class Sent {
  readonly clientMsgId: string;
  readonly conversationId: string;
  readonly #actions: SentActions;
  readonly #state = new Writable<SentState>("sending");
  #outcome: Accepted | ChatError | undefined;
  #accepted: PromiseWithResolvers<Accepted> | undefined;

  constructor(clientMsgId: string, conversationId: string, actions: SentActions) {
    this.clientMsgId = clientMsgId;
    this.conversationId = conversationId;
    this.#actions = actions;
  }

  get state(): Store<SentState> {
    return this.#state;
  }

  /** Why it failed, if it did. */
  get error(): ChatError | undefined {
    return this.#outcome instanceof ChatError ? this.#outcome : undefined;
  }

  /**
   * Resolves when the message is durable and has its place; rejects with a `ChatError` when the send failed. Should an earlier copy of
   * it turn out to have arrived nevertheless, `state` becomes `sent`, and a promise that is taken then resolves.
   */
  get accepted(): Promise<Accepted> {
    // Made when somebody asks: most sends of a busy bot are never awaited.
    if (this.#accepted === undefined) {
      this.#accepted = Promise.withResolvers();
      // Whoever only looks at `state` is not to be told of an unhandled rejection.
      this.#accepted.promise.catch(() => undefined);
      this.#settle();
    }
    return this.#accepted.promise;
  }

  /** Gives it up while it waits. What is already on its way may still arrive. */
  cancel(): void {
    if (this.#outcome === undefined) {
      this.#actions.cancel(this.clientMsgId);
    }
  }

  /** Sends a failed one again; answers the new attempt. */
  retry(): Sent {
    return this.#outcome instanceof ChatError ? this.#actions.retry(this) : this;
  }

  /** For the client only: the core has decided. */
  decide(outcome: Accepted | ChatError): void {
    if (this.#outcome === undefined) {
      this.#outcome = outcome;
      this.#settle();
      this.#state.set(outcome instanceof ChatError ? "failed" : "sent");
    }
  }

  /** For the client only: it had failed, and is in the conversation nevertheless. */
  arrived(outcome: Accepted): void {
    if (this.#outcome instanceof ChatError) {
      this.#outcome = outcome;
      this.#accepted = undefined;
      this.#state.set("sent");
    }
  }

  /** For the client only: SQL has it. */
  stored(): void {
    if (this.#state.get() === "sent") {
      this.#state.set("stored");
    }
  }

  #settle(): void {
    if (this.#outcome instanceof ChatError) {
      this.#accepted?.reject(this.#outcome);
    } else if (this.#outcome !== undefined) {
      this.#accepted?.resolve(this.#outcome);
    }
  }
}

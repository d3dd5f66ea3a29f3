/** The one error that this client throws or rejects with. */
import type { SendError } from "./core/types.ts";
import type { ErrorName, RetryAdvice, WireError } from "./protocol.ts";

/** Errors that never were on the wire; their `code` is 0. */
export type LocalError =
  /** No answer: no network, no server, or it took too long. */
  | "NETWORK"
  /** Nobody is signed in. */
  | "NOT_SIGNED_IN"
  /** The server has ended the session: banned, or replaced by another. */
  | "STOPPED"
  /** The client was closed. */
  | "CLOSED"
  /** A send waited so long that sending it could store it twice. */
  | "EXPIRED"
  | "CANCELLED"
  | "PENDING_FULL"
  /** A `stream` was read too slowly. */
  | "STREAM_FULL";

export class ChatError extends Error {
  /** From the server's table of errors; 0 for errors of this client. */
  readonly code: number;
  override readonly name: ErrorName | LocalError;
  readonly retry: RetryAdvice;
  readonly retryAfterMs: number | undefined;
  /** For the operator's log. */
  readonly requestId: string | undefined;
  /** What was wrong with which field. */
  readonly fields: readonly { path: string; message: string }[] | undefined;

  constructor(
    error: WireError | SendError | { name: LocalError; message: string; retry: RetryAdvice },
    cause?: unknown,
  ) {
    super(error.message, cause === undefined ? undefined : { cause });
    this.code = "code" in error ? error.code : 0;
    this.name = error.name;
    this.retry = error.retry;
    this.retryAfterMs = "retryAfterMs" in error ? error.retryAfterMs : undefined;
    this.requestId = "requestId" in error ? error.requestId : undefined;
    this.fields = "fields" in error ? error.fields : undefined;
  }

  /** As the wire has it, where it came from there; undefined when nobody answered. */
  get wire(): WireError | undefined {
    if (this.code === 0) {
      return undefined;
    }
    const { code, message, retry, retryAfterMs } = this;
    // A code other than 0 comes with a name of the server's table.
    return { code, name: this.name as ErrorName, message, requestId: this.requestId ?? "", retry, retryAfterMs };
  }
}

export function networkError(message: string, cause?: unknown): ChatError {
  return new ChatError({ name: "NETWORK", message, retry: "same" }, cause);
}

export function notSignedIn(): ChatError {
  return new ChatError({ name: "NOT_SIGNED_IN", message: "Nobody is signed in.", retry: "never" });
}

export function closedError(): ChatError {
  return new ChatError({ name: "CLOSED", message: "The client is closed.", retry: "never" });
}

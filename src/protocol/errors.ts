/**
 * The one table of errors: HTTP status, close code, retry advice and public text of each. The REST
 * mapper, the socket mapper and the documentation read it. Source: DESIGN section 4, WIRE "Things".
 */

/**
 * `never`: the request itself is wrong. `same`: sending it again unchanged is safe and may work.
 * `later`: as `same`, after `retryAfterMs`.
 */
export type RetryAdvice = "never" | "same" | "later";

type ErrorRow = {
  readonly code: number;
  /** Absent for errors that only close sockets. */
  readonly http?: number;
  readonly retry: RetryAdvice;
  readonly message: string;
};

export const ERRORS = {
  INVALID_INPUT: {
    code: 1000,
    http: 400,
    retry: "never",
    message: "The request does not have the expected form.",
  },
  USER_NOT_FOUND: { code: 1001, http: 404, retry: "never", message: "There is no such user." },
  PERMISSION_DENIED: { code: 1002, http: 403, retry: "never", message: "This is not allowed." },
  DUPLICATE_MESSAGE: {
    code: 1003,
    http: 409,
    retry: "never",
    message: "Another message was sent with this clientMsgId.",
  },
  CONVERSATION_NOT_FOUND: {
    code: 1004,
    http: 404,
    retry: "never",
    message: "There is no such conversation.",
  },
  GROUP_FULL: {
    code: 1005,
    http: 409,
    retry: "never",
    message: "The conversation has as many members as it may have.",
  },
  UNAUTHENTICATED: {
    code: 1006,
    http: 401,
    retry: "never",
    message: "A valid access token is needed.",
  },
  RATE_LIMITED: { code: 1007, http: 429, retry: "later", message: "Too many requests." },
  CONTENT_REJECTED: {
    code: 1008,
    http: 422,
    retry: "never",
    message: "The content is not accepted here.",
  },
  MESSAGE_NOT_FOUND: { code: 1009, http: 404, retry: "never", message: "There is no such message." },
  CONFLICT: {
    code: 1010,
    http: 409,
    retry: "never",
    message: "The request does not fit the present state.",
  },
  PAYLOAD_TOO_LARGE: { code: 1011, http: 413, retry: "never", message: "The request is too large." },
  UNAVAILABLE: {
    code: 1012,
    http: 503,
    retry: "later",
    message: "Something that this needs does not answer.",
  },
  INTERNAL: { code: 1013, http: 500, retry: "same", message: "Something went wrong here." },
  NOT_FOUND: { code: 1014, http: 404, retry: "never", message: "There is nothing here." },
  METHOD_NOT_ALLOWED: {
    code: 1015,
    http: 405,
    retry: "never",
    message: "This path does not know that method.",
  },
  UNSUPPORTED_MEDIA_TYPE: {
    code: 1016,
    http: 415,
    retry: "never",
    message: "The body has a type that is not accepted here.",
  },
  BANNED: { code: 1017, http: 403, retry: "never", message: "This account is banned." },
  SESSION_REPLACED: {
    code: 1018,
    retry: "never",
    message: "Another session of the same kind took this one's place.",
  },
  SLOW_CONSUMER: {
    code: 1019,
    retry: "same",
    message: "The connection did not keep up; connect again and resume.",
  },
  SHUTDOWN: { code: 1020, retry: "same", message: "The connection ends; connect again." },
} as const satisfies Record<string, ErrorRow>;

export type ErrorName = keyof typeof ERRORS;

/** What failed, as a value. `detail` goes to the log only, never on the wire. */
export type Fault = {
  name: ErrorName;
  retryAfterMs?: number;
  fields?: { path: string; message: string }[];
  detail?: string;
};

/** An expected failure is a value, not an exception. */
export type Result<T> = { ok: true; value: T } | { ok: false; fault: Fault };

export function ok<T>(value: T): { ok: true; value: T } {
  return { ok: true, value };
}

export function err(fault: Fault): { ok: false; fault: Fault } {
  return { ok: false, fault };
}

/** When `later` comes without a time of its own. */
export const DEFAULT_RETRY_AFTER_MS = 1_000;

/** The error as clients see it, inside `{error: …}`. */
export type WireError = {
  code: number;
  name: ErrorName;
  message: string;
  requestId: string;
  retry: RetryAdvice;
  retryAfterMs?: number;
  fields?: { path: string; message: string }[];
};

export function toWireError(fault: Fault, requestId: string): WireError {
  const row: ErrorRow = ERRORS[fault.name];
  return {
    code: row.code,
    name: fault.name,
    message: row.message,
    requestId,
    retry: row.retry,
    ...(row.retry === "later"
      ? { retryAfterMs: Math.ceil(fault.retryAfterMs ?? DEFAULT_RETRY_AFTER_MS) }
      : {}),
    ...(fault.fields === undefined ? {} : { fields: fault.fields }),
  };
}

/** The `error` frame; `ref` is the refused frame's own id. */
export function errorFrame(
  fault: Fault,
  requestId: string,
  ref?: string,
): { type: "error"; data: { error: WireError; ref?: string } } {
  const error = toWireError(fault, requestId);
  return { type: "error", data: ref === undefined ? { error } : { error, ref } };
}

/** Close code = 3000 + code. Source: WIRE "Things". */
export function closeCodeOf(name: ErrorName): number {
  return 3000 + ERRORS[name].code;
}

/** Bytes of a close reason that the protocol allows. */
const CLOSE_REASON_BYTES = 123;

export function closeReasonOf(name: ErrorName): string {
  // The table's texts are ASCII, so characters are bytes.
  return `${name}: ${ERRORS[name].message}`.slice(0, CLOSE_REASON_BYTES);
}

/**
 * The one table of errors: code, HTTP status, close code, retry advice and public text of each. The REST mapper, the
 * socket mapper and docs/errors.md read it. Source: DESIGN section 4, WIRE "Things".
 */
import type { WireError } from "./things.ts";

/**
 * `never`: the request itself is wrong, or not allowed. `same`: sending it again unchanged is safe and may work.
 * `later`: as `same`, after `retryAfterMs`.
 */
export type RetryAdvice = "never" | "same" | "later";

export type ErrorRow = {
  readonly code: number;
  /** `null`: only ever a reason to close a socket. */
  readonly http: number | null;
  /** WebSocket close code: 3000 + `code`, which keeps it in the range for applications. */
  readonly close: number;
  readonly retry: RetryAdvice;
  /** All that the outside learns, in ASCII: what exactly failed is in the log, under the request id. */
  readonly message: string;
};

// One line a row: it is read as a table.
// oxfmt-ignore
export const ERRORS = {
  INVALID_INPUT:          { code: 1000, http: 400,  close: 4000, retry: "never", message: "The request does not have the expected form." },
  USER_NOT_FOUND:         { code: 1001, http: 404,  close: 4001, retry: "never", message: "There is no such user." },
  PERMISSION_DENIED:      { code: 1002, http: 403,  close: 4002, retry: "never", message: "This is not allowed." },
  DUPLICATE_MESSAGE:      { code: 1003, http: 409,  close: 4003, retry: "never", message: "Another message was sent with this clientMsgId." },
  CONVERSATION_NOT_FOUND: { code: 1004, http: 404,  close: 4004, retry: "never", message: "There is no such conversation." },
  GROUP_FULL:             { code: 1005, http: 409,  close: 4005, retry: "never", message: "The conversation has as many members as it may have." },
  UNAUTHENTICATED:        { code: 1006, http: 401,  close: 4006, retry: "never", message: "Valid credentials are needed." },
  RATE_LIMITED:           { code: 1007, http: 429,  close: 4007, retry: "later", message: "Too many requests." },
  CONTENT_REJECTED:       { code: 1008, http: 422,  close: 4008, retry: "never", message: "The content is not accepted here." },
  MESSAGE_NOT_FOUND:      { code: 1009, http: 404,  close: 4009, retry: "never", message: "There is no such message." },
  CONFLICT:               { code: 1010, http: 409,  close: 4010, retry: "never", message: "The request does not fit the present state." },
  PAYLOAD_TOO_LARGE:      { code: 1011, http: 413,  close: 4011, retry: "never", message: "The request is too large." },
  UNAVAILABLE:            { code: 1012, http: 503,  close: 4012, retry: "later", message: "Something that this needs does not answer." },
  INTERNAL:               { code: 1013, http: 500,  close: 4013, retry: "same",  message: "Something went wrong here." },
  NOT_FOUND:              { code: 1014, http: 404,  close: 4014, retry: "never", message: "There is nothing here." },
  METHOD_NOT_ALLOWED:     { code: 1015, http: 405,  close: 4015, retry: "never", message: "This path does not know that method." },
  UNSUPPORTED_MEDIA_TYPE: { code: 1016, http: 415,  close: 4016, retry: "never", message: "The body has a type that is not accepted here." },
  BANNED:                 { code: 1017, http: 403,  close: 4017, retry: "never", message: "This account is banned." },
  SESSION_REPLACED:       { code: 1018, http: null, close: 4018, retry: "never", message: "Another session took this one's place." },
  SLOW_CONSUMER:          { code: 1019, http: null, close: 4019, retry: "same",  message: "The connection did not keep up; connect again and resume." },
  SHUTDOWN:               { code: 1020, http: null, close: 4020, retry: "same",  message: "The connection ends; connect again." },
} as const satisfies Record<string, ErrorRow>;

export type ErrorName = keyof typeof ERRORS;

/** Every name, in the order of the codes. */
export const ERROR_NAMES = Object.keys(ERRORS) as [ErrorName, ...ErrorName[]];

/** Which part of a request is wrong, and how. */
export type FieldFault = { path: string; message: string };

/** What failed, as a value. `detail` is for the log and never goes on the wire. */
export type Fault = {
  name: ErrorName;
  /** When a repetition makes sense, from now; only looked at where the table says `later`. */
  retryAfterMs?: number;
  fields?: FieldFault[];
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
/** Field reports in one answer: enough to mend a client, bounded for a hostile one. */
const FIELDS_LIMIT = 10;
/** UTF-16 units of a field's path; our own paths are far shorter, the rest is the caller's keys. */
const PATH_LIMIT = 100;

/**
 * Why a schema refused its input, as a fault. Takes what zod reports without knowing zod.
 * @param root put in front of every path, e.g. `data` of a frame
 */
export function invalidInput(
  issues: readonly { path: readonly PropertyKey[]; message: string }[],
  root: readonly string[] = [],
): Fault {
  const fields = issues.slice(0, FIELDS_LIMIT).map((issue) => ({
    path: [...root, ...issue.path.map(String)].join(".").slice(0, PATH_LIMIT).toWellFormed(),
    message: issue.message,
  }));
  return { name: "INVALID_INPUT", fields };
}

/**
 * The error as clients see it: the inner object of `{error: …}` on REST, `error` in a frame. `later` always comes with
 * a time. @param requestId the one that stands in the log line of this failure
 */
export function toWireError(fault: Fault, requestId: string): WireError {
  const { code, message, retry } = ERRORS[fault.name];
  const error: WireError = { code, name: fault.name, message, requestId, retry };
  if (retry === "later") {
    error.retryAfterMs = Math.max(1, Math.ceil(fault.retryAfterMs ?? DEFAULT_RETRY_AFTER_MS));
  }
  if (fault.fields !== undefined) {
    error.fields = fault.fields;
  }
  return error;
}

/** The `error` frame. @param ref the `id` of the frame that was refused, if it had one */
export function errorFrame(
  fault: Fault,
  requestId: string,
  ref?: string,
): { type: "error"; data: { error: WireError; ref?: string } } {
  const error = toWireError(fault, requestId);
  return { type: "error", data: ref === undefined ? { error } : { error, ref } };
}

/** The statuses that occur, as literals: Hono types its answers by them. */
export type ErrorStatus = Exclude<(typeof ERRORS)[ErrorName]["http"], null>;

/** HTTP status of an answer with this error; close-only errors never should be one, and count as 500. */
export function httpStatusOf(name: ErrorName): ErrorStatus {
  return ERRORS[name].http ?? 500;
}

export function closeCodeOf(name: ErrorName): number {
  return ERRORS[name].close;
}

/** UTF-8 bytes of a close reason. Source: RFC 6455 section 5.5 (125 bytes of a control frame, 2 are the code). */
export const CLOSE_REASON_BYTES = 123;

/** The reason beside a close code: the name for programs, then the text for people. */
export function closeReasonOf(name: ErrorName): string {
  return cutToBytes(`${name}: ${ERRORS[name].message}`, CLOSE_REASON_BYTES);
}

/** The longest beginning of `text` that has at most `limit` bytes in UTF-8 and cuts no character in two. */
export function cutToBytes(text: string, limit: number): string {
  let bytes = 0;
  let cut = "";
  for (const char of text) {
    const point = char.codePointAt(0) ?? 0;
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    if (bytes > limit) {
      break;
    }
    cut += char;
  }
  return cut;
}

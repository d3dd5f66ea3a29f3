/**
 * Logs: one JSON line each, through `console`, which Workers Logs parses by itself. The fields are a closed list of
 * ids, codes and counts, so that a message content, a token or a password has no place to stand in.
 */

/** What a log line may carry besides its level and text. */
export interface LogFields {
  requestId?: string;
  /** Code or name of src/protocol/errors.ts. */
  code?: number | string;
  userId?: string;
  deviceId?: string;
  conversationId?: string;
  messageId?: string;
  eventId?: string;
  clientMsgId?: string;
  topic?: string;
  /** `sql`, `cache` or `bus`. */
  dependency?: string;
  /** Route pattern, never the path with its ids and query. */
  route?: string;
  method?: string;
  status?: number;
  /** `detail` of a fault: a constant text of ours. */
  reason?: string;
  /** How many of what the text names. */
  count?: number;
  attempts?: number;
  durationMs?: number;
  /** What `describeError` made; never a raw error. */
  error?: string;
  /** Where it was thrown: frames of our own code, without the message. */
  at?: string;
}

export type LogLevel = "debug" | "info" | "warn" | "error";

/** Writes one line. The text is a constant sentence; what varies goes into the fields. */
export function log(level: LogLevel, msg: string, fields: LogFields = {}): void {
  const line = JSON.stringify({ level, msg, ...fields });
  switch (level) {
    case "error":
      console.error(line);
      break;
    case "warn":
      console.warn(line);
      break;
    default:
      console.log(line);
  }
}

/** Errors wrap errors (Drizzle around D1 around SQLite); deeper than this is a cycle. */
const MAX_CAUSES = 8;
const MAX_ERROR_CHARS = 300;
const MAX_FRAMES = 6;

/**
 * Name and text of the innermost cause. The outer text of a Drizzle error is skipped on purpose: it contains the
 * statement's parameters, which are what users wrote.
 */
export function describeError(thrown: unknown): string {
  const cause = innermost(thrown);
  if (cause instanceof Error) {
    return `${cause.name}: ${firstLine(cause.message)}`.slice(0, MAX_ERROR_CHARS);
  }
  return typeof cause === "string" ? firstLine(cause).slice(0, MAX_ERROR_CHARS) : `thrown ${typeof cause}`;
}

/** The first frames of the innermost cause's stack, for the log only; never for an answer. */
export function errorFrames(thrown: unknown): string | undefined {
  const cause = innermost(thrown);
  const stack = cause instanceof Error ? cause.stack : undefined;
  const frames = (stack ?? "")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line.startsWith("at "))
    .slice(0, MAX_FRAMES);
  return frames.length === 0 ? undefined : frames.join(" < ");
}

function innermost(thrown: unknown): unknown {
  let current = thrown;
  for (let depth = 0; depth < MAX_CAUSES; depth++) {
    if (!(current instanceof Error) || current.cause === undefined || current.cause === null) {
      return current;
    }
    current = current.cause;
  }
  return current;
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? "";
}

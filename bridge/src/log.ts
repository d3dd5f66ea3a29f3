/**
 * Logs: one JSON line each. The fields are a closed list of names, codes and counts; a record's value, a command, a
 * statement or a credential has no place to stand in.
 */

export interface LogFields {
  dialect?: string;
  engine?: string;
  group?: string;
  topic?: string;
  partition?: number;
  offset?: string;
  count?: number;
  tries?: number;
  status?: number;
  delayMs?: number;
  durationMs?: number;
  port?: number;
  host?: string;
  /** What `describeError` made; never a raw error. */
  error?: string;
}

export type LogLevel = "info" | "warn" | "error";
export type Log = (level: LogLevel, message: string, fields?: LogFields) => void;

/** Writes one line: errors and warnings to standard error, the rest to standard output. */
export const log: Log = (level, msg, fields = {}) => {
  const line = `${JSON.stringify({ level, time: Date.now(), msg, ...fields })}\n`;
  (level === "info" ? process.stdout : process.stderr).write(line);
};

const MAX_ERROR_CHARS = 200;

/**
 * Name and code of an error, and its text only when it comes from the network: the texts of Redis and MySQL hold the
 * command or the statement with what users wrote.
 */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) {
    return typeof error;
  }
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  const isOurs = code === "" || code.startsWith("E") || code.startsWith("PLT_KFK");
  const isStatement = "sqlState" in error || error.name === "ReplyError";
  const text = isOurs && !isStatement ? error.message.slice(0, MAX_ERROR_CHARS) : "";
  return [error.name, code, text || redisWord(error)].filter((part) => part !== "").join(" ");
}

/** Redis begins each of its errors with a word of its own (`NOAUTH`, `WRONGPASS`, …), which nobody else has written. */
function redisWord(error: Error): string {
  return (error.name === "ReplyError" && /^[A-Z]+(?= )/.exec(error.message)?.[0]) || "";
}

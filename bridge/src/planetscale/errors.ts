/**
 * Errors in the words of Vitess: `… desc = Duplicate entry … (errno 1062) (sqlstate 23000)`. Applications look for the
 * errno in the text. The statement is not repeated, as Vitess does: it holds what users wrote.
 */

export interface SqlFault {
  /** 200: the database said no, and the client finds it in the body. 503: nobody could be asked. */
  readonly status: 200 | 400 | 503;
  readonly code: string;
  readonly message: string;
}

/** From MySQL's error numbers; what is not here is UNKNOWN. */
const CODES: Readonly<Record<number, string>> = {
  1040: "RESOURCE_EXHAUSTED",
  1044: "PERMISSION_DENIED",
  1045: "PERMISSION_DENIED",
  1048: "INVALID_ARGUMENT",
  1054: "NOT_FOUND",
  1062: "ALREADY_EXISTS",
  1064: "INVALID_ARGUMENT",
  1105: "UNKNOWN",
  1142: "PERMISSION_DENIED",
  1146: "NOT_FOUND",
  1205: "DEADLINE_EXCEEDED",
  1213: "ABORTED",
  1317: "CANCELED",
  1406: "INVALID_ARGUMENT",
  1969: "DEADLINE_EXCEEDED",
  3024: "DEADLINE_EXCEEDED",
};

/** Too many connections, or the server is on its way down: it said so, and yet nobody has worked on the statement. */
const OUTAGES = new Set([1040, 1053, 1203]);
const CONNECTION_CODES = /^(?:E[A-Z]+|PROTOCOL_[A-Z_]+|HANDSHAKE_[A-Z_]+)$/;

/** A fault that the bridge itself has found. */
export function fault(code: string, message: string, status: SqlFault["status"] = 200): SqlFault {
  return { status, code, message: `vttablet: rpc error: code = ${code} desc = ${message}` };
}

/** Whether anything is wrong with the connection, so that nobody may use it again. */
export function isConnectionError(error: unknown): boolean {
  return errnoOf(error) === undefined;
}

/** @param database named as Vitess names the keyspace. */
export function faultOf(error: unknown, database: string): SqlFault {
  const errno = errnoOf(error);
  if (errno === undefined || !isMysqlError(error)) {
    return fault("UNAVAILABLE", "the database does not answer", 503);
  }
  const code = CODES[errno] ?? "UNKNOWN";
  return {
    status: OUTAGES.has(errno) ? 503 : 200,
    code,
    message: `target: ${database}.-.primary: vttablet: rpc error: code = ${code} desc = ${error.sqlMessage} (errno ${errno}) (sqlstate ${error.sqlState})`,
  };
}

interface MysqlError {
  readonly sqlMessage: string;
  readonly sqlState: string;
}

function isMysqlError(error: unknown): error is MysqlError {
  return typeof error === "object" && error !== null && "sqlMessage" in error && "sqlState" in error;
}

/** MySQL's number, or undefined when it is the network or the driver that speaks. */
function errnoOf(error: unknown): number | undefined {
  if (!isMysqlError(error) || !("errno" in error) || typeof error.errno !== "number") {
    return undefined;
  }
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  return CONNECTION_CODES.test(code) && !code.startsWith("ER_") ? undefined : error.errno;
}

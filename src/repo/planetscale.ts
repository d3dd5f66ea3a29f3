/**
 * A client of PlanetScale's HTTP protocol, for PlanetScale itself or the bridge in front of any MySQL. Used by the Worker and by
 * scripts, so nothing here is of the platform.
 */
import { cast, Client, DatabaseError, type Field } from "@planetscale/database";
import { MysqlError } from "./failures.ts";

/** After this a request has no reader any more: longer than any time limit of a query (`applyRoomRecords` has the longest). */
const REQUEST_LIMIT_MS = 60_000;

/**
 * @param address `https://user:password@host`, with everything in it percent-encoded that a URL cannot hold
 * @param send `fetch`, or one that looks on
 */
export function planetscaleClient(address: string, send: typeof fetch = fetch): Client {
  const { protocol, host, username, password } = new URL(address);
  const bytes = new TextEncoder().encode(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`);
  const authorization = `Basic ${btoa(String.fromCharCode(...bytes))}`;
  return new Client({
    // As `url`: with `host` it would be https always, which the bridge on this machine does not speak.
    url: `${protocol}//${host}`,
    cast: castNumbers,
    fetch: (input, init) => {
      // The client takes credentials out of its URL as they are there, without decoding them.
      const headers = { ...init?.headers, Authorization: authorization };
      return send(input, { ...init, headers, signal: AbortSignal.timeout(REQUEST_LIMIT_MS) });
    },
  });
}

/** The client leaves BIGINT as text, since it may be beyond 2^53; ours are times, sequences and counts, which never are. */
function castNumbers(field: Field, value: string | null): unknown {
  const isWhole = field.type === "INT64" || field.type === "UINT64";
  return isWhole && value !== null ? Number(value) : cast(field, value);
}

/** "Duplicate entry 'x' for key 'users_email_lower'"; MySQL from 8.0.19 on puts the table and a dot before the index. */
const DUPLICATE = /Duplicate entry '[^]*?' for key '(?:\w+\.)?(\w+)'/;

/** What the client has thrown, without the statement that its text repeats; other errors as they are, out of Drizzle's wrapper. */
export function withoutStatement(error: unknown): unknown {
  // Drizzle's own text repeats statement and parameters as well.
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  if (!(cause instanceof DatabaseError)) {
    return cause;
  }
  const { message, status, body } = cause;
  const errno = /\(errno (\d+)\)/.exec(message)?.[1];
  return new MysqlError({
    errno: errno === undefined ? null : Number(errno),
    code: body.code,
    status,
    index: DUPLICATE.exec(message)?.[1] ?? null,
  });
}

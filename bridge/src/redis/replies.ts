/**
 * Redis' replies as the dialect writes them. With `Upstash-Encoding: base64` every string is base64 except an "OK" at
 * the top: the client decodes all others, statuses inside arrays too.
 */

export type Json = string | number | boolean | null | Json[];

/** @param isTop false inside of arrays. */
export function encodeReply(reply: unknown, base64: boolean, isTop = true): Json {
  if (Buffer.isBuffer(reply)) {
    const isPlain = !base64 || (isTop && reply.equals(OK));
    return isPlain ? reply.toString("utf8") : reply.toString("base64");
  }
  if (Array.isArray(reply)) {
    return reply.map((part: unknown) => encodeReply(part, base64, false));
  }
  if (typeof reply === "string") {
    return encodeReply(Buffer.from(reply), base64, isTop);
  }
  // Inside of EXEC's answer an error is a part like others; errors are never encoded.
  if (reply instanceof Error) {
    return reply.message;
  }
  return typeof reply === "number" || typeof reply === "boolean" ? reply : reply === undefined ? null : asNumber(reply);
}

const OK = Buffer.from("OK");

/** Of all strings in a reply. */
export function bytesIn(reply: unknown): number {
  return Array.isArray(reply)
    ? reply.reduce((sum: number, part: unknown) => sum + bytesIn(part), 0)
    : Buffer.isBuffer(reply)
      ? reply.length
      : 0;
}

function asNumber(reply: unknown): Json {
  return typeof reply === "bigint" ? Number(reply) : null;
}

/** Said by Redis about the command, as opposed to a connection that is not there. */
export function isCommandError(error: unknown): error is Error {
  return error instanceof Error && error.name === "ReplyError";
}

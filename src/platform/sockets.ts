/**
 * The one function that sends to sockets, and the one that closes them. Frames come serialised;
 * a socket that does not read is closed with a typed code and resumes by cursor.
 */
import { closeCodeOf, closeReasonOf, type ErrorName } from "../protocol/errors.ts";

/** Bytes waiting in a socket beyond which its reader counts as slow. `send` itself never refuses. */
export const SLOW_READER_BYTES = 1024 * 1024;

/** Sends all frames to each open socket, in order; answers how many sockets took them. */
export function sendFrames(sockets: Iterable<WebSocket>, frames: readonly string[]): number {
  let taken = 0;
  for (const socket of sockets) {
    if (socket.readyState !== WebSocket.OPEN) {
      continue;
    }
    if (bufferedBytes(socket) > SLOW_READER_BYTES) {
      closeSocket(socket, "SLOW_CONSUMER");
      continue;
    }
    try {
      for (const frame of frames) {
        socket.send(frame);
      }
      taken += 1;
    } catch {
      // Closed under our hands: its close event tells the rest.
    }
  }
  return taken;
}

/** Closes with the code of the error table; a socket that is closing already is left alone. */
export function closeSocket(socket: WebSocket, name: ErrorName): void {
  try {
    socket.close(closeCodeOf(name), closeReasonOf(name));
  } catch {
    // Already closed.
  }
}

/** A client's own close is answered with its own code, as RFC 6455 section 5.5.1 has it; it did not ask for a reason. */
export function answerClose(socket: WebSocket, code: number): void {
  const own = code >= CLOSE_APPLICATION && code < CLOSE_END;
  try {
    socket.close(own ? code : CLOSE_NORMAL);
  } catch {
    // Already answered.
  }
}

/** Source: RFC 6455 section 7.4. 1005 and 1006 stand for "none" and must not be sent. */
const CLOSE_NORMAL = 1000;
const CLOSE_APPLICATION = 3000;
const CLOSE_END = 5000;

/** Not in every version of the runtime's types, but on every hibernatable socket (measured). */
function bufferedBytes(socket: WebSocket & { bufferedAmount?: number }): number {
  return socket.bufferedAmount ?? 0;
}

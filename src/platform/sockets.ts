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

/** Not in every version of the runtime's types, but on every hibernatable socket (measured). */
function bufferedBytes(socket: WebSocket & { bufferedAmount?: number }): number {
  return socket.bufferedAmount ?? 0;
}

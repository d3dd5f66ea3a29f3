/** Sockets whose frames the workloads count: the same class for ours, inside the SDK as well, and for the baseline. */
import WebSocket from "ws";

/** A `ws` socket that shows each frame to a tap first. */
export class TappedSocket extends WebSocket {
  /** Sees the frame's bytes, which are only valid during the call; true: nobody else is to hear of it. */
  tap: (bytes: Buffer) => boolean = () => false;

  constructor(url: string, protocols: string[] = []) {
    super(url, protocols, { perMessageDeflate: false });
  }

  override emit(event: string | symbol, ...args: unknown[]): boolean {
    const [data] = args;
    if (event === "message" && Buffer.isBuffer(data) && this.tap(data)) {
      return true;
    }
    return super.emit(event, ...args);
  }
}

/**
 * Opens a socket and waits for the server's first frame.
 * @throws Error when the upgrade is refused, or the socket closes
 */
export async function openSocket(url: string, protocols: string[] = []): Promise<TappedSocket> {
  const socket = new TappedSocket(url, protocols);
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.once("close", (code) => reject(new Error(`closed with ${code}`)));
    socket.once("message", () => resolve());
  });
  return socket;
}

/** Closes a socket and waits until it is. */
export async function closeSocket(socket: TappedSocket): Promise<void> {
  if (socket.readyState === WebSocket.CLOSED) {
    return;
  }
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.close(1000);
  await closed;
}

/** The `WebSocket` of the platform: browsers have one, and Node from 22 on. */
import type { SocketConstructor } from "./options.ts";

/** @throws Error where there is none */
export function globalSocket(): SocketConstructor {
  const { WebSocket } = globalThis as { WebSocket?: SocketConstructor };
  if (WebSocket === undefined) {
    throw new Error("There is no WebSocket here: pass one as an option, for example that of the package ws.");
  }
  return WebSocket;
}

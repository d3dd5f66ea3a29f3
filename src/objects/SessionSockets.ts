/** The sockets of one user: what each remembers, and which are open. */
import { HEARTBEAT_SECONDS } from "../domain/presence.ts";
import { closeSocket, sendFrames } from "../platform/sockets.ts";
import type { ErrorName } from "../protocol/errors.ts";
import { PING_TEXT, PONG_TEXT, type ServerFrame } from "../protocol/frames.ts";
import { acceptSocket } from "./acceptSocket.ts";

/** What a socket remembers across hibernation. Older versions are read, never rewritten in place. */
export type Attachment = {
  version: 1;
  deviceId: string;
  isGuest: boolean;
  isAdmin: boolean;
  /** Epoch milliseconds. */
  connectedAt: number;
  /** When a frame other than the fixed ping last came, give or take a heartbeat, epoch milliseconds. */
  heardAt?: number;
  /** Big rooms that this socket does not want here. */
  muted: string[];
  /** Friends whose presence this socket has asked for; at most 200 ids, since an attachment holds 16 KiB. */
  watching?: string[];
  /** The presence event that friends were told last while this socket was open; on disk it may still count as news. */
  told?: string;
};

export class SessionSockets {
  readonly #ctx: DurableObjectState;
  /** Deserialising an attachment with every frame costs; this copy may vanish. */
  readonly #attachments = new WeakMap<WebSocket, Attachment>();

  constructor(ctx: DurableObjectState) {
    this.#ctx = ctx;
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING_TEXT, PONG_TEXT));
  }

  /** All of them, closing ones too: `sendFrames` looks for itself. */
  all(): WebSocket[] {
    return this.#ctx.getWebSockets();
  }

  open(): WebSocket[] {
    return this.all().filter((socket) => socket.readyState === WebSocket.OPEN);
  }

  ofDevice(deviceId: string): WebSocket[] {
    return this.#ctx.getWebSockets(deviceId).filter((s) => s.readyState === WebSocket.OPEN);
  }

  accept(request: Request, attachment: Attachment): { response: Response; socket: WebSocket } {
    const accepted = acceptSocket(this.#ctx, request, [attachment.deviceId], attachment);
    this.#attachments.set(accepted.socket, attachment);
    return accepted;
  }

  of(socket: WebSocket): Attachment {
    const known = this.#attachments.get(socket);
    if (known !== undefined) {
      return known;
    }
    const attachment = socket.deserializeAttachment() as Attachment;
    this.#attachments.set(socket, attachment);
    return attachment;
  }

  remember(socket: WebSocket, attachment: Attachment): void {
    this.#attachments.set(socket, attachment);
    socket.serializeAttachment(attachment);
  }

  wanting(conversationId: string): WebSocket[] {
    return this.open().filter((socket) => !this.of(socket).muted.includes(conversationId));
  }

  send(sockets: Iterable<WebSocket>, frame: ServerFrame): void {
    sendFrames(sockets, [JSON.stringify(frame)]);
  }

  closeDevice(deviceId: string, name: ErrorName): void {
    for (const socket of this.ofDevice(deviceId)) {
      closeSocket(socket, name);
    }
  }

  /** A tab too many closes the oldest of its device. */
  makeRoom(deviceId: string, limit: number): void {
    const tabs = this.ofDevice(deviceId);
    if (tabs.length < limit) {
      return;
    }
    const [oldest] = tabs.toSorted((a, b) => this.of(a).connectedAt - this.of(b).connectedAt);
    if (oldest !== undefined) {
      closeSocket(oldest, "SESSION_REPLACED");
    }
  }

  /** A client that talks is there, pings or not. Written once a heartbeat at most. */
  heard(socket: WebSocket, now: number): void {
    const attachment = this.of(socket);
    if (now - (attachment.heardAt ?? attachment.connectedAt) >= HEARTBEAT_SECONDS * 1_000) {
      this.remember(socket, { ...attachment, heardAt: now });
    }
  }

  /** When this socket's client was last heard of, epoch milliseconds; pings wake nobody but count. */
  lastHeardAt(socket: WebSocket): number {
    const ping = this.#ctx.getWebSocketAutoResponseTimestamp(socket)?.getTime() ?? 0;
    const { connectedAt, heardAt = 0 } = this.of(socket);
    return Math.max(ping, connectedAt, heardAt);
  }

  /** Does this client use the ping that wakes nobody? One that does is missed soon when it stops. */
  everPinged(socket: WebSocket): boolean {
    return this.#ctx.getWebSocketAutoResponseTimestamp(socket) !== null;
  }
}

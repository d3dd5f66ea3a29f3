/** Accepting a hibernatable socket: the subprotocol that both sides speak, tags, attachment. */

/** Source: DESIGN section 4. A browser offers it beside its token, and insists on an answer. */
export const SUBPROTOCOL = "gochat.v1";

export function acceptSocket(
  ctx: DurableObjectState,
  request: Request,
  tags: string[],
  attachment: unknown,
): { response: Response; socket: WebSocket } {
  const pair = new WebSocketPair();
  const [client, socket] = [pair[0], pair[1]];
  ctx.acceptWebSocket(socket, tags);
  socket.serializeAttachment(attachment);
  // A client that offered no protocol must not be answered one: it would hang up.
  const offered = (request.headers.get("Sec-WebSocket-Protocol") ?? "").split(/\s*,\s*/);
  const headers = offered.includes(SUBPROTOCOL) ? { "Sec-WebSocket-Protocol": SUBPROTOCOL } : undefined;
  const response = new Response(null, { status: 101, headers, webSocket: client });
  return { response, socket };
}

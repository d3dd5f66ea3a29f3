/** First frame of every socket, so that a client knows when it is served. */
const HELLO = '{"type":"hello"}';

/** Takes a hibernating socket. */
export function accept(ctx: DurableObjectState): Response {
  const [client, server] = Object.values(new WebSocketPair());
  if (client === undefined || server === undefined) {
    return new Response(null, { status: 500 });
  }
  ctx.acceptWebSocket(server);
  server.send(HELLO);
  return new Response(null, { status: 101, webSocket: client });
}

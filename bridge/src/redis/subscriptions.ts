/** Channels as server-sent events: a connection each, since a subscribed connection can do nothing else. */
import type { Redis } from "ioredis";

/** Streams that may be open at the same time. */
const MAX_STREAMS = 100;
/** What a reader may have pending before it is cut off: it reads slower than the channel speaks. */
const MAX_PENDING_BYTES = 1024 * 1024;

export interface Subscribing {
  open(kind: "subscribe" | "psubscribe", channel: string): Response;
  close(): void;
}

export function subscriptions(connect: () => Redis): Subscribing {
  const open = new Set<Redis>();
  return {
    open: (kind, channel) => {
      if (open.size >= MAX_STREAMS) {
        return Response.json({ error: "ERR too many subscriptions" }, { status: 503 });
      }
      const connection = connect();
      open.add(connection);
      return new Response(
        stream(connection, kind, channel, () => open.delete(connection)),
        {
          headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
        },
      );
    },
    close: () => open.forEach((connection) => connection.disconnect()),
  };
}

function stream(connection: Redis, kind: "subscribe" | "psubscribe", channel: string, done: () => unknown) {
  const encoder = new TextEncoder();
  const end = (): void => {
    done();
    connection.disconnect();
  };
  return new ReadableStream<Uint8Array>(
    {
      start: async (controller) => {
        const write = (text: string): void => {
          if ((controller.desiredSize ?? 0) <= 0) {
            controller.error(new Error("slow reader"));
            end();
            return;
          }
          controller.enqueue(encoder.encode(`data: ${text}\n\n`));
        };
        connection.once("end", () => closeQuietly(controller));
        connection.once("error", () => {
          end();
          closeQuietly(controller);
        });
        connection.on("message", (from: string, text: string) => write(`message,${from},${text}`));
        connection.on("pmessage", (pattern: string, from: string, text: string) =>
          write(`pmessage,${pattern},${from},${text}`),
        );
        const count = await (kind === "subscribe" ? connection.subscribe(channel) : connection.psubscribe(channel));
        write(`${kind},${channel},${String(count)}`);
      },
      cancel: end,
    },
    { highWaterMark: MAX_PENDING_BYTES, size: (chunk) => chunk?.byteLength ?? 0 },
  );
}

/** A stream that its reader has left is closed already. */
function closeQuietly(controller: ReadableStreamDefaultController): void {
  try {
    controller.close();
  } catch {
    // Closed or cancelled before: nothing is left to end.
  }
}

/**
 * `POST /internal/bus/{topic}`: the bridge brings records from Kafka's topics (BUS=kafka). Signed with the secret that both know over
 * the time, the path and the body; nothing of it is looked at before the signature is right.
 */
import { createRoute, z } from "@hono/zod-openapi";
import { createMiddleware } from "hono/factory";
import { systemClock } from "../platform/clock.ts";
import { TOPIC_NAMES } from "../protocol/events.ts";
import { consumePushed, DEAD_LETTER_TOPIC } from "../queues/pushed.ts";
import { readBodyText } from "./bodyText.ts";
import { fail, newRouter, type HttpEnv } from "./context.ts";
import { answer, body, refusals } from "./route.ts";

export const bus = newRouter();

/** The bridge sends 2 MB of values at most by default; quotes in JSON are escaped twice. */
const BODY_BYTES = 16 * 1024 * 1024;
/** Clocks differ, and a request may wait; later than this it is somebody else's copy. */
const SIGNED_FOR_MS = 5 * 60_000;
const TIME_HEADER = "x-gochat-time";
const SIGNATURE_HEADER = "x-gochat-signature";

/** Bytes of a hexadecimal text, or undefined. */
function bytesOf(hex: string): Uint8Array<ArrayBuffer> | undefined {
  return /^(?:[0-9a-f]{2}){32}$/i.test(hex)
    ? Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
    : undefined;
}

/** As documents name it. */
export const BRIDGE_SCHEME = {
  name: "bridgeSignature",
  component: {
    type: "apiKey",
    in: "header",
    name: SIGNATURE_HEADER,
    description: `HMAC-SHA256, in hex, with BRIDGE_SECRET over the value of ${TIME_HEADER}, the path and the body, joined by line feeds`,
  },
} as const;

const encoder = new TextEncoder();

/** HMAC-SHA256 over `time\npath\nbody`; `verify` compares in constant time. */
async function isSigned(secret: string, signed: { time: string; path: string; text: string }, signature: string) {
  const bytes = bytesOf(signature);
  const age = /^\d{1,15}$/.test(signed.time) ? Math.abs(systemClock.now() - Number(signed.time)) : Infinity;
  if (bytes === undefined || age > SIGNED_FOR_MS) {
    return false;
  }
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), algorithm, false, ["verify"]);
  const data = encoder.encode(`${signed.time}\n${signed.path}\n${signed.text}`);
  return crypto.subtle.verify("HMAC", key, bytes, data);
}

const fromBridge = createMiddleware<HttpEnv>(async (c, next) => {
  const { kafka, limits } = c.get("services").settings;
  if (kafka === undefined) {
    return fail(c, { name: "NOT_FOUND" });
  }
  const text = await readBodyText(c.req.raw, BODY_BYTES, limits.bodyMs);
  if (text === "too large") {
    return fail(c, { name: "PAYLOAD_TOO_LARGE" });
  }
  if (typeof text === "string") {
    return fail(c, { name: "INVALID_INPUT", fields: [{ path: "", message: "the body could not be read" }] });
  }
  const signed = { time: c.req.header(TIME_HEADER) ?? "", path: new URL(c.req.url).pathname, text: text.value };
  if (!(await isSigned(kafka.bridgeSecret, signed, c.req.header(SIGNATURE_HEADER) ?? ""))) {
    return fail(c, { name: "UNAUTHENTICATED" });
  }
  const headers = new Headers(c.req.raw.headers);
  headers.set("Content-Type", "application/json");
  headers.delete("Content-Length");
  c.req.raw = new Request(c.req.raw.url, { method: "POST", headers, body: text.value });
  return next();
});

const Topic = z.enum([...TOPIC_NAMES, DEAD_LETTER_TOPIC]).openapi({ param: { name: "topic", in: "path" } });
const Offset = z.string().regex(/^\d{1,19}$/, "must be a whole number as text");

const Push = z
  .object({
    group: z.string().max(200).meta({ description: "The consumer group that read the records" }),
    topic: z.string(),
    partition: z.int().min(0),
    attempt: z
      .int()
      .min(1)
      .default(1)
      .meta({ description: "How often these records have been brought, this time included" }),
    records: z
      .array(z.object({ offset: Offset, key: z.string().nullish(), value: z.string() }))
      .min(1)
      .max(10_000),
  })
  .meta({ id: "BusPush" });

const Undone = z
  .object({
    failed: z.array(Offset).meta({ description: "Offsets to bring again, in their order, before any later record" }),
    retryAfterMs: z.int().min(0),
  })
  .meta({ id: "BusUndone" });

bus.openapi(
  createRoute({
    method: "post",
    path: "/internal/bus/{topic}",
    tags: ["operation"],
    summary: "Records from Kafka, brought and signed by the bridge; only with BUS=kafka",
    middleware: [fromBridge],
    security: [{ [BRIDGE_SCHEME.name]: [] }],
    request: {
      params: z.object({ topic: Topic }),
      headers: z.object({
        [TIME_HEADER]: z.string().meta({ description: "Epoch milliseconds; five minutes off at most" }),
      }),
      body: body(Push),
    },
    responses: {
      204: { description: "All of them are done" },
      ...refusals("UNAUTHENTICATED", "NOT_FOUND", "PAYLOAD_TOO_LARGE"),
      503: answer(Undone, "Some of them are to be brought again"),
    },
  }),
  async (c) => {
    const { topic } = c.req.valid("param");
    const { partition, records, attempt, topic: named } = c.req.valid("json");
    if (named !== topic) {
      return fail(c, { name: "INVALID_INPUT", fields: [{ path: "topic", message: "is not the topic of the path" }] });
    }
    const outcome = await consumePushed({ topic, partition, records, attempt }, c.env, c.executionCtx);
    return outcome.failed.length === 0 ? c.body(null, 204) : c.json(outcome, 503);
  },
);

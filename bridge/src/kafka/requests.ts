/** What stands in a request, checked: body, path and query. Whatever is wrong is a problem with status 400. */
import type { IncomingMessage } from "node:http";
import type { Context } from "hono";
import type * as z from "zod";
import { KafkaProblem } from "./problems.ts";

/** Bodies of GET are short: names of topics, or one message. Whoever has more to say posts it. */
const MAX_GET_BODY_BYTES = 256 * 1024;

/** A body in JSON, whatever its content type says; no body is undefined. */
export async function body<Schema extends z.ZodType>(c: Context, schema: Schema): Promise<z.output<Schema>> {
  const text = c.req.method === "GET" ? await bodyOfGet(c.env) : await c.req.text();
  return checked(schema, text === "" ? undefined : jsonOf(text), "the body");
}

export function param<Schema extends z.ZodType>(c: Context, name: string, schema: Schema): z.output<Schema> {
  return checked(schema, c.req.param(name), name);
}

export function query<Schema extends z.ZodType>(c: Context, name: string, schema: Schema): z.output<Schema> {
  return checked(schema, c.req.query(name), name);
}

/** The dialect takes GET with a body, as curl can send it. A Request of the web's kind cannot have one, Node's can. */
async function bodyOfGet({ incoming }: { incoming?: IncomingMessage }): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming ?? []) {
    const part = Buffer.from(chunk);
    bytes += part.length;
    if (bytes > MAX_GET_BODY_BYTES) {
      throw new KafkaProblem(413, "a body of this size must be posted");
    }
    chunks.push(part);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function checked<Schema extends z.ZodType>(schema: Schema, value: unknown, what: string): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    throw new KafkaProblem(400, `${what} is not what this path takes`);
  }
  return parsed.data;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new KafkaProblem(400, "the body is no JSON");
  }
}

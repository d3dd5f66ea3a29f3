/**
 * A client without manners, for the black-box suites: bytes as they are given, nothing escaped, nothing repaired. Tests of
 * what users do have the SDK (users.ts).
 */
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { request, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { WebSocket } from "ws";
import { ERRORS, type ErrorName } from "../../../src/protocol/errors.ts";
import { PING_TEXT } from "../../../src/protocol/frames.ts";
import type { TestServer } from "../../support/server.ts";
import { Watchers } from "../../support/watchers.ts";
import { uniqueName } from "../../support/names.ts";

const PATIENCE_MS = 10_000;

// ---- HTTP

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The body as JSON, `undefined` when it is none. */
  readonly json: Record<string, unknown> | undefined;
}

export interface Call {
  readonly token?: string | undefined;
  readonly headers?: Record<string, string>;
  /** Text and bytes go as they are, anything else as JSON. */
  readonly body?: unknown;
}

/** One call. The path is not touched: `fetch` would put escapes and dots in order before the server sees them. */
export async function call(server: TestServer, method: string, path: string, options: Call = {}): Promise<Answer> {
  const { body, token } = options;
  const raw =
    body === undefined || typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
  const headers: Record<string, string> = {
    ...(raw === undefined
      ? {}
      : { "content-type": "application/json", "content-length": String(Buffer.byteLength(raw)) }),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...options.headers,
  };
  const outgoing = request({ host: "127.0.0.1", port: server.port, method, path, headers, timeout: PATIENCE_MS });
  outgoing.on("timeout", () => outgoing.destroy(new Error(`${method} ${path}: no answer`)));
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  outgoing.on("response", resolve);
  // An answer that comes before the body is through counts, whatever becomes of the rest of the body.
  outgoing.on("close", () => reject(new Error(`${method} ${path}: the connection ended without an answer`)));
  outgoing.on("error", () => {});
  outgoing.end(raw);
  const response = await promise;
  const chunks: Buffer[] = [];
  for await (const chunk of response) {
    chunks.push(chunk as Buffer);
  }
  const text = Buffer.concat(chunks).toString();
  return { status: response.statusCode ?? 0, headers: response.headers, text, json: jsonOf(text) };
}

function jsonOf(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined; // The test says whether that is right.
  }
}

/**
 * Bytes straight onto the connection; answers all that comes back until the server closes it or nothing more is due.
 * @param isOver false: as if more were to come
 */
export async function rawRequest(server: TestServer, bytes: string, isOver = true): Promise<string> {
  const socket = connect(server.port, "127.0.0.1");
  socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error("no answer")));
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  socket.write(bytes);
  if (isOver) {
    socket.end();
  }
  await once(socket, "close");
  return Buffer.concat(chunks).toString();
}

type WireError = { code: number; name: ErrorName; message: string; requestId: string; retry: string };

/** What is wrong with an answer that ought to be this error, by the table; `undefined` when nothing is. */
export function notTyped(answer: Answer, name?: ErrorName): string | undefined {
  const error = answer.json?.["error"] as WireError | undefined;
  const row = error === undefined ? undefined : ERRORS[error.name];
  if (error === undefined || row === undefined) {
    return `no typed error: ${answer.status} ${answer.text.slice(0, 200)}`;
  }
  if (answer.status >= 500 || row.http !== answer.status || row.code !== error.code || row.retry !== error.retry) {
    return `not as the table has it: ${answer.status} ${answer.text.slice(0, 200)}`;
  }
  if (answer.headers["x-request-id"] !== error.requestId || answer.headers["cache-control"] !== "no-store") {
    return `headers: ${JSON.stringify(answer.headers)}`;
  }
  return name === undefined || error.name === name ? undefined : `${error.name} instead of ${name}`;
}

// ---- tokens

/** A JWT signed with whatever key, whatever its header says. `key` undefined: no signature at all. */
export function forge(header: object, claims: object, key: Uint8Array | undefined, hash = "sha256"): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const head = `${part(header)}.${part(claims)}`;
  const signature = key === undefined ? "" : createHmac(hash, key).update(head).digest("base64url");
  return `${head}.${signature}`;
}

// ---- accounts

export interface RawUser {
  readonly userId: string;
  readonly deviceId: string;
  readonly token: string;
  readonly refreshToken: string;
}

export async function register(server: TestServer, more: object = {}): Promise<RawUser> {
  const body = { username: uniqueName("raw"), password: "a good password", ...more };
  return toUser(await call(server, "POST", "/api/auth/register", { body }));
}

export function toUser(answer: Answer): RawUser {
  const { user, deviceId, accessToken, refreshToken } = (answer.json ?? {}) as {
    user?: { userId: string };
    deviceId?: string;
    accessToken?: string;
    refreshToken?: string;
  };
  if (user === undefined || deviceId === undefined || accessToken === undefined || refreshToken === undefined) {
    throw new Error(`not signed in: ${answer.status} ${answer.text}`);
  }
  return { userId: user.userId, deviceId, token: accessToken, refreshToken };
}

/** Makes two users friends and answers their conversation. */
export async function befriend(server: TestServer, a: RawUser, b: RawUser): Promise<string> {
  const asked = await call(server, "POST", "/api/friends/requests", {
    token: a.token,
    body: { targetUserId: b.userId },
  });
  const path = `/api/friends/requests/${String(asked.json?.["requestId"])}`;
  const accepted = await call(server, "PUT", path, { token: b.token, body: { action: "accept" } });
  const { conversation } = (accepted.json ?? {}) as { conversation?: { conversationId: string } };
  if (conversation === undefined) {
    throw new Error(`not friends: ${accepted.status} ${accepted.text}`);
  }
  return conversation.conversationId;
}

// ---- sockets

export type Frame = { type: string; data?: Record<string, unknown>; ref?: string };

export class RawSocket {
  readonly frames: Frame[] = [];
  closed: { code: number; reason: string } | undefined;
  readonly socket: WebSocket;
  readonly #watchers = new Watchers();
  /** Index in `frames` up to which `next` has looked. */
  #seen = 0;

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("message", (data: Buffer) => {
      this.frames.push(JSON.parse(data.toString()) as Frame);
      this.#watchers.changed();
    });
    socket.on("close", (code, reason) => {
      this.closed = { code, reason: String(reason) };
      this.#watchers.changed();
    });
    socket.on("error", () => this.#watchers.changed());
  }

  send(data: string | Uint8Array): void {
    this.socket.send(data);
  }

  sendFrame(frame: object): void {
    this.socket.send(JSON.stringify(frame));
  }

  close(): void {
    this.socket.terminate();
  }

  /** The next frame of one of these types, skipping others; rejects when the socket closes first. */
  async next(...types: string[]): Promise<Frame> {
    let found: Frame | undefined;
    await this.until(`a frame ${types.join("|")}`, () => {
      for (; this.#seen < this.frames.length && found === undefined; this.#seen++) {
        const frame = this.frames[this.#seen];
        found = frame !== undefined && types.includes(frame.type) ? frame : undefined;
      }
      return found !== undefined;
    });
    return found ?? { type: "none" };
  }

  async untilClosed(): Promise<{ code: number; reason: string }> {
    await this.until("the close", () => this.closed !== undefined);
    return this.closed ?? { code: 0, reason: "" };
  }

  async until(what: string, check: () => boolean): Promise<void> {
    await this.#watchers.until(what, check, {
      patienceMs: PATIENCE_MS,
      seen: () => `closed ${JSON.stringify(this.closed)}, frames ${JSON.stringify(this.frames.slice(-5))}`,
      over: () => this.closed !== undefined,
    });
  }
}

/**
 * A socket of a signed-in user, after `connected`. It has said something, as every client soon does: the runtime ends the TCP
 * connection of one that never has only ten seconds after both close frames (workerd, measured on a bare object).
 */
export async function openSocket(server: TestServer, token: string, path = "/ws"): Promise<RawSocket> {
  const socket = new RawSocket(
    new WebSocket(`${server.socketUrl}${path}`, "gochat.v1", {
      headers: { authorization: `Bearer ${token}` },
      perMessageDeflate: false,
    }),
  );
  await socket.next(path === "/ws" ? "connected" : "room");
  socket.send(PING_TEXT);
  await socket.next("pong");
  return socket;
}

/** Status of a refused upgrade, or 101. */
export async function upgradeStatus(
  server: TestServer,
  options: { path?: string; protocols?: string[]; headers?: Record<string, string> },
): Promise<{ status: number; body: string }> {
  const socket = new WebSocket(`${server.socketUrl}${options.path ?? "/ws"}`, options.protocols ?? [], {
    headers: options.headers ?? {},
  });
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
  const late = setTimeout(() => reject(new Error("no answer to an upgrade")), PATIENCE_MS);
  socket.on("open", () => resolve({ status: 101, body: "" }));
  socket.on("unexpected-response", (_request, response) => {
    let body = "";
    response.on("data", (chunk: Buffer) => (body += String(chunk)));
    response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
  });
  socket.on("error", reject);
  try {
    return await promise;
  } finally {
    clearTimeout(late);
    socket.terminate();
  }
}

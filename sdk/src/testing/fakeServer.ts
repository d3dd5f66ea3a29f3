/** A server's two ends, `fetch` and sockets, played by a test. For tests only. */
import type { SocketConstructor, SocketLike } from "../options.ts";
import type { AuthAnswer, ClientFrame, ServerFrame } from "../protocol.ts";
import { ME } from "./harness.ts";

type Handlers = {
  open: (() => void)[];
  message: ((event: { data: unknown }) => void)[];
  close: ((event: { code: number; reason: string }) => void)[];
  error: (() => void)[];
};

/** The client's end of a socket, and the levers of the server's end. */
export class FakeSocket implements SocketLike {
  readonly url: string;
  readonly protocols: string[];
  readonly sent: ClientFrame[] = [];
  readyState = 0;
  closedBy: "client" | "server" | undefined;
  readonly #handlers: Handlers = { open: [], message: [], close: [], error: [] };

  constructor(url: string, protocols: string[]) {
    this.url = url;
    this.protocols = protocols;
  }

  addEventListener<Type extends keyof Handlers>(type: Type, listener: Handlers[Type][number]): void {
    (this.#handlers[type] as Handlers[Type][number][]).push(listener);
  }

  send(data: string): void {
    this.sent.push(JSON.parse(data) as ClientFrame);
  }

  close(): void {
    this.closedBy = "client";
    this.readyState = 3;
  }

  opens(): void {
    this.readyState = 1;
    this.#handlers.open.forEach((listener) => listener());
  }

  says(frame: ServerFrame | { type: string; data?: unknown }): void {
    this.saysText(JSON.stringify(frame));
  }

  saysText(data: unknown): void {
    this.#handlers.message.forEach((listener) => listener({ data }));
  }

  /** As in Node 22, when nobody listens there: no close event comes. */
  isRefused(): void {
    this.#handlers.error.forEach((listener) => listener());
  }

  closes(code: number, reason = ""): void {
    this.closedBy = "server";
    this.readyState = 3;
    this.#handlers.error.forEach((listener) => listener());
    this.#handlers.close.forEach((listener) => listener({ code, reason }));
  }

  /** Opens, greets and answers the sync, as a server without conversations does. */
  greets(): void {
    this.opens();
    this.says({
      type: "connected",
      data: { userId: ME, deviceId: "device", serverTime: 1, heartbeatSeconds: 30 },
    });
    this.says({
      type: "sync-result",
      data: { conversations: [], removed: [], nextCursor: null, serverTime: 1 },
    });
  }

  /** Keys of the sends that have come. */
  sends(): string[] {
    return this.sent.flatMap((frame) => (frame.type === "send-message" ? [frame.data.clientMsgId] : []));
  }
}

export type Call = { method: string; path: string; body: unknown; token: string | undefined };
export type Answer = { status: number; body: unknown } | "unreachable";

export class FakeServer {
  readonly calls: Call[] = [];
  readonly sockets: FakeSocket[] = [];
  readonly #answer: (call: Call) => Answer | Promise<Answer>;
  readonly WebSocket: SocketConstructor;

  constructor(answer: (call: Call) => Answer | Promise<Answer>) {
    this.#answer = answer;
    const { sockets } = this;
    this.WebSocket = class extends FakeSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        sockets.push(this);
      }
    };
  }

  fetch = async (url: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const { pathname, search } = new URL(url instanceof Request ? url.url : url);
    const { method = "GET" } = init;
    const headers = new Headers(init.headers);
    const call: Call = {
      method,
      path: pathname.replace(/^\/api/, "") + search,
      body: typeof init.body === "string" ? JSON.parse(init.body) : undefined,
      token: headers.get("authorization")?.replace(/^Bearer /, ""),
    };
    this.calls.push(call);
    const answer = await this.#answer(call);
    if (answer === "unreachable") {
      throw new TypeError("fetch failed");
    }
    return new Response(JSON.stringify(answer.body), { status: answer.status });
  };

  /** The newest socket. */
  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (socket === undefined) {
      throw new Error("no socket was asked for");
    }
    return socket;
  }
}

/** Tokens number `n`, and a user. */
export function authAnswer(n: number, expiresIn = 900): AuthAnswer {
  return {
    user: {
      userId: ME,
      username: "ana",
      displayName: "Ana",
      isGuest: false,
      role: "user",
      createdAt: 1,
    },
    deviceId: "device",
    accessToken: `access-${n}`,
    refreshToken: `refresh-${n}`,
    expiresIn,
  };
}

export function refusal(status: number, name: string, retry = "never"): Answer {
  return { status, body: { error: { code: 1000, name, message: name, requestId: "request", retry } } };
}

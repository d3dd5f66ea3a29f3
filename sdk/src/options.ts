/** What `createChat` takes. */
import type { PendingStore } from "./core/index.ts";
import type { SelfUser } from "./protocol.ts";

/** As much of a WebSocket as is used here: browsers', Node's and `ws`'s all fit. */
export interface SocketLike {
  readonly readyState: number;
  send(data: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "open", listener: () => void): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(type: "close", listener: (event: { code: number; reason: string }) => void): void;
  addEventListener(type: "error", listener: () => void): void;
}
export type SocketConstructor = new (url: string, protocols: string[]) => SocketLike;

/** The clock, for tests that own time. */
export type ClientClock = {
  /** Epoch milliseconds. */
  now(): number;
  /** @param keepsAlive a Node process should not end while this is waited for. */
  setTimeout(run: () => void, ms: number, keepsAlive: boolean): unknown;
  clearTimeout(handle: unknown): void;
};

export type Logger = {
  warn(message: string, detail?: unknown): void;
  error(message: string, detail?: unknown): void;
};

/** Who is signed in here, with what it takes to stay so. Secret: whoever reads it is that user. */
export type Session = {
  user: SelfUser;
  deviceId: string;
  accessToken: string;
  /** Epoch milliseconds of this client's clock. */
  expiresAt: number;
  refreshToken: string;
};

/** Where the session is kept; without one it ends with the program. */
export type SessionStore = {
  load(): Session | undefined | Promise<Session | undefined>;
  /** Awaited before a new token is used: a refresh token is good for one use, and a lost one signs the device out. */
  save(session: Session | undefined): void | Promise<void>;
};

/** The device that signs in. With the `id` of an earlier session it is that device again. */
export type DeviceOption = { id?: string; kind?: "web" | "ios" | "android" | "desktop" | "bot"; name?: string };

export type ChatOptions = {
  /** Of the server, as `http://127.0.0.1:8787`; sockets go to the same place. */
  url: string;
  auth?: SessionStore;
  device?: DeviceOption;
  /** Where sends wait for their acknowledgement. Default: memory. */
  store?: PendingStore;
  /** Connect as soon as somebody is signed in. Default true; otherwise `connect()` does it. */
  autoConnect?: boolean;
  /** What of a conversation new to this client comes as `message` events. Default: the newest 50. */
  backlog?: "all" | number;
  /** From `chat.cursors()` of an earlier life: `message` events go on behind them. */
  cursors?: Readonly<Record<string, number>>;
  /**
   * Sends in flight per conversation, default 1: one's own order then holds whatever the server refuses. With more,
   * a send that is refused for now may be overtaken by those behind it that were already on their way.
   */
  maxInFlight?: number;
  /** Sends waiting for their acknowledgement, all together; default 1,000. More are refused. */
  maxPending?: number;
  /** Newest messages kept in memory per conversation; default 100, 0 for bots that keep none. */
  keepMessages?: number;
  /** Default: the global one. `ws` fits, and so does a subclass of it with options of its own. */
  WebSocket?: SocketConstructor;
  fetch?: typeof fetch;
  clock?: ClientClock;
  /** Uniform in [0, 1), for the spread of reconnects. */
  random?: () => number;
  logger?: Logger;
};

/** Real time. Timers let a Node process end unless told otherwise. */
export const systemClock: ClientClock = {
  now: () => Date.now(),
  setTimeout: (run, ms, keepsAlive) => {
    const handle: unknown = setTimeout(run, ms);
    if (!keepsAlive && typeof handle === "object" && handle !== null && "unref" in handle) {
      (handle as { unref(): void }).unref();
    }
    return handle;
  },
  clearTimeout: (handle) => clearTimeout(handle as Parameters<typeof clearTimeout>[0]),
};

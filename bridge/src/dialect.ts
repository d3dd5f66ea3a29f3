/** What the server knows of a dialect: which paths are its own, how it answers, how it is, how it ends. */
import type { Hono } from "hono";
import type { Metrics } from "./metrics.ts";
import type { Log } from "./log.ts";

export interface Dialect {
  readonly name: "kafka" | "redis" | "planetscale";
  /** Is this path answered here? Asked before the body is read and before anybody is admitted. */
  owns(path: string): boolean;
  /** May this request come in? Compared in constant time; an open dialect (loopback only) admits everybody. */
  admits(authorization: string | undefined): boolean;
  /** The body of an answer that the server gives in this dialect's name: 401, 404, 413, 500, 503. */
  problem(status: number, message: string): object;
  readonly routes: Hono;
  /** Throws when the engine behind does not answer. */
  health(): Promise<void>;
  /**
   * The bridge is about to stop: begins to end what it does of its own accord, while requests in flight still need it.
   * @param withinMs what takes longer is cut off
   */
  drain?(withinMs: number): Promise<void>;
  /** Ends what is open: connections, transactions (rolled back), consumers. */
  close(): Promise<void>;
}

/** What every dialect is given. */
export interface Deps {
  readonly log: Log;
  readonly metrics: Metrics;
}

/** What the benchmark asks of its load process, one command at a time, and what comes back. */
import type { AckResult } from "./acks.ts";
import type { GroupResult } from "./group.ts";
import type { Span } from "./measures.ts";
import type { StormResult } from "./storm.ts";
import type { WorldResult } from "./world.ts";

/** The baseline with an object for each user, as ours, instead of one object for all (see `baseline/shape.ts`). */
export type Shape = true;

export type LoadCommand =
  /** Makes the accounts, friendships and groups that later commands use, and connects them. */
  | { do: "prepare"; members: number; pairs: number; groups: number[] }
  /** Makes guests, for the world room and as idle users, or the objects that the bare sockets come to. Leaves nobody connected. */
  | { do: "guests"; count: number }
  | { do: "direct"; span: Span; shape?: Shape }
  | { do: "pairs"; pairs: number; span: Span; shape?: Shape }
  | { do: "group"; size: number; inFlight: number; span: Span; shape?: Shape }
  | { do: "world"; readers: number; senders: number; rate: number; span: Span; patienceMs: number }
  /** Guests send into the world room, which none of them reads, each with one message in flight. */
  | { do: "hot"; senders: number; span: Span }
  /** The guests connect and stay. */
  | { do: "storm"; count: number; atOnce: number }
  | { do: "closeAll" };

/** Where the server is, which may change when it is started again. */
export interface Where {
  readonly url: string;
  readonly workerdPid: number;
}

export type LoadResult = AckResult | GroupResult | WorldResult | StormResult | { kind: "done" };

export type LoadRequest = { id: number; where: Where; command: LoadCommand };
export type LoadReply = { id: number; result: LoadResult } | { id: number; error: string };

/** One server's side of the load: knows how to speak to it. */
export interface LoadDriver {
  run(command: LoadCommand, where: Where): Promise<LoadResult>;
}

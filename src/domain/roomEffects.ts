/** What a room's core asks of its adapter, and what a change leaves behind. Plain data. */
import type { TopicName } from "../protocol/events.ts";
import type { ServerFrame } from "../protocol/frames.ts";
import type { FanoutTask, PersistBatch, RoomRecord, StoredMessage } from "./records.ts";

export type TimerName = "patience" | "retry" | "gather" | "persist" | "fanout" | "cache";

export type RoomEffect =
  | { kind: "deliver"; from: number; to: number; messages: StoredMessage[]; userIds: string[] }
  | { kind: "push"; userId: string; frames: ServerFrame[] }
  /**
   * `version`: of the conversation, where SQL may not have it yet; with it `stale`, messages that go before the others come.
   */
  | {
      kind: "cache";
      headSeqId: number;
      version?: number;
      stale?: number[];
      messages: StoredMessage[];
      presenceOf: string[];
    }
  | { kind: "persist"; batch: PersistBatch }
  | { kind: "publish"; rows: { topic: TopicName; body: string }[] }
  | { kind: "fanout"; task: FanoutTask }
  | { kind: "timer"; name: TimerName; inMs: number }
  /** Durable; belongs to the same commit as the change. */
  | { kind: "alarm"; at: number };

/** What a change of anything but messages leaves behind, besides its rows. */
export type OutboxDraft =
  | { kind: "record"; record: (logId: number) => RoomRecord }
  /** Readers are told by the fan-out, which settles the row. */
  | { kind: "task"; task: (logId: number) => FanoutTask }
  | { kind: "event"; topic: TopicName; event: (eventId: string, timestampS: number) => object };

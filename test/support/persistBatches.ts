/** What a room sends to SQL, and what comes back, for tests of its outbox. */
import type { PersistBatch } from "../../src/domain/records.ts";
import type { MemoryRoom } from "./memoryRoom.ts";

/** Sequences and changes of each batch since the last call. */
export function batches(room: MemoryRoom): PersistBatch[] {
  return room.take("persist").map(({ batch }) => batch);
}

export function spans(room: MemoryRoom): [number, number][] {
  return batches(room).map(({ fromSeqId, toSeqId }) => [fromSeqId, toSeqId]);
}

export function bytesOf(value: unknown): number {
  return new TextEncoder().encode(JSON.stringify(value)).length;
}

/** SQL has everything up to `toSeqId`; the answer took so long. */
export function confirm(room: MemoryRoom, fromSeqId: number, toSeqId: number, afterMs = 0): void {
  room.pass(afterMs);
  room.core.persisted(fromSeqId, toSeqId, [], room.now);
}

export function fire(room: MemoryRoom, name: "persist", afterMs: number): void {
  room.pass(afterMs);
  room.core.onTimer(name, room.now);
}

/** The room's alarm goes off when it was set to. */
export function alarm(room: MemoryRoom): void {
  const at = room.take("alarm").at(-1)?.at ?? room.now;
  room.now = Math.max(room.now, at);
  room.core.onAlarm(room.now);
}

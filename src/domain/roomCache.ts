/** What a room tells the cache: its head, its newest messages, and from which version on they are in their last form. */
import type { RoomContext } from "./roomContext.ts";
import type { RoomEffect } from "./roomEffects.ts";

/** A pipeline with the messages after `from` up to `to`, as many as the cache keeps, and the presence of these users. */
export function cacheEffect(room: RoomContext, from: number, to: number, presenceOf: string[]): RoomEffect {
  const messages = room.hot(from, to).map((row) => row.message);
  const version = room.state?.version ?? 0;
  // Who syncs has read SQL before they look here: were they removed in between, the version tells it, and that comes with what they
  // may not see any more.
  const isTold = !room.hasOutbox && version <= room.cachedVersion;
  if (version <= 1 || isTold) {
    return { kind: "cache", headSeqId: to, messages, presenceOf };
  }
  room.cachedVersion = version;
  // An emptied cache has lost the versions of changes that SQL may not have yet. Whoever finds a version there finds nothing
  // older: what changed before it, and may stand there in its old form, goes.
  const stale = [...new Set([...room.untold.values()].flat())];
  return { kind: "cache", headSeqId: to, version, stale, messages, presenceOf };
}

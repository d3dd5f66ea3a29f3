/**
 * A direct conversation takes messages as long as its two users are friends; afterwards both can still read it. Friendship is
 * SQL's, so a room is told to look again, and remembers what it saw: a send asks nobody.
 */
import { DIRECT } from "./records.ts";
import type { RoomCore } from "./room.ts";

/**
 * Opens or closes the conversation; nothing happens when it is so already, or is none of two. Neither its version nor SQL
 * changes: the wire shows no difference, so that a block cannot be told from a removal.
 */
export function openOrClose(core: RoomCore, friends: boolean, now: number): void {
  const { state } = core;
  if (state?.type !== DIRECT || (state.closedAt === undefined) === friends) {
    return;
  }
  const { closedAt: _since, ...open } = state;
  core.commit({ state: friends ? open : { ...open, closedAt: now }, outbox: [], held: false }, now);
}

/** Direct conversations belong to friendships: made when one begins, found when it exists. */
import type { RoomView } from "../domain/commands.ts";
import { DIRECT } from "../domain/records.ts";
import { directConversationId } from "../platform/ids.ts";
import { roomOf } from "../platform/stubs.ts";
import type { Result } from "../protocol/errors.ts";
import { repositories } from "./index.ts";

/**
 * The direct conversation of two users, made if need be. Idempotent, so that both the request that
 * accepted a friendship and the event's consumer may call it, whoever comes first.
 */
export async function ensureDirect(env: Env, a: string, b: string): Promise<Result<RoomView>> {
  const room = roomOf(env, directConversationId(a, b));
  const made = await room.create({ type: DIRECT, memberIds: [a, b] });
  if (!made.ok) {
    return made;
  }
  if (made.value.records.length > 0) {
    await repositories(env).persistence.applyRoomRecords(made.value.records);
    await room.settled(made.value.outboxIds);
  }
  // Made late (an event that comes again), or closed by a removal of before: friendship as it is now decides.
  await room.friendshipChanged();
  return { ok: true, value: made.value.value };
}

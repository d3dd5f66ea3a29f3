/** Who is typing: shown, never stored, and bounded, since each frame is a call to somebody's object. */
import { err, ok, type Result } from "../protocol/errors.ts";
import type { ServerFrame } from "../protocol/frames.ts";
import type { Actor } from "./commands.ts";
import { requireMember } from "./membership.ts";
import { DIRECT } from "./records.ts";
import type { RoomCore } from "./room.ts";
import { maySend } from "./sendRules.ts";

/** With more members online nobody is told: it could not be read. Not in the contract. */
export const TYPING_READERS = 100;

/**
 * Shown to the other one of two, and in groups to the members who are known to be here; nobody is looked up for it. Not in
 * big rooms. What is too much is dropped without a word. Faults: CONVERSATION_NOT_FOUND, PERMISSION_DENIED (may not send).
 */
export function typing(core: RoomCore, actor: Actor, now: number): Result<void> {
  const found = requireMember(core.state, core.member(actor.userId), actor);
  if (!found.ok) {
    return found;
  }
  const { state, member } = found.value;
  const allowed = maySend(state, member, actor, now);
  if (!allowed.ok) {
    return err(allowed.fault);
  }
  // A room that has slept knows nobody; of two it is cheaper to tell the other than to ask whether they are here.
  const here = state.type === DIRECT ? core.members("", 2).map(({ userId }) => userId) : core.onlineMembers();
  const others = here.filter((userId) => userId !== actor.userId);
  if (others.length > TYPING_READERS || core.room.typingBrake.take(actor.userId, now) > 0) {
    return ok(undefined);
  }
  const frame: ServerFrame = { type: "typing", data: { conversationId: core.conversationId, userId: actor.userId } };
  core.push(others, [frame]);
  return ok(undefined);
}

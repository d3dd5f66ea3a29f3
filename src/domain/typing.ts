/** Who is typing: shown, never stored, and bounded, since each frame is a call to somebody's object. */
import { err, ok, type Result } from "../protocol/errors.ts";
import type { ServerFrame } from "../protocol/frames.ts";
import type { Actor } from "./commands.ts";
import { requireMember } from "./membership.ts";
import { DIRECT } from "./records.ts";
import type { RoomCore } from "./room.ts";
import { maySend } from "./sendRules.ts";

/**
 * Shown to the other one of two, and in groups to the members who are here; not in big rooms. What is too much is dropped
 * without a word. Faults: CONVERSATION_NOT_FOUND, PERMISSION_DENIED (may not send).
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
  if (core.room.typingBrake.take(actor.userId, now) > 0) {
    return ok(undefined);
  }
  const frame: ServerFrame = { type: "typing", data: { conversationId: core.conversationId, userId: actor.userId } };
  if (state.type === DIRECT) {
    // Of two it is cheaper to tell the other than to ask whether they are here.
    const others = core.members("", 2).filter(({ userId }) => userId !== actor.userId);
    core.push(
      others.map(({ userId }) => userId),
      [frame],
    );
  } else {
    core.showHere(actor.userId, frame, now);
  }
  return ok(undefined);
}

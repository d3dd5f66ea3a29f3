/**
 * Who may change a group, its members' standing and its doors. Pure rules over plain data. Source: WIRE "Friends and
 * conversations"; that only the owner changes roles comes from the flows that the design was made from.
 */
import { err, ok, type Result } from "../protocol/errors.ts";
import type { Actor, MemberChange } from "./commands.ts";
import { requireMember } from "./membership.ts";
import { ADMIN, DIRECT, GROUP, MEMBER, OWNER, WORLD, type ConversationState, type MemberState } from "./records.ts";
import type { RoomCore } from "./room.ts";

/** The conversation and who asks, when it is a group that they may manage; else the fault that a member gets. */
export function requireManager(
  core: RoomCore,
  actor: Actor,
): Result<{ state: ConversationState; member: MemberState }> {
  const found = requireMember(core.state, core.member(actor.userId), actor);
  if (!found.ok) {
    return found;
  }
  const { state, member } = found.value;
  return state.type === GROUP && member.role >= ADMIN ? found : err({ name: "PERMISSION_DENIED" });
}

/** Name, announcement and the like: owner and admins of a group; system admins in the world room, which has no doors. */
export function mayUpdate(state: ConversationState, actor: Actor, member: MemberState, hasDoors: boolean): boolean {
  switch (state.type) {
    case DIRECT:
      return false;
    case GROUP:
      return member.role >= ADMIN;
    case WORLD:
      return actor.isAdmin && !hasDoors;
  }
}

/** The owner, or a system admin, who need not be a member. Nobody dismisses a direct conversation or the world room. */
export function mayDismiss(
  state: ConversationState | undefined,
  actor: Actor,
  member: MemberState | undefined,
): Result<ConversationState> {
  if (state === undefined || state.dismissedAt !== undefined) {
    return err({ name: "CONVERSATION_NOT_FOUND" });
  }
  if (member === undefined && !actor.isAdmin && state.type !== WORLD) {
    return err({ name: "CONVERSATION_NOT_FOUND" });
  }
  const allowed = state.type === GROUP && (actor.isAdmin || member?.role === OWNER);
  return allowed ? ok(state) : err({ name: "PERMISSION_DENIED" });
}

/**
 * Roles are given by the owner; who is muted must stand below who mutes. So neither reaches the owner, who becomes and
 * ceases to be one by transfer alone. In the world room system admins do either, and its moderators (whom they have given the
 * role of an admin there) mute, but no system admin.
 */
export function mayChangeMember(
  state: ConversationState,
  actor: Actor,
  member: MemberState,
  target: MemberState,
  change: MemberChange,
  ofAdmin: boolean,
): Result<void> {
  const isAbove = member.role > target.role;
  const mayGiveRoles = change.role === undefined || (member.role === OWNER && isAbove);
  const mayMute = change.mutedUntil === undefined || (member.role >= ADMIN && isAbove);
  const inWorld = actor.isAdmin || (change.role === undefined && mayMute && !ofAdmin);
  const allowed = state.type === WORLD ? inWorld : state.type === GROUP && mayGiveRoles && mayMute;
  return allowed ? ok(undefined) : err({ name: "PERMISSION_DENIED" });
}

/** Everybody is in the world room; whoever has no row there is a plain member. */
export function worldMember(userId: string): MemberState {
  return { userId, role: MEMBER, joinedAt: 0, readSeqId: 0 };
}

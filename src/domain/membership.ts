/** Who may change a conversation's members, and what changes. Pure rules over plain data. */
import type { Actor, CreateRoom } from "./commands.ts";
import { err, ok, type Result } from "../protocol/errors.ts";
import { ADMIN, DIRECT, GROUP, MEMBER, OWNER, WORLD, type ConversationState, type MemberState } from "./records.ts";

/** Members of a group when the creator names no number. Source: WIRE "Friends and conversations". */
export const DEFAULT_MAX_MEMBERS = 500;
/** The world room has no such limit; this number is shown. Source: DESIGN section 1, and SQL's row of it (its first migrations). */
export const WORLD_MAX_MEMBERS = 1_000_000;

/** The state of a new conversation and its first members. */
export function newConversation(
  conversationId: string,
  command: CreateRoom,
  now: number,
): { state: ConversationState; members: MemberState[] } {
  const owner = command.type === GROUP ? command.memberIds[0] : undefined;
  return {
    state: {
      conversationId,
      type: command.type,
      ...(command.name === undefined ? {} : { name: command.name }),
      ...(owner === undefined ? {} : { ownerId: owner }),
      memberCount: command.memberIds.length,
      maxMembers: command.type === DIRECT ? 2 : (command.maxMembers ?? DEFAULT_MAX_MEMBERS),
      ...(command.announcement === undefined ? {} : { announcement: command.announcement }),
      joinApproval: command.joinApproval ?? false,
      muteAll: false,
      version: 1,
      createdAt: now,
      updatedAt: now,
    },
    members: command.memberIds.map((userId) => ({
      userId,
      role: userId === owner ? OWNER : MEMBER,
      joinedAt: now,
      readSeqId: 0,
    })),
  };
}

/**
 * The world room exists by its name; nobody creates it.
 * @param stored what its changes have left; an earlier release kept another `maxMembers` with it
 */
export function worldState(conversationId: string, stored?: ConversationState): ConversationState {
  const state = stored ?? {
    conversationId,
    type: WORLD,
    name: "World",
    memberCount: 0,
    maxMembers: 0,
    joinApproval: false,
    muteAll: false,
    version: 1,
    createdAt: 0,
    updatedAt: 0,
  };
  return { ...state, maxMembers: WORLD_MAX_MEMBERS };
}

/** A conversation that one is not a member of answers as one that does not exist. */
export function requireMember(
  state: ConversationState | undefined,
  member: MemberState | undefined,
  actor: Actor,
): Result<{ state: ConversationState; member: MemberState }> {
  if (state === undefined || state.dismissedAt !== undefined) {
    return err({ name: "CONVERSATION_NOT_FOUND" });
  }
  if (member !== undefined) {
    return ok({ state, member });
  }
  return state.type === WORLD
    ? ok({ state, member: { userId: actor.userId, role: MEMBER, joinedAt: 0, readSeqId: 0 } })
    : err({ name: "CONVERSATION_NOT_FOUND" });
}

/** Adding is for the owner and admins of a group. */
export function mayAdd(state: ConversationState, actor: MemberState): Result<void> {
  return state.type === GROUP && actor.role >= ADMIN ? ok(undefined) : err({ name: "PERMISSION_DENIED" });
}

/**
 * Admins act on members, not on admins or the owner. Nobody leaves a direct conversation or the
 * world room. An owner leaves only as the last member (which dismisses the group) or after a
 * transfer.
 */
export function mayRemove(
  state: ConversationState,
  actor: MemberState,
  target: MemberState,
): Result<{ dismisses: boolean }> {
  if (state.type !== GROUP) {
    return err({ name: "PERMISSION_DENIED" });
  }
  if (actor.userId === target.userId) {
    if (actor.role !== OWNER) {
      return ok({ dismisses: false });
    }
    return state.memberCount === 1 ? ok({ dismisses: true }) : err({ name: "CONFLICT" });
  }
  return actor.role >= ADMIN && actor.role > target.role
    ? ok({ dismisses: false })
    : err({ name: "PERMISSION_DENIED" });
}

/** Stored rows as the things of the wire. */
import type { ConversationState, InviteState, JoinRequestState, MemberState } from "../domain/records.ts";
import type { UserRow } from "../repo/types.ts";
import type { Conversation, Invite, JoinRequest, Member, SelfUser, User } from "../protocol/things.ts";

/** As everybody sees a user. */
export function presentUser(row: UserRow): User {
  return {
    userId: row.userId,
    username: row.username,
    displayName: row.displayName,
    ...(row.avatarUrl === null ? {} : { avatarUrl: row.avatarUrl }),
    ...(row.bio === null ? {} : { bio: row.bio }),
    isGuest: row.isGuest,
    role: row.role,
    createdAt: row.createdAt,
  };
}

/** As the user and admins see it. */
export function presentSelf(row: UserRow): SelfUser {
  return {
    ...presentUser(row),
    ...(row.email === null ? {} : { email: row.email }),
    status: row.bannedAt === null ? "active" : "banned",
  };
}

export function presentConversation(state: ConversationState, headSeqId: number): Conversation {
  const { closedAt: _inside, ...shown } = state;
  return { ...shown, headSeqId };
}

/**
 * A member with its profile; a user whose account is gone keeps the id as name. In the world room everybody is by rule, and has
 * been since there is the account: its rows know no such time (0).
 */
export function presentMember(member: MemberState, user: UserRow | undefined): Member {
  return {
    userId: member.userId,
    displayName: user?.displayName ?? member.userId,
    ...(user?.avatarUrl ? { avatarUrl: user.avatarUrl } : {}),
    role: member.role,
    joinedAt: member.joinedAt === 0 ? (user?.createdAt ?? 0) : member.joinedAt,
    ...(member.mutedUntil === undefined ? {} : { mutedUntil: member.mutedUntil }),
  };
}

export function presentInvite(invite: InviteState): Invite {
  const { code, conversationId, expiresAt, maxUses, uses, createdBy } = invite;
  return { code, conversationId, expiresAt, ...(maxUses === undefined ? {} : { maxUses }), uses, createdBy };
}

/** A request to join with the profile of the one who asks, unless the account is gone. */
export function presentJoinRequest(request: JoinRequestState, user: UserRow | undefined): JoinRequest {
  const { decidedBy: _decidedBy, ...shown } = request;
  return user === undefined ? shown : { ...shown, user: presentUser(user) };
}

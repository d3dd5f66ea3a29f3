/** What consumers ask of a room: nobody's rights are checked, since nobody is answered. */
import type { CurrentView } from "./commands.ts";
import type { JoinRequestState } from "./records.ts";
import type { RoomCore } from "./room.ts";

/** The conversation as it is now, who of `among` is in it, and its first members; null when there is none, or it is dismissed. */
export function current(core: RoomCore, among: readonly string[] = [], firstMembers = 0): CurrentView | null {
  const { state, headSeqId } = core;
  if (state === undefined || state.dismissedAt !== undefined) {
    return null;
  }
  return {
    conversation: state,
    headSeqId,
    members: among.flatMap((userId) => core.member(userId) ?? []),
    memberIds: firstMembers === 0 ? [] : core.members("", firstMembers).map((member) => member.userId),
  };
}

/** A request that still waits, and a page of those who may decide it; null when there is nothing to decide. */
export function pendingJoin(
  core: RoomCore,
  requestId: string,
  after: string,
  limit: number,
): { request: JoinRequestState; moderatorIds: string[] } | null {
  const request = core.groups.joinRequest(requestId);
  if (request?.status !== "pending" || core.state?.dismissedAt !== undefined) {
    return null;
  }
  return { request, moderatorIds: core.groups.moderators(after, limit).map((member) => member.userId) };
}

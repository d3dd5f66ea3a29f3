/** What consumers ask of a room: nobody's rights are checked, since nobody is answered. */
import type { CurrentView } from "./commands.ts";
import type { JoinRequestState } from "./records.ts";
import type { RoomCore } from "./room.ts";

/** The conversation as it is now, and who of `among` is in it; null when there is none, or it is dismissed. */
export function current(core: RoomCore, among: readonly string[] = []): CurrentView | null {
  const { state, headSeqId } = core;
  return state === undefined || state.dismissedAt !== undefined
    ? null
    : { conversation: state, headSeqId, members: among.flatMap((userId) => core.member(userId) ?? []) };
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

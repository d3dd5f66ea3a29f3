/**
 * What the gateway and the consumers call on a room about its group: settings, standing of members, doors. Part of
 * `RoomRpc`. Each change answers its records for SQL as well (see `RoomChange`).
 */
import type {
  Actor,
  ConversationChange,
  CurrentView,
  JoinDecision,
  JoinOutcome,
  JoinWish,
  MemberChange,
  NewInvite,
  RoomChange,
  RoomView,
} from "../domain/commands.ts";
import type { InviteState, JoinRequestState, MemberState } from "../domain/records.ts";
import type { Result } from "../protocol/errors.ts";

export interface GroupRpc {
  /** CONFLICT when `maxMembers` is below the members that are there. */
  update(actor: Actor, change: ConversationChange): Promise<Result<RoomChange<RoomView>>>;
  /** By the owner or a system admin; from then on the group answers as one that does not exist. */
  dismiss(actor: Actor): Promise<Result<RoomChange<void>>>;
  /** Role, mute, or both. USER_NOT_FOUND for who is no member. `ofAdmin`: of a system admin; only SQL knows who is one. */
  changeMember(
    actor: Actor,
    userId: string,
    change: MemberChange,
    ofAdmin?: boolean,
  ): Promise<Result<RoomChange<MemberState>>>;
  transfer(actor: Actor, userId: string): Promise<Result<RoomChange<RoomView>>>;

  createInvite(actor: Actor, wish: NewInvite): Promise<Result<RoomChange<InviteState>>>;
  /** NOT_FOUND when there is none. */
  revokeInvite(actor: Actor, code: string): Promise<Result<RoomChange<void>>>;
  /** Links that still let somebody in, by creation, after `after` (exclusive). */
  invites(
    actor: Actor,
    page: { after?: { createdAt: number; code: string }; limit: number },
  ): Promise<Result<InviteState[]>>;
  /** Counts uses exactly, also of those who come at the same moment. Idempotent for members and who waits. */
  join(actor: Actor, wish: JoinWish): Promise<Result<RoomChange<JoinOutcome>>>;
  joinRequest(actor: Actor, requestId: string): Promise<Result<JoinRequestState>>;
  /** Those that wait, by id, after `after` (exclusive; "" for the first page). */
  joinRequests(actor: Actor, page: { after: string; limit: number }): Promise<Result<JoinRequestState[]>>;
  decideJoin(actor: Actor, decision: JoinDecision): Promise<Result<RoomChange<JoinRequestState>>>;

  /**
   * For consumers, without asking who wants to know: as it is now, who of `among` is in it, and so many of its members; null when
   * it is none or is dismissed.
   */
  current(among: string[], firstMembers: number): Promise<CurrentView | null>;
  /** For consumers: a request that waits, and a page of those who may decide it, by user id, after `after`. */
  pendingJoin(
    requestId: string,
    after: string,
    limit: number,
  ): Promise<{ request: JoinRequestState; moderatorIds: string[] } | null>;
}

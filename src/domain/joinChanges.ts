/**
 * The doors of a group: invite links, and wishes to join where somebody has to approve. Uses are counted here, in the
 * room, so that a link lets in exactly as many as it may, however many come at the same moment.
 */
import { err, ok, type Result } from "../protocol/errors.ts";
import { INVITE_LIFE_DEFAULT_MS, INVITE_LIFE_LIMIT_MS } from "../protocol/limits.ts";
import { conversationEvent, inviteRecord, joinRequestRecord, takeIn, unchanged } from "./changeDrafts.ts";
import type { Actor, JoinDecision, JoinOutcome, JoinWish, NewInvite, RoomChange } from "./commands.ts";
import { requireManager } from "./groupRules.ts";
import { GROUP, type InviteState, type JoinRequestState } from "./records.ts";
import type { RoomCore } from "./room.ts";

/** Links that a group keeps at one time. Not in the contract: far more than anybody hands out. */
export const INVITES_LIMIT = 1_000;
/** Who was turned away may ask again after a day, as with requests for friendship. */
export const ASK_AGAIN_AFTER_MS = 24 * 3_600_000;

/** INVALID_INPUT for a life that has ended or is too long; CONFLICT when the group has too many links. */
export function createInvite(
  core: RoomCore,
  actor: Actor,
  wish: NewInvite,
  now: number,
): Result<RoomChange<InviteState>> {
  const allowed = requireManager(core, actor);
  if (!allowed.ok) {
    return allowed;
  }
  const expiresAt = wish.expiresAt ?? now + INVITE_LIFE_DEFAULT_MS;
  if (expiresAt <= now || expiresAt > now + INVITE_LIFE_LIMIT_MS) {
    return err({ name: "INVALID_INPUT", fields: [{ path: "expiresAt", message: "must be within the next 30 days" }] });
  }
  const known = core.groups.invite(wish.code);
  if (known !== undefined) {
    // The same call once more: its answer was lost on the way.
    return ok(unchanged(known));
  }
  if (core.groups.inviteCount(now) >= INVITES_LIMIT) {
    return err({ name: "CONFLICT", detail: "too many invites" });
  }
  const invite: InviteState = {
    code: wish.code,
    conversationId: core.conversationId,
    createdBy: actor.userId,
    createdAt: now,
    expiresAt,
    ...(wish.maxUses === undefined ? {} : { maxUses: wish.maxUses }),
    uses: 0,
  };
  const write = (): void => {
    core.groups.pruneInvites(now);
    core.groups.putInvite(invite);
  };
  return ok({ value: invite, ...core.commit({ outbox: [inviteRecord(invite)], held: true, write }, now) });
}

/** NOT_FOUND when there is no such link (any more). */
export function revokeInvite(core: RoomCore, actor: Actor, code: string, now: number): Result<RoomChange<void>> {
  const allowed = requireManager(core, actor);
  if (!allowed.ok) {
    return allowed;
  }
  const invite = core.groups.invite(code);
  if (invite === undefined) {
    return err({ name: "NOT_FOUND" });
  }
  const revoked = { ...invite, revokedAt: now };
  const write = (): void => core.groups.deleteInvite(code);
  return ok({ value: undefined, ...core.commit({ outbox: [inviteRecord(revoked)], held: true, write }, now) });
}

/** Links that still let somebody in, by creation. */
export function listInvites(
  core: RoomCore,
  actor: Actor,
  page: { after?: { createdAt: number; code: string }; limit: number },
  now: number,
): Result<InviteState[]> {
  const allowed = requireManager(core, actor);
  if (!allowed.ok) {
    return allowed;
  }
  const found: InviteState[] = [];
  for (let after = page.after; found.length < page.limit;) {
    const rows = core.groups.invites(after, page.limit);
    found.push(...rows.filter((invite) => isLive(invite, now)));
    const last = rows.at(-1);
    if (last === undefined || rows.length < page.limit) {
      break;
    }
    after = last;
  }
  return ok(found.slice(0, page.limit));
}

function isUsedUp(invite: InviteState): boolean {
  return invite.maxUses !== undefined && invite.uses >= invite.maxUses;
}

function isLive(invite: InviteState, now: number): boolean {
  return invite.expiresAt > now && !isUsedUp(invite);
}

/**
 * Comes in by a link, or asks to where somebody has to approve; either is one use of the link, and only the first time.
 * Members, and those who wait already, get the same answer again. NOT_FOUND for a link that lets nobody in (any more),
 * GROUP_FULL, CONFLICT when turned away less than a day ago, PERMISSION_DENIED for guests.
 */
export function join(core: RoomCore, actor: Actor, wish: JoinWish, now: number): Result<RoomChange<JoinOutcome>> {
  if (actor.isGuest) {
    return err({ name: "PERMISSION_DENIED" });
  }
  const { state, groups } = core;
  const invite = groups.invite(wish.code);
  if (state === undefined || state.type !== GROUP || state.dismissedAt !== undefined || invite === undefined) {
    return err({ name: "NOT_FOUND" });
  }
  if (core.member(actor.userId) !== undefined) {
    return joined(core, actor);
  }
  const asked = groups.joinRequestOf(actor.userId);
  const isWaiting = asked?.status === "pending";
  if (isWaiting && state.joinApproval) {
    return ok(unchanged({ status: "pending", request: asked }));
  }
  // Who waits has used the link already.
  if (isWaiting ? invite.expiresAt <= now : !isLive(invite, now)) {
    return err({ name: "NOT_FOUND", detail: "the invite is over" });
  }
  if (state.memberCount >= state.maxMembers) {
    return err({ name: "GROUP_FULL" });
  }
  if (state.joinApproval) {
    return asked?.status === "rejected" && now - asked.updatedAt < ASK_AGAIN_AFTER_MS
      ? err({ name: "CONFLICT", detail: "turned away less than a day ago" })
      : ask(core, actor, invite, wish.requestId, now);
  }
  const used = { ...invite, uses: invite.uses + 1 };
  const { members: _members, ...change } = takeIn(
    core,
    state,
    [actor.userId],
    actor.userId,
    now,
    isWaiting ? {} : { outbox: [inviteRecord(used)], write: () => groups.putInvite(used) },
  );
  return joined(core, actor, change);
}

function joined(
  core: RoomCore,
  actor: Actor,
  change: Omit<RoomChange<unknown>, "value"> = { records: [], outboxIds: [] },
): Result<RoomChange<JoinOutcome>> {
  const view = core.view(actor);
  return view.ok ? ok({ value: { status: "joined", view: view.value }, ...change }) : view;
}

function ask(
  core: RoomCore,
  actor: Actor,
  invite: InviteState,
  requestId: string,
  now: number,
): Result<RoomChange<JoinOutcome>> {
  const { userId } = actor;
  const { conversationId } = core;
  const request: JoinRequestState = {
    requestId,
    conversationId,
    userId,
    status: "pending",
    createdAt: now,
    updatedAt: now,
  };
  const used = { ...invite, uses: invite.uses + 1 };
  const done = core.commit(
    {
      outbox: [
        inviteRecord(used),
        joinRequestRecord(request),
        conversationEvent(core, "conversation.joined.requested", userId, { user_id: userId, request_id: requestId }),
      ],
      held: true,
      write: () => {
        core.groups.putInvite(used);
        core.groups.putJoinRequest(request);
      },
    },
    now,
  );
  return ok({ value: { status: "pending", request }, ...done });
}

/** For owner and admins. NOT_FOUND when there is none. */
export function joinRequest(core: RoomCore, actor: Actor, requestId: string): Result<JoinRequestState> {
  const allowed = requireManager(core, actor);
  if (!allowed.ok) {
    return allowed;
  }
  const request = core.groups.joinRequest(requestId);
  return request === undefined ? err({ name: "NOT_FOUND" }) : ok(request);
}

/** Those that wait, oldest first. */
export function listJoinRequests(
  core: RoomCore,
  actor: Actor,
  page: { after: string; limit: number },
): Result<JoinRequestState[]> {
  const allowed = requireManager(core, actor);
  return allowed.ok ? ok(core.groups.pendingRequests(page.after, page.limit)) : allowed;
}

/**
 * The same decision again changes nothing; another one is CONFLICT. GROUP_FULL leaves the request waiting.
 * @returns the request after the decision
 */
export function decideJoin(
  core: RoomCore,
  actor: Actor,
  { requestId, action }: JoinDecision,
  now: number,
): Result<RoomChange<JoinRequestState>> {
  const allowed = requireManager(core, actor);
  if (!allowed.ok) {
    return allowed;
  }
  const { state } = allowed.value;
  const request = core.groups.joinRequest(requestId);
  if (request === undefined) {
    return err({ name: "NOT_FOUND" });
  }
  const status = action === "accept" ? "accepted" : "rejected";
  if (request.status !== "pending") {
    return request.status === status ? ok(unchanged(request)) : err({ name: "CONFLICT" });
  }
  const decided: JoinRequestState = { ...request, status, decidedBy: actor.userId, updatedAt: now };
  if (action === "reject") {
    const write = (): void => core.groups.putJoinRequest(decided);
    return ok({ value: decided, ...core.commit({ outbox: [joinRequestRecord(decided)], held: true, write }, now) });
  }
  if (state.memberCount >= state.maxMembers) {
    return err({ name: "GROUP_FULL" });
  }
  // Whoever is taken in has their request accepted by it.
  const { members: _members, ...change } = takeIn(core, state, [request.userId], actor.userId, now);
  return ok({ value: decided, ...change });
}

/** Changes of a group and of its members' standing: settings, roles, mutes, transfer, dismissal. */
import { err, ok, type Result } from "../protocol/errors.ts";
import {
  changed,
  conversationRecord,
  memberRecord,
  notification,
  roleEvent,
  stateEvent,
  unchanged,
} from "./changeDrafts.ts";
import type { Actor, ConversationChange, MemberChange, RoomChange, RoomView } from "./commands.ts";
import { mayChangeMember, mayDismiss, mayUpdate, worldMember } from "./groupRules.ts";
import { requireMember } from "./membership.ts";
import { ADMIN, GROUP, OWNER, WORLD, type ConversationState, type MemberState } from "./records.ts";
import type { RoomCore } from "./room.ts";

/** CONFLICT when `maxMembers` would be below the members that are there. */
export function updateConversation(
  core: RoomCore,
  actor: Actor,
  change: ConversationChange,
  now: number,
): Result<RoomChange<RoomView>> {
  const self = requireMember(core.state, core.member(actor.userId), actor);
  if (!self.ok) {
    return self;
  }
  const { state, member } = self.value;
  const hasDoors = change.joinApproval !== undefined || change.maxMembers !== undefined;
  if (!mayUpdate(state, actor, member, hasDoors)) {
    return err({ name: "PERMISSION_DENIED" });
  }
  if (change.maxMembers !== undefined && change.maxMembers < state.memberCount) {
    return err({
      name: "CONFLICT",
      fields: [{ path: "maxMembers", message: `there are ${state.memberCount} members` }],
    });
  }
  const applied = withChange(state, change);
  if (sameSettings(applied, state)) {
    const view = core.view(actor);
    return view.ok ? ok(unchanged(view.value)) : view;
  }
  const next = changed(applied, now);
  const { announcement } = next;
  const isNews = announcement !== undefined && announcement !== state.announcement;
  const done = core.commit(
    {
      state: next,
      outbox: [
        conversationRecord(core, next),
        stateEvent(core, "conversation.updated", actor.userId, next),
        ...(isNews ? [notification(core, "group.announcement", actor.userId, { text: announcement, at: now })] : []),
      ],
      held: true,
    },
    now,
  );
  const view = core.view(actor);
  return view.ok ? ok({ value: view.value, ...done }) : view;
}

/** Absent leaves a field as it is; `null`, or an empty announcement, takes it away. */
function withChange(state: ConversationState, change: ConversationChange): ConversationState {
  const { name, avatarUrl, announcement, joinApproval, muteAll, maxMembers } = change;
  const next = { ...state };
  if (name !== undefined) {
    next.name = name;
  }
  if (avatarUrl === null) {
    delete next.avatarUrl;
  } else if (avatarUrl !== undefined) {
    next.avatarUrl = avatarUrl;
  }
  if (announcement === null || announcement === "") {
    delete next.announcement;
  } else if (announcement !== undefined) {
    next.announcement = announcement;
  }
  next.joinApproval = joinApproval ?? state.joinApproval;
  next.muteAll = muteAll ?? state.muteAll;
  next.maxMembers = maxMembers ?? state.maxMembers;
  return next;
}

function sameSettings(a: ConversationState, b: ConversationState): boolean {
  return (
    a.name === b.name &&
    a.avatarUrl === b.avatarUrl &&
    a.announcement === b.announcement &&
    a.joinApproval === b.joinApproval &&
    a.muteAll === b.muteAll &&
    a.maxMembers === b.maxMembers
  );
}

/**
 * From now on the group answers as one that does not exist. Its member rows stay: the consumer of the event reads there
 * whom to tell.
 */
export function dismiss(core: RoomCore, actor: Actor, now: number): Result<RoomChange<void>> {
  const found = mayDismiss(core.state, actor, core.member(actor.userId));
  if (!found.ok) {
    return found;
  }
  const next = { ...changed(found.value, now), dismissedAt: now };
  const done = core.commit(
    {
      state: next,
      outbox: [conversationRecord(core, next), stateEvent(core, "conversation.dismissed", actor.userId, next)],
      held: true,
    },
    now,
  );
  return ok({ value: undefined, ...done });
}

/**
 * Role and mute of a member, both or neither.
 * @param ofAdmin the member is a system admin
 * @returns the member after the change. USER_NOT_FOUND for who is none
 */
export function changeMember(
  core: RoomCore,
  actor: Actor,
  userId: string,
  change: MemberChange,
  now: number,
  ofAdmin = false,
): Result<RoomChange<MemberState>> {
  const self = requireMember(core.state, core.member(actor.userId), actor);
  if (!self.ok) {
    return self;
  }
  const { state, member } = self.value;
  const target = core.member(userId) ?? (state.type === WORLD ? worldMember(userId) : undefined);
  if (target === undefined) {
    return err({ name: state.type === GROUP ? "USER_NOT_FOUND" : "PERMISSION_DENIED" });
  }
  const allowed = mayChangeMember(state, actor, member, target, change, ofAdmin);
  if (!allowed.ok) {
    return allowed;
  }
  const next = withMute({ ...target, role: change.role ?? target.role }, change, now);
  if (next.role === target.role && next.mutedUntil === target.mutedUntil) {
    return ok(unchanged(target));
  }
  const after = changed(state, now);
  const done = core.commit(
    {
      state: after,
      put: [next],
      outbox: [
        conversationRecord(core, after),
        memberRecord(core, next),
        ...(next.role === target.role ? [] : [roleEvent(core, actor.userId, userId, next.role)]),
        // A mute has no frame of its own: the new version says that there is something to look at.
        ...(next.mutedUntil === target.mutedUntil
          ? []
          : [stateEvent(core, "conversation.updated", actor.userId, after)]),
      ],
      held: true,
    },
    now,
  );
  return ok({ value: next, ...done });
}

/** A time that has passed ends a mute, as `null` does. */
function withMute(member: MemberState, { mutedUntil }: MemberChange, now: number): MemberState {
  if (mutedUntil === undefined) {
    return member;
  }
  const { mutedUntil: _before, ...unmuted } = member;
  return mutedUntil === null || mutedUntil <= now ? unmuted : { ...unmuted, mutedUntil };
}

/** The owner makes another member the owner and is an admin from then on. To oneself: nothing changes. */
export function transfer(core: RoomCore, actor: Actor, userId: string, now: number): Result<RoomChange<RoomView>> {
  const self = requireMember(core.state, core.member(actor.userId), actor);
  if (!self.ok) {
    return self;
  }
  const { state, member } = self.value;
  if (state.type !== GROUP || member.role !== OWNER) {
    return err({ name: "PERMISSION_DENIED" });
  }
  const target = core.member(userId);
  if (target === undefined) {
    return err({ name: "USER_NOT_FOUND" });
  }
  if (userId === actor.userId) {
    const view = core.view(actor);
    return view.ok ? ok(unchanged(view.value)) : view;
  }
  // Nobody stands above an owner: a mute could not be lifted by anyone else.
  const owner = withMute({ ...target, role: OWNER }, { mutedUntil: null }, now);
  const before: MemberState = { ...member, role: ADMIN };
  const next = { ...changed(state, now), ownerId: userId };
  const done = core.commit(
    {
      state: next,
      put: [owner, before],
      outbox: [
        conversationRecord(core, next),
        memberRecord(core, owner),
        memberRecord(core, before),
        roleEvent(core, actor.userId, userId, OWNER),
        roleEvent(core, actor.userId, actor.userId, ADMIN),
        stateEvent(core, "conversation.updated", actor.userId, next),
      ],
      held: true,
    },
    now,
  );
  const view = core.view(actor);
  return view.ok ? ok({ value: view.value, ...done }) : view;
}

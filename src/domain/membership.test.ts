import { describe, it } from "vitest";
import type { ErrorName, Result } from "../protocol/errors.ts";
import type { Actor } from "./commands.ts";
import { DEFAULT_MAX_MEMBERS, mayAdd, mayRemove, newConversation, requireMember, worldState } from "./membership.ts";
import {
  ADMIN,
  DIRECT,
  GROUP,
  MEMBER,
  OWNER,
  WORLD_ROOM_ID,
  type ConversationState,
  type MemberState,
  type Role,
} from "./records.ts";

const NOW = 1_700_000_000_000;
const world = worldState(WORLD_ROOM_ID);
const group = newConversation("group_1", { type: GROUP, memberIds: ["owner", "a", "b", "c"] }, NOW).state;
const direct = newConversation("single_a_b", { type: DIRECT, memberIds: ["a", "b"] }, NOW).state;

function member(userId: string, role: Role = MEMBER): MemberState {
  return { userId, role, joinedAt: NOW, readSeqId: 0 };
}

function actor(userId: string, more: Partial<Actor> = {}): Actor {
  return { userId, isGuest: false, isAdmin: false, ...more };
}

function fault(result: Result<unknown>): ErrorName | "ok" {
  return result.ok ? "ok" : result.fault.name;
}

describe("a new conversation", () => {
  it("of many is owned by the first, the others are members, and nobody has read anything", ({ expect }) => {
    const { state, members } = newConversation("group_1", { type: GROUP, name: "us", memberIds: ["c", "a", "b"] }, NOW);
    expect(state).toMatchObject({ ownerId: "c", memberCount: 3, maxMembers: DEFAULT_MAX_MEMBERS, version: 1 });
    expect(members.map(({ userId, role, readSeqId }) => [userId, role, readSeqId])).toEqual([
      ["c", OWNER, 0],
      ["a", MEMBER, 0],
      ["b", MEMBER, 0],
    ]);
  });

  it("of two belongs to nobody and never grows, whatever is wished", ({ expect }) => {
    const { state, members } = newConversation(
      "single_a_b",
      { type: DIRECT, memberIds: ["b", "a"], maxMembers: 100 },
      NOW,
    );
    expect(state.ownerId).toBeUndefined();
    expect(state.maxMembers).toBe(2);
    expect(members.map(({ role }) => role)).toEqual([MEMBER, MEMBER]);
  });

  it("has no fields that nobody named", ({ expect }) => {
    for (const field of ["name", "announcement", "avatarUrl", "dismissedAt"]) {
      expect(direct).not.toHaveProperty(field);
    }
    expect([group.joinApproval, group.muteAll]).toEqual([false, false]);
  });
});

describe("a conversation that one is not a member of", () => {
  it("answers as one that does not exist, and as one that is over", ({ expect }) => {
    const stranger = requireMember(group, undefined, actor("x"));
    expect(stranger).toEqual(requireMember(undefined, undefined, actor("x")));
    expect(stranger).toEqual(requireMember({ ...group, dismissedAt: NOW }, member("a"), actor("a")));
    expect(fault(stranger)).toBe("CONVERSATION_NOT_FOUND");
  });

  it("is no other for system admins", ({ expect }) => {
    expect(fault(requireMember(group, undefined, actor("x", { isAdmin: true })))).toBe("CONVERSATION_NOT_FOUND");
  });

  it("is never the world: everybody is in it by rule, guests too, and rows add what they say", ({ expect }) => {
    const guest = requireMember(world, undefined, actor("g", { isGuest: true }));
    expect(guest).toMatchObject({ ok: true, value: { member: { userId: "g", role: MEMBER } } });
    const moderator = { ...member("m", ADMIN), mutedUntil: NOW };
    expect(requireMember(world, moderator, actor("m"))).toMatchObject({ ok: true, value: { member: moderator } });
  });

  it("holds as many as SQL says, whatever an earlier release has stored with a change of the world", ({ expect }) => {
    expect(world.maxMembers).toBe(1_000_000);
    const stored = { ...world, announcement: "Hi", version: 7, maxMembers: Number.MAX_SAFE_INTEGER };
    expect(worldState(WORLD_ROOM_ID, stored)).toEqual({ ...stored, maxMembers: 1_000_000 });
  });
});

describe("adding members", () => {
  it("is for the owner and admins of a group, and for nobody elsewhere", ({ expect }) => {
    const roles: Role[] = [MEMBER, ADMIN, OWNER];
    const answers = (state: ConversationState): string[] =>
      roles.map((role) => fault(mayAdd(state, member("a", role))));
    expect(answers(group)).toEqual(["PERMISSION_DENIED", "ok", "ok"]);
    expect(answers(direct)).toEqual(["PERMISSION_DENIED", "PERMISSION_DENIED", "PERMISSION_DENIED"]);
    expect(answers(world)).toEqual(["PERMISSION_DENIED", "PERMISSION_DENIED", "PERMISSION_DENIED"]);
  });
});

describe("removing others", () => {
  const cases: [Role, Role, string][] = [
    [MEMBER, MEMBER, "PERMISSION_DENIED"],
    [MEMBER, ADMIN, "PERMISSION_DENIED"],
    [MEMBER, OWNER, "PERMISSION_DENIED"],
    [ADMIN, MEMBER, "ok"],
    [ADMIN, ADMIN, "PERMISSION_DENIED"],
    [ADMIN, OWNER, "PERMISSION_DENIED"],
    [OWNER, MEMBER, "ok"],
    [OWNER, ADMIN, "ok"],
  ];

  it("is acting on those below oneself, as admin or owner", ({ expect }) => {
    for (const [by, of, answer] of cases) {
      expect(fault(mayRemove(group, member("a", by), member("b", of))), `${by} on ${of}`).toBe(answer);
    }
  });

  it("never dismisses a group, not even when one remains", ({ expect }) => {
    const two = { ...group, memberCount: 2 };
    expect(mayRemove(two, member("owner", OWNER), member("a"))).toEqual({ ok: true, value: { dismisses: false } });
  });

  it("does not happen in direct conversations and in the world, whoever asks", ({ expect }) => {
    for (const state of [direct, world]) {
      expect(fault(mayRemove(state, member("a", OWNER), member("b")))).toBe("PERMISSION_DENIED");
      expect(fault(mayRemove(state, member("a"), member("a")))).toBe("PERMISSION_DENIED");
    }
  });
});

describe("leaving", () => {
  it("is open to members and admins", ({ expect }) => {
    for (const role of [MEMBER, ADMIN] as const) {
      expect(mayRemove(group, member("a", role), member("a", role))).toEqual({ ok: true, value: { dismisses: false } });
    }
  });

  it("is closed to an owner who is not alone, and ends the group of one who is", ({ expect }) => {
    const owner = member("owner", OWNER);
    expect(fault(mayRemove({ ...group, memberCount: 2 }, owner, owner))).toBe("CONFLICT");
    expect(mayRemove({ ...group, memberCount: 1 }, owner, owner)).toEqual({ ok: true, value: { dismisses: true } });
  });
});

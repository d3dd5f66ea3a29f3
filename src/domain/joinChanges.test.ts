import { describe, it } from "vitest";
import { changeMember, dismiss, updateConversation } from "./groupChanges.ts";
import { pendingJoin } from "./groupViews.ts";
import {
  ASK_AGAIN_AFTER_MS,
  createInvite,
  decideJoin,
  INVITES_LIMIT,
  join,
  joinRequest,
  listInvites,
  listJoinRequests,
  revokeInvite,
} from "./joinChanges.ts";
import { ADMIN, type InviteState } from "./records.ts";
import { addMembers, removeMember } from "./roomChanges.ts";
import { actorOf, GroupHarness, kinds, must, nameOf, NOW } from "./testing/groupHarness.ts";

const [OWEN, ADA, MAX, EVE, UMA] = ["owen", "ada", "max", "eve", "uma"];
const DAY_MS = 24 * 3_600_000;
const CODE = "the-invite-code";

function invite(
  harness: GroupHarness,
  wish: { code?: string; maxUses?: number; expiresAt?: number } = {},
): InviteState {
  return must(createInvite(harness.core, actorOf(OWEN), { code: CODE, ...wish }, harness.now)).value;
}

let requests = 0;

function comes(harness: GroupHarness, userId: string, code = CODE) {
  requests += 1;
  return join(harness.core, actorOf(userId), { code, requestId: `request-${requests}` }, harness.now);
}

/** "joined", "pending" or the name of the fault. */
function outcome(harness: GroupHarness, userId: string, code = CODE): string {
  const result = comes(harness, userId, code);
  return result.ok ? result.value.value.status : result.fault.name;
}

function usesOf(harness: GroupHarness, code = CODE): number | undefined {
  return harness.core.groups.invite(code)?.uses;
}

describe("an invite", () => {
  it("is made by owner and admins, lives a week unless told otherwise, and a month at most", ({ expect }) => {
    const harness = GroupHarness.group([OWEN, ADA, MAX]);
    const { core } = harness;
    must(changeMember(core, actorOf(OWEN), ADA, { role: ADMIN }, NOW));
    expect(invite(harness)).toEqual({
      code: CODE,
      conversationId: core.conversationId,
      createdBy: OWEN,
      createdAt: NOW,
      expiresAt: NOW + 7 * DAY_MS,
      uses: 0,
    });
    const make = (who: string, expiresAt?: number): string =>
      nameOf(createInvite(core, actorOf(who), { code: `code-${who}`, expiresAt }, NOW));
    expect([make(ADA), make(MAX), make(EVE)]).toEqual(["ok", "PERMISSION_DENIED", "CONVERSATION_NOT_FOUND"]);
    for (const [expiresAt, name] of [
      [NOW, "INVALID_INPUT"],
      [NOW + 1, "ok"],
      [NOW + 30 * DAY_MS, "ok"],
      [NOW + 30 * DAY_MS + 1, "INVALID_INPUT"],
    ] as const) {
      expect(nameOf(createInvite(core, actorOf(OWEN), { code: `until ${expiresAt}`, expiresAt }, NOW))).toBe(name);
    }
    for (const other of [GroupHarness.direct(OWEN, ADA), GroupHarness.world()]) {
      expect(nameOf(createInvite(other.core, actorOf(OWEN, { isAdmin: true }), { code: CODE }, NOW))).toBe(
        "PERMISSION_DENIED",
      );
    }
  });

  it("made by a call that came twice is one", ({ expect }) => {
    const harness = GroupHarness.group([OWEN]);
    const first = invite(harness);
    outcome(harness, EVE);
    const again = must(createInvite(harness.core, actorOf(OWEN), { code: CODE }, NOW));
    expect([again.value, again.records]).toEqual([{ ...first, uses: 1 }, []]);
  });

  it("lets people in, who are members then, and says so", ({ expect }) => {
    const harness = GroupHarness.group([OWEN]);
    invite(harness);
    harness.core.takeEffects();
    const change = must(comes(harness, EVE));
    expect(change.value).toMatchObject({ status: "joined", view: { role: 1, conversation: { memberCount: 2 } } });
    expect(kinds(change)).toEqual(["conversation", "member", "invite"]);
    expect(harness.events()).toMatchObject([
      { event_type: "conversation.member.added", operator_id: EVE, payload: { members: [{ user_id: EVE, role: 1 }] } },
    ]);
    expect(usesOf(harness)).toBe(1);
  });

  it("is idempotent for members, also when it is over", ({ expect }) => {
    const harness = GroupHarness.group([OWEN]);
    invite(harness, { maxUses: 1 });
    expect([outcome(harness, EVE), outcome(harness, EVE), outcome(harness, OWEN)]).toEqual([
      "joined",
      "joined",
      "joined",
    ]);
    expect(usesOf(harness)).toBe(1);
    harness.now += 8 * DAY_MS;
    expect(outcome(harness, EVE)).toBe("joined");
    expect(must(comes(harness, EVE)).records).toEqual([]);
  });

  it("lets in as many as it may, through a restart, and nobody more", ({ expect }) => {
    const harness = GroupHarness.group([OWEN]);
    invite(harness, { maxUses: 3 });
    const outcomes = ["a", "b"].map((who) => outcome(harness, who));
    harness.restart();
    outcomes.push(...["c", "d", "e", "b"].map((who) => outcome(harness, who)));
    expect(outcomes).toEqual(["joined", "joined", "joined", "NOT_FOUND", "NOT_FOUND", "joined"]);
    expect(harness.core.state?.memberCount).toBe(4);
    // Leaving gives nothing back.
    must(removeMember(harness.core, actorOf("a"), "a", NOW));
    expect(outcome(harness, "a")).toBe("NOT_FOUND");
  });

  it("lets nobody in once it has expired, was revoked, or its group is gone", ({ expect }) => {
    const harness = GroupHarness.group([OWEN]);
    invite(harness, { expiresAt: NOW + 1_000 });
    invite(harness, { code: "another-code" });
    harness.now += 1_000;
    expect([outcome(harness, EVE), outcome(harness, EVE, "another-code")]).toEqual(["NOT_FOUND", "joined"]);
    const revoked = must(revokeInvite(harness.core, actorOf(OWEN), "another-code", harness.now));
    expect(revoked.records).toMatchObject([{ kind: "invite", invite: { uses: 1, revokedAt: harness.now } }]);
    expect(outcome(harness, UMA, "another-code")).toBe("NOT_FOUND");
    expect(nameOf(revokeInvite(harness.core, actorOf(OWEN), "another-code", harness.now))).toBe("NOT_FOUND");
    expect(nameOf(revokeInvite(harness.core, actorOf(EVE), CODE, harness.now))).toBe("PERMISSION_DENIED");
    invite(harness, { code: "a-third-code" });
    must(dismiss(harness.core, actorOf(OWEN), harness.now));
    expect([outcome(harness, UMA, "a-third-code"), outcome(new GroupHarness(), UMA)]).toEqual([
      "NOT_FOUND",
      "NOT_FOUND",
    ]);
  });

  it("makes no room in a full group, and no guest a member", ({ expect }) => {
    const harness = GroupHarness.group([OWEN, MAX], { maxMembers: 2 });
    invite(harness);
    expect(outcome(harness, EVE)).toBe("GROUP_FULL");
    expect(usesOf(harness)).toBe(0);
    const wish = { code: CODE, requestId: "r" };
    expect(nameOf(join(harness.core, actorOf("guest", { isGuest: true }), wish, NOW))).toBe("PERMISSION_DENIED");
  });

  it("is listed while it lets somebody in, page by page", ({ expect }) => {
    const harness = GroupHarness.group([OWEN, MAX]);
    for (let n = 1; n <= 5; n++) {
      harness.now = NOW + n;
      invite(harness, { code: `code-${n}`, maxUses: 1, ...(n === 2 ? { expiresAt: NOW + 100 } : {}) });
    }
    harness.now = NOW + 100;
    outcome(harness, EVE, "code-4");
    const list = (after?: InviteState, limit = 2): string[] =>
      must(listInvites(harness.core, actorOf(OWEN), { after, limit }, harness.now)).map((one) => one.code);
    expect(list()).toEqual(["code-1", "code-3"]);
    expect(list(harness.core.groups.invite("code-3"))).toEqual(["code-5"]);
    expect(nameOf(listInvites(harness.core, actorOf(MAX), { limit: 2 }, NOW))).toBe("PERMISSION_DENIED");
  });

  it("is one of a bounded number; expired ones do not count", ({ expect }) => {
    const harness = GroupHarness.group([OWEN]);
    for (let n = 0; n < INVITES_LIMIT; n++) {
      invite(harness, { code: `code-${n}`, expiresAt: NOW + 1_000 });
    }
    expect(nameOf(createInvite(harness.core, actorOf(OWEN), { code: CODE }, NOW))).toBe("CONFLICT");
    harness.now += 1_000;
    invite(harness);
    expect(harness.core.groups.invites(undefined, 10).map((one) => one.code)).toEqual([CODE]);
  });
});

describe("a group with approval", () => {
  function closed(): GroupHarness {
    const harness = GroupHarness.group([OWEN, ADA, MAX], { joinApproval: true });
    must(changeMember(harness.core, actorOf(OWEN), ADA, { role: ADMIN }, NOW));
    invite(harness, { maxUses: 3 });
    harness.core.takeEffects();
    return harness;
  }

  function asks(harness: GroupHarness, userId: string): string {
    const { value } = must(comes(harness, userId));
    if (value.status !== "pending") {
      throw new Error("came in without asking");
    }
    return value.request.requestId;
  }

  it("is asked once; asking again is the same request and no other use", ({ expect }) => {
    const harness = closed();
    const requestId = asks(harness, EVE);
    expect(harness.events()).toEqual([
      {
        event_type: "conversation.joined.requested",
        operator_id: EVE,
        payload: { user_id: EVE, request_id: requestId },
      },
    ]);
    expect(asks(harness, EVE)).toBe(requestId);
    expect(usesOf(harness)).toBe(1);
    expect(harness.core.member(EVE)).toBeUndefined();
    expect(pendingJoin(harness.core, requestId, "", 10)).toMatchObject({
      request: { userId: EVE, status: "pending" },
      moderatorIds: [ADA, OWEN],
    });
  });

  it("takes in whom owner or admins accept; the same decision again changes nothing", ({ expect }) => {
    const harness = closed();
    const { core } = harness;
    const requestId = asks(harness, EVE);
    const decide = (who: string, action: "accept" | "reject", id = requestId): string =>
      nameOf(decideJoin(core, actorOf(who), { requestId: id, action }, NOW));
    expect([decide(MAX, "accept"), decide(EVE, "accept"), decide(ADA, "accept", "nothing")]).toEqual([
      "PERMISSION_DENIED",
      "CONVERSATION_NOT_FOUND",
      "NOT_FOUND",
    ]);
    expect(nameOf(joinRequest(core, actorOf(MAX), requestId))).toBe("PERMISSION_DENIED");
    harness.core.takeEffects();
    const change = must(decideJoin(core, actorOf(ADA), { requestId, action: "accept" }, NOW));
    expect(change.value).toMatchObject({ status: "accepted", decidedBy: ADA });
    expect(kinds(change)).toEqual(["conversation", "member", "joinRequest"]);
    expect(harness.eventTypes()).toEqual(["conversation.member.added", "conversation.invited"]);
    expect([decide(OWEN, "accept"), decide(OWEN, "reject")]).toEqual(["ok", "CONFLICT"]);
    must(removeMember(core, actorOf(ADA), EVE, NOW));
    // The decision is over; it brings nobody back.
    expect(decide(ADA, "accept")).toBe("ok");
    expect(core.member(EVE)).toBeUndefined();
    expect(pendingJoin(core, requestId, "", 10)).toBeNull();
  });

  it("turns away for a day", ({ expect }) => {
    const harness = closed();
    const requestId = asks(harness, EVE);
    const change = must(decideJoin(harness.core, actorOf(OWEN), { requestId, action: "reject" }, NOW));
    expect(change.records).toMatchObject([{ kind: "joinRequest", request: { status: "rejected", decidedBy: OWEN } }]);
    expect(outcome(harness, EVE)).toBe("CONFLICT");
    harness.now += ASK_AGAIN_AFTER_MS;
    expect(asks(harness, EVE)).not.toBe(requestId);
    expect(usesOf(harness)).toBe(2);
  });

  it("leaves a request waiting while it is full, and accepts it when its user comes in another way", ({ expect }) => {
    const harness = closed();
    const { core } = harness;
    const [eve, uma] = [asks(harness, EVE), asks(harness, UMA)];
    must(updateConversation(core, actorOf(OWEN), { maxMembers: 3 }, NOW));
    expect(nameOf(decideJoin(core, actorOf(OWEN), { requestId: eve, action: "accept" }, NOW))).toBe("GROUP_FULL");
    expect(outcome(harness, "another")).toBe("GROUP_FULL");
    const waiting = (): string[] =>
      must(listJoinRequests(core, actorOf(ADA), { after: "", limit: 10 })).map((request) => request.userId);
    expect(waiting()).toEqual([EVE, UMA]);
    must(updateConversation(core, actorOf(OWEN), { maxMembers: 10, joinApproval: false }, NOW));
    expect(kinds(must(addMembers(core, actorOf(OWEN), [EVE], NOW)))).toEqual(["conversation", "member", "joinRequest"]);
    // Approval is off: who waits comes in without another use.
    expect([outcome(harness, UMA), usesOf(harness)]).toEqual(["joined", 2]);
    expect([waiting(), must(joinRequest(core, actorOf(OWEN), uma)).status]).toEqual([[], "accepted"]);
  });
});

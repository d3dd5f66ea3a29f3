import { describe, it } from "vitest";
import { changeMember, dismiss, transfer, updateConversation } from "./groupChanges.ts";
import { ADMIN, MEMBER, OWNER } from "./records.ts";
import { addMembers, removeMember } from "./roomChanges.ts";
import { actorOf, GroupHarness, kinds, must, nameOf, NOW, text } from "./testing/groupHarness.ts";
import { typing } from "./typing.ts";

const [OWEN, ADA, MAX, MIA, EVE] = ["owen", "ada", "max", "mia", "eve"];

/** Owen owns it, Ada is an admin, Max and Mia are members; Eve is a stranger. */
function group(): GroupHarness {
  const harness = GroupHarness.group([OWEN, ADA, MAX, MIA]);
  must(changeMember(harness.core, actorOf(OWEN), ADA, { role: ADMIN }, NOW));
  harness.core.takeEffects();
  return harness;
}

function send({ core, now }: GroupHarness, userId: string, key: string): string {
  return nameOf(core.append([text(userId, key)], now)[0]);
}

describe("settings of a group", () => {
  it("are changed by owner and admins, and told", ({ expect }) => {
    const harness = group();
    const { core } = harness;
    const before = core.state;
    const change = must(
      updateConversation(core, actorOf(ADA), { name: "New", announcement: "Read me", muteAll: true }, NOW + 5),
    );
    expect(change.value.conversation).toMatchObject({
      name: "New",
      announcement: "Read me",
      muteAll: true,
      version: (before?.version ?? 0) + 1,
      updatedAt: NOW + 5,
    });
    expect(kinds(change)).toEqual(["conversation"]);
    expect(harness.events()).toMatchObject([
      {
        event_type: "conversation.updated",
        operator_id: ADA,
        payload: { conversation: { name: "New", headSeqId: 0 } },
      },
      { event_type: "group.announcement", operator_id: ADA, payload: { text: "Read me", at: NOW + 5 } },
    ]);
    for (const [who, name] of [
      [MAX, "PERMISSION_DENIED"],
      [EVE, "CONVERSATION_NOT_FOUND"],
    ] as const) {
      expect(nameOf(updateConversation(core, actorOf(who), { name: "Mine" }, NOW))).toBe(name);
    }
  });

  it("stay as they are when nothing is different, and are emptied by null or an empty text", ({ expect }) => {
    const harness = group();
    const { core } = harness;
    must(updateConversation(core, actorOf(OWEN), { announcement: "A", avatarUrl: "https://a.test/a.png" }, NOW));
    harness.core.takeEffects();
    const version = core.state?.version;
    const same = must(updateConversation(core, actorOf(OWEN), { announcement: "A", muteAll: false }, NOW));
    expect([same.records, core.state?.version, harness.eventTypes()]).toEqual([[], version, []]);
    must(updateConversation(core, actorOf(OWEN), { announcement: "", avatarUrl: null }, NOW));
    expect([core.state?.announcement, core.state?.avatarUrl]).toEqual([undefined, undefined]);
    // An emptied announcement is no news for a push service.
    expect(harness.eventTypes()).toEqual(["conversation.updated"]);
  });

  it("never hold fewer members than there are", ({ expect }) => {
    const { core } = group();
    expect(nameOf(updateConversation(core, actorOf(OWEN), { maxMembers: 3 }, NOW))).toBe("CONFLICT");
    must(updateConversation(core, actorOf(OWEN), { maxMembers: 4 }, NOW));
    const added = must(addMembers(core, actorOf(OWEN), [EVE], NOW));
    expect(added.value).toMatchObject({ added: [], failed: [{ userId: EVE, code: 1005 }] });
  });

  it("are nobody's in a direct conversation, and a system admin's in the world room", ({ expect }) => {
    const direct = GroupHarness.direct(ADA, MAX).core;
    expect(nameOf(updateConversation(direct, actorOf(ADA), { name: "x" }, NOW))).toBe("PERMISSION_DENIED");
    const world = GroupHarness.world().core;
    expect(nameOf(updateConversation(world, actorOf(ADA), { name: "x" }, NOW))).toBe("PERMISSION_DENIED");
    const root = actorOf("root", { isAdmin: true });
    expect(must(updateConversation(world, root, { muteAll: true }, NOW)).value.conversation.muteAll).toBe(true);
    expect(nameOf(updateConversation(world, root, { maxMembers: 10 }, NOW))).toBe("PERMISSION_DENIED");
  });
});

describe("roles", () => {
  it("are given by the owner alone, and never the owner's", ({ expect }) => {
    const harness = group();
    const { core } = harness;
    const change = must(changeMember(core, actorOf(OWEN), MAX, { role: ADMIN }, NOW));
    expect(change.value).toMatchObject({ userId: MAX, role: ADMIN });
    expect(kinds(change)).toEqual(["conversation", "member"]);
    expect(harness.events()).toEqual([
      {
        event_type: "conversation.member.role.updated",
        operator_id: OWEN,
        payload: { user_id: MAX, role: ADMIN },
      },
    ]);
    expect(must(changeMember(core, actorOf(OWEN), MAX, { role: ADMIN }, NOW)).records).toEqual([]);
    expect(must(changeMember(core, actorOf(OWEN), MAX, { role: MEMBER }, NOW)).value.role).toBe(MEMBER);
    for (const [who, whom, name] of [
      [ADA, MAX, "PERMISSION_DENIED"],
      [ADA, OWEN, "PERMISSION_DENIED"],
      [MAX, MAX, "PERMISSION_DENIED"],
      [OWEN, OWEN, "PERMISSION_DENIED"],
      [OWEN, EVE, "USER_NOT_FOUND"],
      [EVE, MAX, "CONVERSATION_NOT_FOUND"],
    ] as const) {
      expect([who, whom, nameOf(changeMember(core, actorOf(who), whom, { role: ADMIN }, NOW))]).toEqual([
        who,
        whom,
        name,
      ]);
    }
  });

  it("are transferred whole: one owner before, one after, an admin left", ({ expect }) => {
    const harness = group();
    const { core } = harness;
    must(changeMember(core, actorOf(OWEN), MAX, { mutedUntil: NOW + 1_000 }, NOW));
    harness.core.takeEffects();
    const change = must(transfer(core, actorOf(OWEN), MAX, NOW));
    expect(change.value).toMatchObject({ role: ADMIN, conversation: { ownerId: MAX } });
    expect(core.member(MAX)).toEqual({ userId: MAX, role: OWNER, joinedAt: NOW, readSeqId: 0 });
    expect(harness.owners()).toEqual([MAX]);
    expect(harness.eventTypes()).toEqual([
      "conversation.member.role.updated",
      "conversation.member.role.updated",
      "conversation.updated",
    ]);
    expect(nameOf(transfer(core, actorOf(OWEN), OWEN, NOW))).toBe("PERMISSION_DENIED");
    expect(nameOf(transfer(core, actorOf(MAX), EVE, NOW))).toBe("USER_NOT_FOUND");
    expect(must(transfer(core, actorOf(MAX), MAX, NOW)).records).toEqual([]);
    // The old owner is free to leave now, the new one is not.
    expect(nameOf(removeMember(core, actorOf(MAX), MAX, NOW))).toBe("CONFLICT");
    expect(nameOf(removeMember(core, actorOf(OWEN), OWEN, NOW))).toBe("ok");
  });
});

describe("mutes", () => {
  it("hold until their time, for those who stand below", ({ expect }) => {
    const harness = group();
    const { core } = harness;
    must(changeMember(core, actorOf(ADA), MAX, { mutedUntil: NOW + 1_000 }, NOW));
    expect(harness.eventTypes()).toEqual(["conversation.updated"]);
    expect(send(harness, MAX, "muted")).toBe("PERMISSION_DENIED");
    harness.restart();
    expect(send(harness, MAX, "still muted")).toBe("PERMISSION_DENIED");
    harness.now += 1_000;
    expect(send(harness, MAX, "free again")).toBe("ok");
    must(changeMember(harness.core, actorOf(ADA), MAX, { mutedUntil: harness.now + 9 }, harness.now));
    must(changeMember(harness.core, actorOf(ADA), MAX, { mutedUntil: null }, harness.now));
    expect(send(harness, MAX, "lifted")).toBe("ok");
    for (const [who, whom] of [
      [ADA, OWEN],
      [ADA, ADA],
      [MAX, MIA],
    ] as const) {
      expect(nameOf(changeMember(harness.core, actorOf(who), whom, { mutedUntil: NOW + 9_999 }, NOW))).toBe(
        "PERMISSION_DENIED",
      );
    }
    expect(nameOf(changeMember(harness.core, actorOf(OWEN), ADA, { mutedUntil: NOW + 9_999 }, NOW))).toBe("ok");
  });

  it("wait for who leaves and comes back before their time", ({ expect }) => {
    const harness = group();
    must(changeMember(harness.core, actorOf(ADA), MAX, { mutedUntil: NOW + 1_000 }, NOW));
    for (let round = 0; round < 2; round++) {
      must(removeMember(harness.core, actorOf(MAX), MAX, NOW));
      harness.restart();
      const back = must(addMembers(harness.core, actorOf(OWEN), [MAX, EVE], NOW));
      const again = { userId: MAX, role: MEMBER, joinedAt: NOW, mutedUntil: NOW + 1_000 };
      expect(back.records).toContainEqual(expect.objectContaining({ member: { ...again, readSeqId: round } }));
      expect([MAX, EVE].map((who) => send(harness, who, `round ${round}`))).toEqual(["PERMISSION_DENIED", "ok"]);
      must(removeMember(harness.core, actorOf(EVE), EVE, NOW));
    }
    must(removeMember(harness.core, actorOf(MAX), MAX, NOW));
    harness.now += 1_000;
    must(addMembers(harness.core, actorOf(OWEN), [MAX], harness.now));
    expect(send(harness, MAX, "free")).toBe("ok");
  });

  it("of all leave owner and admins their voice", ({ expect }) => {
    const harness = group();
    must(updateConversation(harness.core, actorOf(OWEN), { muteAll: true }, NOW));
    expect([OWEN, ADA, MAX].map((who) => send(harness, who, `by ${who}`))).toEqual(["ok", "ok", "PERMISSION_DENIED"]);
  });

  it("in the world room are a system admin's", ({ expect }) => {
    const harness = GroupHarness.world();
    const until = { mutedUntil: NOW + 1_000 };
    expect(nameOf(changeMember(harness.core, actorOf(ADA), EVE, until, NOW))).toBe("PERMISSION_DENIED");
    must(changeMember(harness.core, actorOf("root", { isAdmin: true }), EVE, until, NOW));
    expect([EVE, MAX].map((who) => send(harness, who, "hello"))).toEqual(["PERMISSION_DENIED", "ok"]);
  });

  it("in the world room are also its moderators', who give no roles and reach no moderator", ({ expect }) => {
    const { core } = GroupHarness.world();
    const root = actorOf("root", { isAdmin: true });
    for (const moderator of [ADA, OWEN]) {
      must(changeMember(core, root, moderator, { role: 2 }, NOW));
    }
    const until = { mutedUntil: NOW + 1_000 };
    expect(nameOf(changeMember(core, actorOf(ADA), EVE, until, NOW))).toBe("ok");
    expect(nameOf(changeMember(core, actorOf(ADA), OWEN, until, NOW))).toBe("PERMISSION_DENIED");
    expect(nameOf(changeMember(core, actorOf(ADA), MAX, { role: 2 }, NOW))).toBe("PERMISSION_DENIED");
    expect(nameOf(changeMember(core, actorOf(EVE), MAX, until, NOW))).toBe("PERMISSION_DENIED");
    // Above moderators stand the system admins, also those without a role in the world.
    expect(nameOf(changeMember(core, actorOf(ADA), "root", until, NOW, true))).toBe("PERMISSION_DENIED");
    expect(nameOf(changeMember(core, root, "root", until, NOW, true))).toBe("ok");
  });
});

describe("a dismissed group", () => {
  it("answers everybody as one that does not exist, and says whom to tell", ({ expect }) => {
    const harness = group();
    const { core } = harness;
    expect(send(harness, MAX, "before")).toBe("ok");
    for (const who of [ADA, MAX]) {
      expect(nameOf(dismiss(core, actorOf(who), NOW))).toBe("PERMISSION_DENIED");
    }
    expect(nameOf(dismiss(core, actorOf(EVE), NOW))).toBe("CONVERSATION_NOT_FOUND");
    harness.core.takeEffects();
    must(dismiss(core, actorOf(OWEN), NOW));
    expect(harness.eventTypes()).toEqual(["conversation.dismissed"]);
    expect(core.members("", 10).map((member) => member.userId)).toEqual([ADA, MAX, MIA, OWEN].toSorted());
    expect([
      send(harness, OWEN, "after"),
      nameOf(core.view(actorOf(OWEN))),
      nameOf(core.history(actorOf(OWEN), { limit: 10 })),
      nameOf(dismiss(core, actorOf(OWEN), NOW)),
      nameOf(removeMember(core, actorOf(MAX), MAX, NOW)),
      nameOf(addMembers(core, actorOf(OWEN), [EVE], NOW)),
    ]).toEqual(Array.from({ length: 6 }, () => "CONVERSATION_NOT_FOUND"));
  });

  it("may be dismissed by a system admin who is no member; nothing else may", ({ expect }) => {
    const root = actorOf("root", { isAdmin: true });
    expect(nameOf(dismiss(group().core, root, NOW))).toBe("ok");
    expect(nameOf(dismiss(GroupHarness.direct(ADA, MAX).core, root, NOW))).toBe("PERMISSION_DENIED");
    expect(nameOf(dismiss(GroupHarness.world().core, root, NOW))).toBe("PERMISSION_DENIED");
    expect(nameOf(dismiss(new GroupHarness().core, root, NOW))).toBe("CONVERSATION_NOT_FOUND");
  });

  it("is what the last member leaves behind", ({ expect }) => {
    const harness = GroupHarness.group([OWEN, MAX]);
    expect(nameOf(removeMember(harness.core, actorOf(OWEN), OWEN, NOW))).toBe("CONFLICT");
    must(removeMember(harness.core, actorOf(MAX), MAX, NOW));
    harness.core.takeEffects();
    expect(must(removeMember(harness.core, actorOf(OWEN), OWEN, NOW)).value).toEqual({ dismissed: true });
    expect(harness.events()).toMatchObject([
      { event_type: "conversation.member.removed", payload: { user_id: OWEN, reason: "dismissed" } },
      { event_type: "conversation.dismissed" },
    ]);
    expect(harness.core.state?.dismissedAt).toBe(NOW);
  });
});

describe("removed means removed", () => {
  it("whatever order the removal and the sends come in: what stands in the log was sent before", ({ expect }) => {
    for (let before = 0; before <= 3; before++) {
      const harness = group();
      const { core } = harness;
      const keys = ["a", "b", "c"];
      const early = core.append(
        keys.slice(0, before).map((key) => text(MAX, key)),
        NOW,
      );
      must(removeMember(core, actorOf(ADA), MAX, NOW));
      const late = core.append(
        keys.slice(before).map((key) => text(MAX, key)),
        NOW,
      );
      expect([...early, ...late].map(nameOf)).toEqual(
        keys.map((_key, index) => (index < before ? "ok" : "CONVERSATION_NOT_FOUND")),
      );
      expect(core.headSeqId).toBe(before);
      // What was acknowledged stays acknowledged, and is not stored twice.
      if (before > 0) {
        expect(send(harness, MAX, "a")).toBe("ok");
        expect(core.headSeqId).toBe(before);
      }
    }
  });

  it("also where both are in one batch with others, and for reading, history and pushes", ({ expect }) => {
    const harness = group();
    const { core } = harness;
    core.append([text(OWEN, "1"), text(MAX, "2")], NOW);
    must(removeMember(core, actorOf(ADA), MAX, NOW));
    harness.core.takeEffects();
    core.append([text(MIA, "3"), text(MAX, "4"), text(ADA, "5")], NOW);
    expect(core.readLog(0, 10).messages.map((message) => message.clientMsgId)).toEqual(["1", "2", "3", "5"]);
    expect([
      nameOf(core.view(actorOf(MAX))),
      nameOf(core.history(actorOf(MAX), { limit: 10 })),
      nameOf(typing(core, actorOf(MAX), NOW)),
    ]).toEqual(Array.from({ length: 3 }, () => "CONVERSATION_NOT_FOUND"));
    // The presence of whom the room does not know is asked for: his is not.
    const asked = core.takeEffects().flatMap((effect) => (effect.kind === "cache" ? effect.presenceOf : []));
    expect(asked).not.toContain(MAX);
  });

  it("a delivery that is in the air when its receiver goes is the last one", ({ expect }) => {
    const harness = group();
    const { core } = harness;
    core.append([text(OWEN, "1")], NOW);
    core.takeEffects();
    core.cached({ online: [MAX, MIA], complete: true }, NOW);
    const to = (): string[] =>
      core.takeEffects().flatMap((effect) => (effect.kind === "deliver" ? effect.userIds : []));
    expect(to().toSorted()).toEqual([MAX, MIA]);
    must(removeMember(core, actorOf(ADA), MAX, NOW));
    core.append([text(OWEN, "2")], NOW);
    core.delivered(MAX, { from: 0, to: 1 }, 1, NOW);
    core.delivered(MIA, { from: 0, to: 1 }, 1, NOW);
    expect(to()).toEqual([MIA]);
  });
});

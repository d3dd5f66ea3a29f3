import { describe, it } from "vitest";
import { changeMember } from "./groupChanges.ts";
import type { RoomEffect } from "./room.ts";
import { GroupHarness, actorOf, must, nameOf, NOW, text } from "./testing/groupHarness.ts";
import { typing } from "./typing.ts";

const [ADA, BEN, EVE] = ["ada", "ben", "eve"];

function told({ core }: GroupHarness): string[] {
  const pushes = core
    .takeEffects()
    .filter((effect): effect is Extract<RoomEffect, { kind: "push" }> => effect.kind === "push");
  return pushes.map((effect) => effect.userId);
}

describe("typing", () => {
  it("is shown to the other one of two, once in two seconds, and leaves nothing behind", ({ expect }) => {
    const harness = GroupHarness.direct(ADA, BEN);
    const before = harness.store.outbox(100);
    const shown = [0, 500, 1_999, 2_000].map((ms) => {
      must(typing(harness.core, actorOf(ADA), NOW + ms));
      return told(harness);
    });
    expect(shown).toEqual([[BEN], [], [], [BEN]]);
    must(typing(harness.core, actorOf(BEN), NOW));
    expect(told(harness)).toEqual([ADA]);
    expect(harness.store.outbox(100)).toEqual(before);
  });

  it("is for those who may send", ({ expect }) => {
    const harness = GroupHarness.group([ADA, BEN]);
    expect(nameOf(typing(harness.core, actorOf(EVE), NOW))).toBe("CONVERSATION_NOT_FOUND");
    must(changeMember(harness.core, actorOf(ADA), BEN, { mutedUntil: NOW + 1 }, NOW));
    expect(nameOf(typing(harness.core, actorOf(BEN), NOW))).toBe("PERMISSION_DENIED");
  });

  it("is shown in a group to who is known to be here, unless they are too many; never in the world", ({ expect }) => {
    const members = Array.from({ length: 120 }, (_, n) => `u${String(n).padStart(3, "0")}`);
    const harness = GroupHarness.group(members);
    must(typing(harness.core, actorOf("u000"), NOW));
    expect(told(harness)).toEqual([]);
    const online = (userIds: string[]): void => {
      harness.core.append([text("u000", userIds.join())], NOW);
      harness.core.cached({ online: userIds, complete: true }, NOW);
      harness.core.takeEffects();
    };
    online(["u001", "u002"]);
    must(typing(harness.core, actorOf("u003"), NOW));
    expect(told(harness)).toEqual(["u001", "u002"]);
    online(members);
    must(typing(harness.core, actorOf("u004"), NOW));
    expect(told(harness)).toEqual([]);
    const world = GroupHarness.world();
    must(typing(world.core, actorOf(ADA), NOW));
    expect(told(world)).toEqual([]);
  });
});

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

  it("is shown in a group to who is here, whom the cache knows; never in the world", ({ expect }) => {
    const harness = GroupHarness.group(["u0", "u1", "u2", "u3"]);
    must(typing(harness.core, actorOf("u0"), NOW));
    // Nobody has said anything yet: who is here is asked for, and nobody is told before that is known.
    const asked = harness.core.takeEffects();
    expect(asked).toMatchObject([{ kind: "cache", headSeqId: 0, presenceOf: ["u0", "u1", "u2", "u3"] }]);
    must(typing(harness.core, actorOf("u3"), NOW));
    expect(harness.core.takeEffects()).toEqual([]);
    harness.core.cached({ online: ["u0", "u1"], complete: true }, NOW);
    expect(told(harness)).toEqual(["u1", "u0", "u1"]);

    // Not asked for again with each frame, but after a while: somebody may have come.
    must(typing(harness.core, actorOf("u1"), NOW + 1_000));
    expect(told(harness)).toEqual(["u0"]);
    must(typing(harness.core, actorOf("u0"), NOW + 2_000));
    expect(harness.core.takeEffects()).toMatchObject([{ kind: "cache", presenceOf: ["u2", "u3"] }]);
    harness.core.cached({ online: ["u2"], complete: true }, NOW + 2_000);
    expect(told(harness)).toEqual(["u1", "u2"]);
    // Without the cache everybody may be here.
    must(typing(harness.core, actorOf("u0"), NOW + 4_000));
    harness.core.takeEffects();
    harness.core.cached("failed", NOW + 4_000);
    expect(told(harness)).toEqual(["u1", "u2", "u3"]);

    const world = GroupHarness.world();
    must(typing(world.core, actorOf(ADA), NOW));
    expect(world.core.takeEffects()).toEqual([]);
  });

  it("is shown to nobody when they are too many to read it", ({ expect }) => {
    const members = Array.from({ length: 120 }, (_, n) => `u${String(n).padStart(3, "0")}`);
    const harness = GroupHarness.group(members);
    const shownTo = (from: string, online: string[], now: number): number => {
      must(typing(harness.core, actorOf(from), now));
      harness.core.cached({ online, complete: true }, now);
      return told(harness).length;
    };
    expect(shownTo("u000", members.slice(0, 101), NOW)).toBe(100);
    expect(shownTo("u001", members, NOW + 2_000)).toBe(0);
  });

  it("loses nobody a message: who is asked for gets what was sent meanwhile, and what was not answered for before", ({
    expect,
  }) => {
    const { core } = GroupHarness.group(["u0", "u1", "u2"]);
    const deliveries = () =>
      core
        .takeEffects()
        .flatMap((effect) => (effect.kind === "deliver" ? [[effect.from, effect.to, effect.userIds]] : []));
    must(typing(core, actorOf("u0"), NOW));
    core.append([text("u0", "1")], NOW);
    expect(deliveries()).toEqual([]);
    core.cached({ online: ["u1", "u2"], complete: true }, NOW);
    expect(deliveries()).toEqual([
      [0, 1, ["u1"]],
      [0, 1, ["u2"]],
    ]);
    core.delivered("u1", { from: 0, to: 1 }, 1, NOW);
    // Away: to be asked for, with the message still to be delivered, which a look for typing does not forget.
    core.delivered("u2", { from: 0, to: 1 }, 0, NOW);
    must(typing(core, actorOf("u1"), NOW + 2_000));
    for (let answers = 0; answers < 4; answers++) {
      core.cached({ online: answers === 0 ? [] : ["u2"], complete: true }, NOW + 2_000);
    }
    expect(deliveries().at(-1)).toEqual([0, 1, ["u2"]]);
  });
});

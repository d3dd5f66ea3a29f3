import { describe, it } from "vitest";
import { afterTold, type Ban } from "./ban.ts";

/** What stands after these decisions have been told in this order. */
function told(...decisions: Ban[]): Ban | undefined {
  return decisions.reduce<Ban | undefined>((known, decision) => afterTold(known, decision) ?? known, undefined);
}

describe("afterTold", () => {
  const ban = { banned: true, at: 1_000 };
  const unban = { banned: false, at: 2_000 };

  it("takes what comes first", ({ expect }) => {
    expect(told(ban)).toEqual(ban);
    expect(told(unban)).toEqual(unban);
  });

  it("lets the later decision win, whatever is told last, however often", ({ expect }) => {
    for (const order of [
      [ban, unban],
      [unban, ban],
      [ban, unban, ban],
      [unban, unban, ban, ban],
    ]) {
      expect(told(...order)).toEqual(unban);
    }
  });

  it("says when nothing changes", ({ expect }) => {
    expect(afterTold(ban, ban)).toBeUndefined();
    expect(afterTold(unban, ban)).toBeUndefined();
  });

  it("prefers the ban of two decisions in one millisecond", ({ expect }) => {
    const same = { banned: false, at: ban.at };
    expect([told(ban, same), told(same, ban)]).toEqual([ban, ban]);
  });
});

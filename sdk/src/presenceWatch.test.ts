import { describe, it } from "vitest";
import { PresenceWatch } from "./presenceWatch.ts";

describe("watched presence", () => {
  it("is asked for when it is wanted, and all of it again on a new connection", ({ expect }) => {
    const sent: [string[], boolean][] = [];
    const watch = new PresenceWatch((userIds, wanted) => sent.push([userIds, wanted]));
    watch.again();
    watch.watch([], true);
    expect(sent).toEqual([]);
    watch.watch(["a", "b"], true);
    watch.watch(["b", "c"], true);
    watch.watch(["a"], false);
    sent.length = 0;
    watch.again();
    expect(sent).toEqual([[["b", "c"], true]]);
    watch.watch(["b", "c"], false);
    sent.length = 0;
    watch.again();
    expect(sent).toEqual([]);
  });
});

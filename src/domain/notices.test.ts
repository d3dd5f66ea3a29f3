import { describe, it } from "vitest";
import { keep, NO_NOTICES, take, type Notices } from "./notices.ts";

function kept(...eventIds: string[]): Notices {
  return eventIds.reduce(
    (notices, eventId) => keep(notices, { eventId, frame: `frame of ${eventId}` }) ?? notices,
    NO_NOTICES,
  );
}

describe("notices", () => {
  it("wait in order, each once", ({ expect }) => {
    expect(take(kept("a", "b", "a")).frames).toEqual(["frame of a", "frame of b"]);
  });

  it("are gone once taken, and do not come back with a late repetition", ({ expect }) => {
    const { left } = take(kept("a"));
    expect(take(left).frames).toEqual([]);
    expect(keep(left, { eventId: "a", frame: "again" })).toBeUndefined();
    expect(take(keep(left, { eventId: "b", frame: "new" }) ?? left).frames).toEqual(["new"]);
  });

  it("are bounded: the oldest leave first", ({ expect }) => {
    const many = kept(...Array.from({ length: 200 }, (_, n) => `event ${n}`));
    expect(many.waiting).toHaveLength(20);
    expect(many.known).toHaveLength(50);
    expect(take(many).frames.at(-1)).toBe("frame of event 199");
  });
});

import { describe, it } from "vitest";
import {
  directConversationId,
  newGroupId,
  newId,
  peerOfDirect,
  randomName,
  randomToken,
  usersOfDirect,
} from "./ids.ts";

const A = "01ARZ3NDEKTSV4RRFFQ69G5FAA";
const B = "01ARZ3NDEKTSV4RRFFQ69G5FAB";

describe("ids", () => {
  it("grow, also within a millisecond", ({ expect }) => {
    const ids = Array.from({ length: 1000 }, () => newId(1_700_000_000_000));
    expect(new Set(ids).size).toBe(1000);
    expect(ids.toSorted()).toEqual(ids);
    expect(ids[0]).toMatch(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
    expect(newGroupId(1_700_000_000_000)).toMatch(/^group_[0-9A-HJKMNP-TV-Z]{26}$/);
  });

  it("of a direct conversation are the same from both sides", ({ expect }) => {
    const id = directConversationId(B, A);
    expect(id).toBe(`single_${A}_${B}`);
    expect(directConversationId(A, B)).toBe(id);
    expect(usersOfDirect(id)).toEqual([A, B]);
    expect([peerOfDirect(id, A), peerOfDirect(id, B), peerOfDirect(id, "x")]).toEqual([B, A, null]);
    for (const other of ["world_chat_room", `group_${A}`, `single_${A}`, "", "single"]) {
      expect(usersOfDirect(other), other).toBeNull();
      expect(peerOfDirect(other, A), other).toBeNull();
    }
  });

  it("that are secrets differ and fit a header", ({ expect }) => {
    const tokens = Array.from({ length: 100 }, () => randomToken(32));
    expect(new Set(tokens).size).toBe(100);
    expect(tokens.every((token) => /^[A-Za-z0-9_-]{43}$/.test(token))).toBe(true);
    expect(randomName(8)).toMatch(/^[a-km-np-z2-9]{8}$/);
  });
});

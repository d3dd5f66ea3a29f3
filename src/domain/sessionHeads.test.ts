import { describe, it } from "vitest";
import { SessionHeads } from "./sessionHeads.ts";

const room = "world_chat_room";

describe("what passed through a session", () => {
  it("is not passed on twice, in whole or in part", ({ expect }) => {
    const heads = new SessionHeads();
    heads.pass({ conversationId: room, from: 4, to: 6 });
    heads.pass({ conversationId: room, from: 6, to: 9 });
    expect(heads.hasPassed({ conversationId: room, from: 4, to: 9 })).toBe(true);
    expect(heads.hasPassed({ conversationId: room, from: 5, to: 7 })).toBe(true);
  });

  it("does not stand for what came before, after, or elsewhere", ({ expect }) => {
    const heads = new SessionHeads();
    heads.pass({ conversationId: room, from: 4, to: 6 });
    expect(heads.hasPassed({ conversationId: room, from: 3, to: 6 })).toBe(false);
    expect(heads.hasPassed({ conversationId: room, from: 4, to: 7 })).toBe(false);
    expect(heads.hasPassed({ conversationId: "other", from: 4, to: 6 })).toBe(false);
  });

  it("has no holes where own messages were, in whatever order acknowledgement and deliveries come", ({ expect }) => {
    const heads = new SessionHeads();
    heads.pass({ conversationId: room, from: 1, to: 2 });
    heads.passOwn(room, 3);
    heads.pass({ conversationId: room, from: 4, to: 6 });
    heads.passOwn(room, 4);
    expect(heads.hasPassed({ conversationId: room, from: 4, to: 6 })).toBe(true);
    heads.pass({ conversationId: room, from: 3, to: 4 });
    expect(heads.hasPassed({ conversationId: room, from: 3, to: 6 })).toBe(true);
  });

  it("begins anew behind a hole", ({ expect }) => {
    const heads = new SessionHeads();
    heads.pass({ conversationId: room, from: 0, to: 2 });
    heads.pass({ conversationId: room, from: 5, to: 7 });
    expect(heads.hasPassed({ conversationId: room, from: 0, to: 2 })).toBe(false);
    expect(heads.hasPassed({ conversationId: room, from: 5, to: 7 })).toBe(true);
  });
});

describe("newest heads", () => {
  it("only grow, and the longest quiet conversation is forgotten first", ({ expect }) => {
    const heads = new SessionHeads();
    heads.note("first", 9);
    heads.note("first", 3);
    expect(heads.newest.get("first")).toBe(9);
    for (let i = 0; i < 512; i++) {
      heads.note(`other ${i}`, 1);
    }
    expect(heads.newest.has("first")).toBe(false);
    expect(heads.newest.size).toBe(512);
  });
});

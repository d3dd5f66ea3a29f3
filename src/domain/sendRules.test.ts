import { describe, it } from "vitest";
import { actorOf, MemoryRoom, nameOf, NOW, textOf } from "../../test/support/memoryRoom.ts";
import type { SendCommand } from "./commands.ts";
import { NO_FILTER } from "./contentFilter.ts";
import { worldState } from "./membership.ts";
import { makeMessageId } from "./messageId.ts";
import { ADMIN, MEMBER, OWNER, WORLD_ROOM_ID, type ConversationState, type MemberState, type Role } from "./records.ts";
import { decideSend, maySend, payloadHash } from "./sendRules.ts";

const world = worldState(WORLD_ROOM_ID);
const group: ConversationState = { ...world, conversationId: "group_1", type: 2, memberCount: 3 };

function member(role: Role = MEMBER, mutedUntil?: number): MemberState {
  return { userId: "a", role, joinedAt: NOW, readSeqId: 0, mutedUntil };
}

describe("who may send", () => {
  it("is a member, and in the world everybody, guests too", ({ expect }) => {
    expect(nameOf(maySend(group, member(), actorOf("a"), NOW))).toBe("ok");
    expect(nameOf(maySend(group, undefined, actorOf("a"), NOW))).toBe("CONVERSATION_NOT_FOUND");
    expect(nameOf(maySend(group, undefined, actorOf("a", { isAdmin: true }), NOW))).toBe("CONVERSATION_NOT_FOUND");
    expect(nameOf(maySend(world, undefined, actorOf("g", { isGuest: true }), NOW))).toBe("ok");
  });

  it("is nobody once a conversation is over", ({ expect }) => {
    const over = { ...group, dismissedAt: NOW };
    expect(nameOf(maySend(over, member(OWNER), actorOf("a"), NOW))).toBe("CONVERSATION_NOT_FOUND");
  });

  it("is nobody who is muted, until the millisecond at which that ends", ({ expect }) => {
    for (const role of [MEMBER, ADMIN, OWNER] as const) {
      expect(nameOf(maySend(group, member(role, NOW + 1), actorOf("a"), NOW))).toBe("PERMISSION_DENIED");
      expect(nameOf(maySend(group, member(role, NOW), actorOf("a"), NOW))).toBe("ok");
    }
    expect(nameOf(maySend(world, member(MEMBER, Number.MAX_SAFE_INTEGER), actorOf("a"), NOW))).toBe(
      "PERMISSION_DENIED",
    );
  });

  it("is only who moderates while all are muted", ({ expect }) => {
    const quiet = { ...group, muteAll: true };
    const answers = [MEMBER, ADMIN, OWNER].map((role) =>
      nameOf(maySend(quiet, member(role as Role), actorOf("a"), NOW)),
    );
    expect(answers).toEqual(["PERMISSION_DENIED", "ok", "ok"]);
    expect(nameOf(maySend(quiet, member(), actorOf("a", { isAdmin: true }), NOW))).toBe("ok");
    expect(nameOf(maySend({ ...world, muteAll: true }, undefined, actorOf("a"), NOW))).toBe("PERMISSION_DENIED");
  });
});

describe("the mark of a payload", () => {
  const base = textOf("a", "k");
  const changes: Partial<SendCommand>[] = [
    { content: "text of k " },
    { content: "Text of k" },
    { content: "" },
    { messageType: "system" },
    { replyTo: "01" },
    { replyTo: "10" },
    { mentions: ["a"] },
    { mentions: ["a", "b"] },
    { mentions: ["b", "a"] },
    { messageType: "image", content: { key: "k", width: 1, height: 2, size: 3, mimeType: "image/png" } },
    { messageType: "image", content: { key: "k", width: 2, height: 1, size: 3, mimeType: "image/png" } },
  ];

  it("is the same for the same payload, whoever sends it under whatever key", ({ expect }) => {
    expect(payloadHash({ ...base })).toBe(payloadHash(base));
    expect(payloadHash(textOf("b", "other", { content: base.content }))).toBe(payloadHash(base));
    expect(payloadHash({ ...base, mentions: [] })).toBe(payloadHash(base));
  });

  it("differs for every difference in what is sent", ({ expect }) => {
    const marks = [base, ...changes.map((change) => ({ ...base, ...change }))].map(payloadHash);
    expect(new Set(marks).size).toBe(marks.length);
  });

  it("is as short for the longest text, and sees its last character", ({ expect }) => {
    const long = "👍".repeat(8_000);
    const one = payloadHash({ ...base, content: long });
    expect(one.length).toBeLessThan(24);
    expect(one).not.toBe(payloadHash({ ...base, content: `${long.slice(0, -2)}👎` }));
  });
});

describe("a send", () => {
  it("that was acknowledged stays acknowledged: for the muted, the removed, and when all are muted", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a"]);
    const first = room.say("a", "k");
    const head = { seqId: 1, logId: 1, createdAt: NOW };
    const { state } = room.core;
    for (const who of [undefined, member(MEMBER, NOW + 1)]) {
      for (const how of [state, state && { ...state, muteAll: true }, state && { ...state, dismissedAt: NOW }]) {
        const again = how && decideSend(room.store, how, who, textOf("a", "k"), head, NOW, () => 0.1, NO_FILTER);
        expect(again).toMatchObject({ ok: true, value: { fresh: false, row: { message: first } } });
      }
    }
  });

  it("under a key that had another payload is a mistake, even from somebody who may no longer send", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a"]);
    room.say("a", "k");
    const [changed] = room.core.append([textOf("a", "k", { content: "other" })], NOW);
    expect(nameOf(changed)).toBe("DUPLICATE_MESSAGE");
  });

  it("has a key of its sender's own: two people may choose the same", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a"]);
    expect([room.say("owner", "k").seqId, room.say("a", "k").seqId]).toEqual([1, 2]);
  });

  it("is dated no earlier than the one before it, whatever the clock does", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    const times = [0, 5, -3_600_000, 3_600_001].map((ms, n) => room.pass(ms).say("owner", `k${n}`).createdAt);
    expect(times).toEqual([NOW, NOW + 5, NOW + 5, NOW + 6]);
    const ids = room.store.messagesAfter(0, 10).map(({ message }) => message.messageId);
    expect(ids.toSorted()).toEqual(ids);
  });

  it("of the kind `system` is for system admins", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    const system = textOf("owner", "k", { messageType: "system" });
    expect(nameOf(room.core.append([system], NOW)[0])).toBe("PERMISSION_DENIED");
    const admin = { ...system, actor: actorOf("owner", { isAdmin: true }) };
    expect(nameOf(room.core.append([admin], NOW)[0])).toBe("ok");
  });

  it("that was refused has taken no number, and its key is free", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    expect(nameOf(room.core.append([textOf("owner", "k", { mentions: ["nobody"] })], NOW)[0])).toBe("INVALID_INPUT");
    expect(room.say("owner", "k").seqId).toBe(1);
  });
});

describe("mentions", () => {
  it("name members, each once, in the order in which they came", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a", "b"]);
    expect(room.say("owner", "k", { mentions: ["b", "a", "b"] }).mentions).toEqual(["b", "a"]);
    expect(room.say("owner", "none", { mentions: [] })).not.toHaveProperty("mentions");
  });

  it("of somebody else are refused and say which field is wrong, but in the world anybody may be named", ({
    expect,
  }) => {
    const room = MemoryRoom.group(["owner", "a"]);
    const [refused] = room.core.append([textOf("owner", "k", { mentions: ["a", "x"] })], NOW);
    expect(refused).toMatchObject({ ok: false, fault: { name: "INVALID_INPUT", fields: [{ path: "mentions" }] } });
    expect(new MemoryRoom(WORLD_ROOM_ID).say("g", "k", { mentions: ["x"] }).mentions).toEqual(["x"]);
  });
});

describe("a reply", () => {
  function repliesTo(text: string) {
    const room = MemoryRoom.group(["owner", "a"]);
    const target = room.say("owner", "first", { content: text });
    return room.say("a", "second", { replyTo: target.messageId }).replyTo?.preview;
  }

  it("carries what it replies to, from the log and not from the client", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a"]);
    const { messageId } = room.say("owner", "first", { content: "a question" });
    expect(room.say("a", "second", { replyTo: messageId }).replyTo).toEqual({
      messageId,
      seqId: 1,
      senderId: "owner",
      preview: "a question",
    });
  });

  it("may name a message of its own batch", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    const id = makeMessageId(1, NOW, () => 0.5);
    const outcomes = room.core.append([textOf("owner", "1"), textOf("owner", "2", { replyTo: id })], NOW);
    expect(outcomes.map(nameOf)).toEqual(["ok", "ok"]);
  });

  it("shows 100 code points at most, and cuts no character in two", ({ expect }) => {
    expect(repliesTo("x".repeat(100))).toBe("x".repeat(100));
    expect(repliesTo("x".repeat(101))).toBe("x".repeat(100));
    expect(repliesTo("👍".repeat(100))).toBe("👍".repeat(100));
    expect(repliesTo(`x${"👍".repeat(8_000 - 1)}`)).toBe(`x${"👍".repeat(99)}`);
  });

  it("to a picture shows its name, if it has one", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    const picture = { key: "k", width: 1, height: 1, size: 1, mimeType: "image/png" as const };
    const named = room.say("owner", "1", { messageType: "image", content: { ...picture, name: "cat.png" } });
    const unnamed = room.say("owner", "2", { messageType: "image", content: picture });
    const previews = [named, unnamed].map(
      ({ messageId }) => room.say("owner", `to ${messageId}`, { replyTo: messageId }).replyTo?.preview,
    );
    expect(previews).toEqual(["cat.png", ""]);
  });

  it("to an id that this log does not have is refused, however alike the id looks", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    const { messageId } = room.say("owner", "1");
    const alike = makeMessageId(1, NOW, () => 0.75);
    for (const replyTo of ["", "x", alike, messageId.toLowerCase(), makeMessageId(2, NOW, () => 0.5)]) {
      const [refused] = room.core.append([textOf("owner", `to ${replyTo}`, { replyTo })], NOW);
      expect(nameOf(refused), replyTo).toBe("MESSAGE_NOT_FOUND");
    }
  });
});

import { describe, test } from "vitest";
import { ConversationList } from "./list.ts";
import { conversation, item, message, ME, messageId, OTHER, ROOM, WORLD } from "./testing/harness.ts";

const NOTHING = { messages: () => [], readSeqId: () => 0 };

function listOf(...items: Parameters<typeof item>[]): ConversationList {
  const list = new ConversationList(() => ME, NOTHING);
  for (const [headSeqId, more] of items) {
    list.apply({ type: "item", item: item(headSeqId, more) });
  }
  return list;
}

const pushed = (seqId: number, more = {}) =>
  ({ type: "message", conversationId: ROOM, message: message(seqId, more), live: true }) as const;

describe("unread", () => {
  test("is the head less the pointer, whatever comes twice or late", ({ expect }) => {
    const list = listOf([5, { readSeqId: 2 }]);
    expect(list.item(ROOM)?.unreadCount).toBe(3);
    list.apply(pushed(6));
    list.apply(pushed(6));
    list.apply(pushed(4));
    expect(list.item(ROOM)).toMatchObject({ unreadCount: 4, lastMessage: { seqId: 6 } });
    list.read(ROOM, 5);
    list.read(ROOM, 3);
    expect(list.item(ROOM)?.unreadCount).toBe(1);
    list.apply({ type: "item", item: item(5, { readSeqId: 0 }) });
    expect(list.item(ROOM)).toMatchObject({ unreadCount: 1, readSeqId: 5, lastMessage: { seqId: 6 } });
  });

  test("an own message advances the pointer, here and from another device", ({ expect }) => {
    const list = listOf([5]);
    list.apply(pushed(6, { senderId: ME }));
    expect(list.item(ROOM)?.unreadCount).toBe(0);
    list.apply(pushed(7));
    list.apply({
      type: "frame",
      frame: { type: "message-read-receipt", data: { conversationId: ROOM, userId: OTHER, readSeqId: 7 } },
    });
    expect(list.item(ROOM)?.unreadCount).toBe(1);
    list.apply({
      type: "frame",
      frame: { type: "message-read-receipt", data: { conversationId: ROOM, userId: ME, readSeqId: 7 } },
    });
    expect(list.item(ROOM)?.unreadCount).toBe(0);
  });
});

describe("frames of groups", () => {
  test("a new member has nothing to read of what was said before", ({ expect }) => {
    const list = listOf();
    list.apply({
      type: "frame",
      frame: { type: "conversation-joined", data: { conversation: conversation(40) } },
    });
    expect(list.item(ROOM)).toMatchObject({ unreadCount: 0, readSeqId: 40 });
    list.apply(pushed(41));
    expect(list.item(ROOM)?.unreadCount).toBe(1);
  });

  test("own settings come from another device, beside what changed or alone", ({ expect }) => {
    const list = listOf([5]);
    const updated = (settings?: { muted: boolean; pinned: boolean }) =>
      list.apply({
        type: "frame",
        frame: {
          type: "conversation-updated",
          data: { conversation: conversation(5), ...(settings === undefined ? {} : { settings }) },
        },
      });
    updated({ muted: true, pinned: true });
    expect(list.item(ROOM)).toMatchObject({ muted: true, pinned: true });
    updated();
    expect(list.item(ROOM)).toMatchObject({ muted: true, pinned: true });
    list.settings(ROOM, { muted: false, pinned: true });
    expect(list.item(ROOM)).toMatchObject({ muted: false, pinned: true });
  });
});

describe("items", () => {
  test("pinned first, then the newest activity", ({ expect }) => {
    const list = new ConversationList(() => ME, NOTHING);
    const named = (conversationId: string, createdAt: number, pinned = false) =>
      list.apply({
        type: "item",
        item: item(0, { conversation: conversation(0, { conversationId, createdAt }), pinned }),
      });
    named("old", 1);
    named(ROOM, 2);
    named("new", 1_500);
    named("pinned", 0, true);
    const order = () => list.get().map((row) => row.conversation.conversationId);
    expect(order()).toEqual(["pinned", "new", ROOM, "old"]);
    list.apply(pushed(1_000));
    expect(order()).toEqual(["pinned", ROOM, "new", "old"]);
  });

  test("an update that comes late does not undo a newer one; the head never goes back", ({ expect }) => {
    const list = listOf([5, { conversation: conversation(5, { version: 7, name: "new" }) }]);
    list.add(conversation(6, { version: 6, name: "old" }));
    expect(list.item(ROOM)?.conversation).toMatchObject({ version: 7, name: "new", headSeqId: 6 });
    list.add(conversation(5, { version: 8, name: "newest" }));
    expect(list.item(ROOM)?.conversation).toMatchObject({ version: 8, name: "newest", headSeqId: 6 });
  });

  test("a conversation of one's own making, a new role, a recalled last message, a removal", ({ expect }) => {
    const list = new ConversationList(() => ME, NOTHING);
    list.add(conversation(0, { ownerId: ME }));
    expect(list.item(ROOM)).toMatchObject({ role: 3, unreadCount: 0 });
    list.apply({ type: "frame", frame: { type: "role-updated", data: { conversationId: ROOM, role: 2 } } });
    expect(list.item(ROOM)?.role).toBe(2);
    list.apply(pushed(1));
    list.apply({
      type: "frame",
      frame: {
        type: "message-recalled",
        data: { conversationId: ROOM, messageId: messageId(1), seqId: 1, operatorId: ME },
      },
    });
    expect(list.item(ROOM)?.lastMessage).not.toHaveProperty("content");
    list.apply({ type: "removed", conversationId: ROOM });
    expect(list.get()).toEqual([]);
  });

  test("the same answer until something changes, and a call after each change", ({ expect }) => {
    const list = listOf([1]);
    let calls = 0;
    const off = list.subscribe(() => {
      calls += 1;
    });
    const before = list.get();
    expect(list.get()).toBe(before);
    list.apply(pushed(2));
    expect(list.get()).not.toBe(before);
    expect(calls).toBe(1);
    list.apply({ type: "message", conversationId: WORLD, message: message(1, { conversationId: WORLD }), live: true });
    off();
    list.apply(pushed(3));
    expect(calls).toBe(1);
  });
});

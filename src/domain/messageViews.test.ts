import { describe, it } from "vitest";
import { GroupHarness, actorOf, must, nameOf, NOW, text } from "./testing/groupHarness.ts";
import { readersOf, sendersBetween } from "./messageViews.ts";
import type { StoredMessage } from "./records.ts";
import { addMembers, markRead, removeMember } from "./roomChanges.ts";

const [ADA, BEN, CAT, EVE] = ["ada", "ben", "cat", "eve"];

function say(harness: GroupHarness, userId: string, key: string): StoredMessage {
  const [outcome] = harness.core.append([text(userId, key)], harness.now);
  return must(outcome ?? { ok: false, fault: { name: "INTERNAL" } });
}

const readers = (harness: GroupHarness, id: string, who = ADA) => readersOf(harness.core, actorOf(who), id);

describe("readers", () => {
  it("are those of the members of then who still are, without the sender", ({ expect }) => {
    const harness = GroupHarness.group([ADA, BEN, CAT]);
    const { messageId } = say(harness, ADA, "1");
    expect(must(readers(harness, messageId))).toEqual({ readCount: 0, unreadCount: 2, read: [], unread: [BEN, CAT] });
    must(markRead(harness.core, actorOf(BEN), 1, false, NOW));
    must(addMembers(harness.core, actorOf(ADA), [EVE], NOW + 1));
    expect(must(readers(harness, messageId))).toEqual({ readCount: 1, unreadCount: 1, read: [BEN], unread: [CAT] });
    must(removeMember(harness.core, actorOf(CAT), CAT, NOW + 2));
    expect(must(readers(harness, messageId, EVE))).toMatchObject({ readCount: 1, unreadCount: 0 });
    expect(nameOf(readers(harness, messageId, CAT))).toBe("CONVERSATION_NOT_FOUND");
    expect(nameOf(readers(harness, "01JZZZZZZZZZZZZZZZZZZZZZZZ"))).toBe("MESSAGE_NOT_FOUND");
  });

  it("are counted in a big room as a small one names them", ({ expect }) => {
    const others = Array.from({ length: 500 }, (_, n) => `u${String(n).padStart(3, "0")}`);
    const harness = GroupHarness.group([ADA, ...others], { maxMembers: 1_000 });
    const { messageId } = say(harness, ADA, "1");
    say(harness, "u000", "own messages count as read");
    must(markRead(harness.core, actorOf("u001"), 1, false, NOW));
    must(addMembers(harness.core, actorOf(ADA), [EVE], NOW + 1));
    expect(must(readers(harness, messageId))).toEqual({ readCount: 2, unreadCount: 498 });
    must(removeMember(harness.core, actorOf(EVE), EVE, NOW + 2));
    must(removeMember(harness.core, actorOf("u499"), "u499", NOW + 2));
    const named = must(readers(harness, messageId));
    expect([named.readCount, named.unreadCount, named.read]).toEqual([2, 497, ["u000", "u001"]]);
  });

  it("are nobody's business in the world", ({ expect }) => {
    const harness = GroupHarness.world();
    expect(nameOf(readers(harness, say(harness, ADA, "1").messageId))).toBe("PERMISSION_DENIED");
  });
});

describe("senders of a range", () => {
  it("come each once, the latest first, and only while they are members", ({ expect }) => {
    const harness = GroupHarness.group([ADA, BEN, CAT]);
    [ADA, BEN, ADA, CAT, BEN].forEach((userId, n) => say(harness, userId, String(n)));
    expect(sendersBetween(harness.core, 0, 5, 10)).toEqual([BEN, CAT, ADA]);
    expect(sendersBetween(harness.core, 1, 3, 10)).toEqual([ADA, BEN]);
    expect(sendersBetween(harness.core, 0, 5, 1)).toEqual([BEN]);
    must(removeMember(harness.core, actorOf(ADA), BEN, NOW));
    expect(sendersBetween(harness.core, 0, 5, 10)).toEqual([CAT, ADA]);
  });
});

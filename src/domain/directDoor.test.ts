import { describe, it } from "vitest";
import { MemoryRoomStore } from "../../test/simulation/memoryStore.ts";
import { typing } from "./typing.ts";
import { openOrClose } from "./directDoor.ts";
import { DIRECT, GROUP, type ConversationType } from "./records.ts";
import { RoomCore } from "./room.ts";
import { createConversation, markRead } from "./roomChanges.ts";

const NOW = 1_700_000_000_000;
const [ANA, BEN] = ["ana", "ben"] as const;
const actorOf = (userId: string) => ({ userId, isGuest: false, isAdmin: false });

function conversation(type: ConversationType, store = new MemoryRoomStore()) {
  const core = new RoomCore("c", store, () => 0.5, NOW);
  createConversation(core, { type, memberIds: [ANA, BEN] }, NOW);
  core.takeEffects();
  const send = (clientMsgId: string, userId: string = ANA) => {
    const [outcome] = core.append(
      [{ actor: actorOf(userId), clientMsgId, messageType: "text", content: clientMsgId }],
      NOW,
    );
    return outcome?.ok === true ? outcome.value.seqId : outcome?.fault.name;
  };
  return { core, store, send };
}

describe("the door of a direct conversation", () => {
  it("lets sends in while its users are friends, and again when they are friends again", ({ expect }) => {
    const { core, send } = conversation(DIRECT);
    expect(send("1")).toBe(1);
    openOrClose(core, false, NOW + 1);
    expect([send("2"), send("2", BEN)]).toEqual(["PERMISSION_DENIED", "PERMISSION_DENIED"]);
    openOrClose(core, true, NOW + 2);
    expect([send("2"), send("2", BEN)]).toEqual([2, 3]);
  });

  it("keeps its promises when it is closed: a resend gets its answer, both can read, nobody types", ({ expect }) => {
    const { core, send } = conversation(DIRECT);
    send("1");
    openOrClose(core, false, NOW + 1);
    expect(send("1")).toBe(1);
    for (const userId of [ANA, BEN]) {
      const page = core.history(actorOf(userId), { limit: 10 });
      expect(page.ok && page.value.messages).toHaveLength(1);
      expect(typing(core, actorOf(userId), NOW)).toMatchObject({ ok: false, fault: { name: "PERMISSION_DENIED" } });
    }
  });

  it("moves read pointers when it is closed, and tells nobody", ({ expect }) => {
    const { core, store, send } = conversation(DIRECT);
    send("1");
    send("2");
    const receipts = () => store.outbox(100).filter((row) => row.topic === "gochat.message-events").length;
    markRead(core, actorOf(BEN), 1, true, NOW);
    expect(receipts()).toBe(1);
    openOrClose(core, false, NOW + 1);
    const read = markRead(core, actorOf(BEN), 2, true, NOW);
    expect(read).toMatchObject({ ok: true, value: { value: { readSeqId: 2, unreadCount: 0 } } });
    expect(receipts()).toBe(1);
  });

  it("outlives the memory, shows no difference and leaves nothing to do", ({ expect }) => {
    const { core, store, send } = conversation(DIRECT);
    const before = { version: core.state?.version, outbox: store.outbox(100).length };
    openOrClose(core, false, NOW + 1);
    expect({ version: core.state?.version, outbox: store.outbox(100).length }).toEqual(before);
    const again = new RoomCore("c", store, () => 0.5, NOW + 2);
    expect(again.state?.closedAt).toBe(NOW + 1);
    openOrClose(again, false, NOW + 3);
    expect(again.state?.closedAt).toBe(NOW + 1);
    expect(send("1")).toBe("PERMISSION_DENIED");
  });

  it("is none of a group, nor of a conversation that is not there", ({ expect }) => {
    const { core, send } = conversation(GROUP);
    openOrClose(core, false, NOW);
    expect(send("1")).toBe(1);
    const empty = new RoomCore("d", new MemoryRoomStore(), () => 0.5, NOW);
    openOrClose(empty, false, NOW);
    expect(empty.state).toBeUndefined();
    expect(empty.takeEffects()).toEqual([]);
  });
});

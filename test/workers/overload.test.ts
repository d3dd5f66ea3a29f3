/** A room or shard whose object sheds load: its senders are told when to come again, and nothing is dropped silently. */
import { afterEach, beforeEach, describe, it, vi } from "vitest";
import type { ClientFrame } from "../../src/protocol/frames.ts";
import { ConversationRoom } from "../../src/objects/ConversationRoom.ts";
import { HeldBus, newDirect, newUserId, WORLD_ROOM_ID } from "./support/harness.ts";
import { connect } from "./support/socket.ts";

beforeEach(() => {
  new HeldBus();
});
afterEach(() => {
  vi.restoreAllMocks();
});

describe("an overloaded room", () => {
  it("is RATE_LIMITED with a time, directly and through a shard, and takes the resend", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const direct = await newDirect(a, b);
    const socket = await connect(a);
    for (const conversationId of [direct, WORLD_ROOM_ID]) {
      const clientMsgId = newUserId();
      const frame: ClientFrame = {
        type: "send-message",
        data: { clientMsgId, conversationId, messageType: "text", content: "hi" },
      };
      const overloaded = Object.assign(new Error("Durable Object is overloaded."), { overloaded: true });
      vi.spyOn(ConversationRoom.prototype, "append").mockRejectedValueOnce(overloaded);
      socket.send(frame);
      const { error } = (await socket.next("message-error")).data as { error: Record<string, unknown> };
      expect(error).toMatchObject({ name: "RATE_LIMITED", retry: "later" });
      expect(error["retryAfterMs"]).toBeGreaterThan(1_000);
      // The first of what was refused may come again at any time.
      socket.send(frame);
      expect((await socket.next("message-ack")).data).toMatchObject({ clientMsgId, status: "sent" });
    }
  });
});

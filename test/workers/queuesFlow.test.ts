import { env } from "cloudflare:workers";
import { describe, it, vi } from "vitest";
import { UserSession } from "../../src/objects/UserSession.ts";
import { repositories } from "../../src/repo/index.ts";
import { append, eventually, must, newDirect, newUserId, text, WORLD_ROOM_ID } from "./support/harness.ts";
import { connect } from "./support/socket.ts";
import { settledOf } from "./support/talk.ts";

/** The queues of workerd themselves, from the producer to the consumer: nothing is held or called by hand here. */
describe("from the room through the queue", () => {
  it("to SQL and back: the sender is told, and SQL is the log", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const socket = await connect(a);
    const sent = (await append(id, [text(a, "1"), text(b, "2"), text(a, "3")])).map(must);
    await socket.until("both confirmations", () => socket.all("message-confirmed").length === 2);
    expect(socket.all("message-confirmed").map(({ data }) => data.seqId)).toEqual([1, 3]);
    expect(await repositories(env).conversations.messages(id, { after: 0, limit: 10 })).toEqual(sent);
  });

  it("to the members: a new conversation is announced, a read pointer becomes a receipt", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const [alice, bob] = [await connect(a), await connect(b)];
    const id = await newDirect(a, b);
    expect((await bob.next("conversation-created")).data.conversation.conversationId).toBe(id);
    await append(id, [text(a, "1")]);
    await bob.next("new-message");
    bob.send({ type: "mark-read", data: { conversationId: id, seqId: 1 } });
    expect((await alice.next("message-read-receipt")).data).toEqual({ conversationId: id, userId: b, readSeqId: 1 });
    await settledOf(id);
  });

  it("to the world: everybody with a socket has it within a window or two", async ({ expect }) => {
    const users = [newUserId(), newUserId()];
    const first = await connect(newUserId());
    const sockets = [first, ...(await Promise.all(users.map((userId) => connect(userId))))];
    first.send({
      type: "send-message",
      data: { clientMsgId: "w", conversationId: WORLD_ROOM_ID, messageType: "text", content: "hello, world" },
    });
    const { data: ack } = await first.next("message-ack");
    for (const socket of sockets) {
      await socket.until("the message", () => socket.pushed(WORLD_ROOM_ID).includes(ack.seqId ?? 0));
      expect(socket.pushed(WORLD_ROOM_ID)).toEqual([ack.seqId]);
    }
  });

  it("to the world: a reader who does not answer holds up nobody's next message", async ({ expect }) => {
    const [sender, reader] = [await connect(newUserId()), await connect(newUserId())];
    const say = async (clientMsgId: string) => {
      sender.send({
        type: "send-message",
        data: { clientMsgId, conversationId: WORLD_ROOM_ID, messageType: "text", content: clientMsgId },
      });
      await sender.until(clientMsgId, () =>
        sender.all("message-ack").some(({ data }) => data.clientMsgId === clientMsgId),
      );
    };
    const held = Promise.withResolvers<number>();
    const hangs = vi.spyOn(UserSession.prototype, "deliverBigRoom").mockReturnValueOnce(held.promise);
    await say("hangs");
    await eventually("the call that hangs", () => hangs.mock.calls.length > 0);
    const before = Date.now();
    await say("next");
    await Promise.race(
      [sender, reader].map((socket) =>
        socket.until("the next message", () =>
          socket.all("new-messages").some(({ data }) => data.messages.some((message) => message.content === "next")),
        ),
      ),
    );
    // A call that has not been answered is waited for two seconds before the fan-out is confirmed without it.
    expect(Date.now() - before).toBeLessThan(1_500);
    held.resolve(1);
    vi.restoreAllMocks();
  });
});

import { afterAll, beforeAll, describe, it } from "vitest";
import { memoryPendingStore } from "../../sdk/src/index.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { everybodyLeaves, makeFriends, memorySession, Person } from "./support/people.ts";
import { befriend, call, openSocket, type RawSocket, register } from "./support/raw.ts";

const ENV = { LIMIT_SENDS_PER_SECOND: "5000", LIMIT_SENDS_BURST: "5000" };

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ env: ENV });
});
afterAll(async () => {
  await everybodyLeaves();
  await server?.dispose();
});

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const contents = (messages: readonly { seqId: number; content?: unknown }[]) =>
  messages.map((m) => [m.seqId, m.content]);
const numbered = (from: number, to: number) => range(from, to).map((n) => [n, `message ${n}`]);

async function restart(): Promise<void> {
  const { port, dataDir } = server;
  server = await startServer({ port, dataDir, env: ENV });
}

describe("a client", () => {
  it("goes on after a kill -9 of the server: what it said meanwhile arrives, in order, once", async ({ expect }) => {
    const [ana, ben] = [await Person.register(server), await Person.register(server)];
    const id = await makeFriends(ana, ben);
    for (const n of range(1, 5)) {
      await ana.say(id, `message ${n}`);
    }
    await server.killGroup();
    await ana.until("the loss", () => ana.chat.connection.get().state === "reconnecting");
    const waiting = range(6, 10).map((n) => ana.in(id).send(`message ${n}`));
    expect(ana.chat.pending.get().count).toBe(5);
    await restart();
    const acks = await Promise.all(waiting.map((one) => one.accepted));
    expect(acks.map((ack) => ack.seqId)).toEqual(range(6, 10));
    for (const person of [ana, ben]) {
      await person.until("all ten", () => person.received(id).length === 10);
      expect(contents(person.received(id))).toEqual(numbered(1, 10));
    }
    expect(contents(await ben.in(id).history())).toEqual(numbered(1, 10));
    await ana.until("SQL", () => waiting.every((one) => one.state.get() === "stored"));
    // Who was signed in still is, and nobody else needs to do anything.
    expect(ana.chat.connection.get().state).toBe("online");
  });

  it("that was away reads everything on its return, page after page, in order", async ({ expect }) => {
    const [ana, ben] = [await Person.register(server), await Person.register(server)];
    const id = await makeFriends(ana, ben);
    await ana.say(id, "message 1");
    await ben.until("the first", () => ben.received(id).length === 1);
    ben.chat.disconnect();
    const sent = range(2, 400).map((n) => ana.in(id).send(`message ${n}`));
    await Promise.all(sent.map((one) => one.accepted));
    const group = await ana.chat.createGroup({ name: "Made meanwhile", memberIds: [ben.userId] });
    await group.send("message 1").accepted;
    ben.chat.connect();
    await ben.until(
      "all of it",
      () => ben.received(id).length === 400 && ben.received(group.conversationId).length === 1,
    );
    expect(contents(ben.received(id))).toEqual(numbered(1, 400));
    expect(ben.all("gap")).toEqual([]);
    expect(ben.in(id).item).toMatchObject({ unreadCount: 400, conversation: { headSeqId: 400 } });
  });

  it("in another life of the program goes on where the last one ended", async ({ expect }) => {
    const [auth, store] = [memorySession(), memoryPendingStore()];
    const [ana, ben] = [await Person.register(server), await Person.register(server, { auth })];
    const id = await makeFriends(ana, ben);
    await ana.say(id, "message 1");
    await ben.until("the first", () => ben.received(id).length === 1);
    const cursors = ben.chat.cursors();
    const { deviceId } = ben.chat;
    const { userId } = ben;
    await ben.chat.close();
    await ana.say(id, "message 2");

    const again = new Person(server, ben.username, { auth, store, cursors });
    expect(await again.chat.resume()).toMatchObject({ userId });
    await again.chat.ready();
    expect(again.chat.deviceId).toBe(deviceId);
    await again.until("the second", () => again.received(id).length === 1);
    expect(contents(again.received(id))).toEqual([[2, "message 2"]]);
  });

  it("is told when it is removed while it was away", async ({ expect }) => {
    const [ana, ben] = [await Person.register(server), await Person.register(server)];
    const group = await ana.chat.createGroup({ name: "Short", memberIds: [ben.userId] });
    const id = group.conversationId;
    await ben.event("conversation", (event) => event.conversationId === id && event.kind === "created");
    await group.send("hello").accepted;
    await ben.until("the message", () => ben.received(id).length === 1);
    ben.chat.disconnect();
    await group.removeMember(ben.userId);
    ben.chat.connect();
    await ben.event("conversation", (event) => event.conversationId === id && event.kind === "removed");
    expect(ben.chat.conversations.get().map((item) => item.conversation.conversationId)).not.toContain(id);
  });
});

/** How many messages have come to a socket. A room that is in doubt delivers again, which clients drop: counted are the sequences. */
class Arrivals {
  readonly #socket: RawSocket;
  readonly #seqIds = new Set<number>();
  #seen = 0;

  constructor(socket: RawSocket) {
    this.#socket = socket;
  }

  count(): number {
    for (const { type, data } of this.#socket.frames.slice(this.#seen)) {
      const messages = type === "new-message" ? [data?.["message"]] : type === "new-messages" ? data?.["messages"] : [];
      (messages as { seqId: number }[]).forEach(({ seqId }) => this.#seqIds.add(seqId));
    }
    this.#seen = this.#socket.frames.length;
    return this.#seqIds.size;
  }
}

describe("a reader that does not read", () => {
  it("is closed with 4019, while everybody else is served; its messages wait in the log", async ({ expect }) => {
    const [writer, reader] = [await register(server), await register(server)];
    const id = await befriend(server, writer, reader);
    const [stalled, quick, sender] = [
      await openSocket(server, reader.token),
      await openSocket(server, reader.token),
      await openSocket(server, writer.token),
    ];
    stalled.socket.pause();
    // 32 KB each; what the kernel and the runtime hold for a stalled connection is a few megabytes.
    const content = "😀".repeat(8_000);
    const count = 1_000;
    const acked = (): number => sender.frames.filter((frame) => frame.type === "message-ack").length;
    const got = new Arrivals(quick);
    for (let n = 1; n <= count; n++) {
      const data = { clientMsgId: String(n), conversationId: id, messageType: "text", content };
      sender.sendFrame({ type: "send-message", data });
      // No more on the way than a reader that reads can have waiting in its socket, however busy this process is.
      const due = n === count ? count : n - 10;
      await sender.until("acks", () => acked() >= due);
      await quick.until("messages", () => got.count() >= due);
    }
    stalled.socket.resume();
    const { code, reason } = await stalled.untilClosed();
    expect(code).toBe(4019);
    expect(reason).toContain("SLOW_CONSUMER");
    expect(new Arrivals(stalled).count()).toBeLessThan(count);
    const path = `/api/conversations/${id}/messages?after=${count - 1}`;
    const rest = await call(server, "GET", path, { token: reader.token });
    expect(rest.json?.["items"]).toMatchObject([{ seqId: count }]);
    quick.close();
    sender.close();
  });
});

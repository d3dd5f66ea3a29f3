/** `UPSTREAM=topic`: sends that go through the bus, on both sides of it. */
import { afterEach, describe, it, vi } from "vitest";
import { WORLD_ROOM_ID } from "../../src/domain/records.ts";
import { SessionHeads } from "../../src/domain/sessionHeads.ts";
import { ConversationRoom } from "../../src/objects/ConversationRoom.ts";
import { FanoutShard } from "../../src/objects/FanoutShard.ts";
import { SessionSends, type Ticket } from "../../src/objects/SessionSends.ts";
import { UserSession } from "../../src/objects/UserSession.ts";
import { settingsOf } from "../../src/platform/settings.ts";
import { err, ok, type Result } from "../../src/protocol/errors.ts";
import type { Message } from "../../src/protocol/things.ts";
import type { UpstreamSend } from "../../src/bus/upstream.ts";
import {
  actorOf,
  append,
  deliver,
  envWith,
  eventually,
  KAFKA,
  must,
  newDirect,
  newGroup,
  newUserId,
  resetClock,
  text,
} from "./support/harness.ts";
import { connect } from "./support/socket.ts";

const UPSTREAM = "gochat.messages.upstream";
const TOPIC_ENV = envWith({ ...KAFKA, UPSTREAM: "topic" });

afterEach(() => {
  resetClock();
  vi.restoreAllMocks();
});

const sendsOf = (id: string, userId: string, ...keys: string[]): UpstreamSend[] =>
  keys.map((key) => ({ conversationId: id, command: text(userId, key) }));

describe("the consumer of sends", () => {
  it("appends a batch in its order and answers each sender, who hears it on every socket", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const sockets = [await connect(a), await connect(a)];
    const other = await connect(b);
    const { acked } = await deliver(UPSTREAM, [...sendsOf(id, a, "1", "2"), ...sendsOf(id, b, "3")]);
    expect(acked).toHaveLength(3);
    for (const socket of sockets) {
      await socket.until("two acks", () => socket.all("message-ack").length === 2);
      expect(socket.all("message-ack").map(({ data }) => [data.clientMsgId, data.status, data.seqId])).toEqual([
        ["1", "sent", 1],
        ["2", "sent", 2],
      ]);
      // Whoever does not know the key takes the message.
      await socket.until("two messages", () => socket.all("new-message").length >= 2);
      expect(socket.all("new-message").map(({ data }) => data.message.seqId)).toEqual(expect.arrayContaining([1, 2]));
    }
    await other.until("its own ack", () => other.all("message-ack").length === 1);
  });

  it("answers the same when a batch comes twice, and stores nothing twice", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const landed = vi.spyOn(UserSession.prototype, "sendsLanded");
    await deliver(UPSTREAM, sendsOf(id, a, "1", "2"));
    await deliver(UPSTREAM, sendsOf(id, a, "1", "2"));
    const [first, second] = landed.mock.calls.map(([, outcomes]) => outcomes);
    expect(second).toEqual(first);
    expect(must((await append(id, [text(a, "3")]))[0] ?? err({ name: "INTERNAL" })).seqId).toBe(3);
  });

  it("tells a sender what is refused for good", async ({ expect }) => {
    const [a, b, stranger] = [newUserId(), newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const socket = await connect(stranger);
    expect((await deliver(UPSTREAM, sendsOf(id, stranger, "1"))).acked).toHaveLength(1);
    expect((await socket.next("message-error")).data).toMatchObject({
      clientMsgId: "1",
      conversationId: id,
      error: { name: "CONVERSATION_NOT_FOUND", retry: "never" },
    });
  });

  it("wants again what the room takes later, and tells its sender nothing: behind it are sends on the bus", async ({
    expect,
  }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newGroup([a, b]);
    const busy = { name: "RATE_LIMITED", retryAfterMs: 100 } as const;
    const real = ConversationRoom.prototype.append;
    vi.spyOn(ConversationRoom.prototype, "append").mockImplementationOnce(function (this: ConversationRoom, sends) {
      const served = sends.filter(({ actor }) => actor.userId === b);
      return real.call(this, served).then((outcomes) => [err(busy), ...outcomes, err(busy)]);
    });
    const landed = vi.spyOn(UserSession.prototype, "sendsLanded");
    const batch = [...sendsOf(id, a, "a1"), ...sendsOf(id, b, "b1"), ...sendsOf(id, a, "a2")];
    const { acked, retried } = await deliver(UPSTREAM, batch);
    expect([acked.length, retried.length]).toEqual([1, 2]);
    expect(landed.mock.calls.map(([, outcomes]) => outcomes.map(({ clientMsgId }) => clientMsgId))).toEqual([["b1"]]);
    await deliver(UPSTREAM, sendsOf(id, a, "a1", "a2"), 2);
    expect(landed.mock.calls[1]?.[1].map(({ outcome }) => outcome.ok && outcome.value.seqId)).toEqual([2, 3]);
  });

  it("goes on when a sender cannot be told: the message is there", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    vi.spyOn(UserSession.prototype, "sendsLanded").mockRejectedValue(new Error("Network connection lost."));
    expect((await deliver(UPSTREAM, sendsOf(id, a, "1"))).acked).toHaveLength(1);
    expect(must((await append(id, [text(a, "1")]))[0] ?? err({ name: "INTERNAL" })).seqId).toBe(1);
  });
});

/** The sends of one user, with a socket that only puts down what it is sent. */
function newSends(produce: () => Promise<unknown>, id = `group_${newUserId()}`) {
  const heard: string[] = [];
  const userId = newUserId();
  const produced: string[][] = [];
  vi.spyOn(globalThis, "fetch").mockImplementation(async (_url, init) => {
    const records = JSON.parse(typeof init?.body === "string" ? init.body : "[]") as {
      topic: string;
      key: string;
      value: string;
    }[];
    await produce();
    produced.push(records.map(({ value }) => (JSON.parse(value) as UpstreamSend).command.clientMsgId));
    return Response.json(records.map(({ topic }, offset) => ({ topic, partition: 0, offset, timestamp: 0 })));
  });
  const socket = {} as WebSocket;
  const sends = new SessionSends({
    env: TOPIC_ENV,
    userId,
    settings: settingsOf(TOPIC_ENV),
    sockets: {
      all: () => [socket],
      send: (_sockets, frame) => {
        const { type } = frame;
        heard.push(frame.type === "message-ack" ? `${type} ${frame.data.clientMsgId} ${frame.data.status}` : type);
      },
    },
    heads: new SessionHeads(),
    actor: () => actorOf(userId),
    world: { moveTo: () => 0 },
    refuse: (_socket, fault, _ref, { clientMsgId }) => heard.push(`message-error ${clientMsgId} ${fault.name}`),
  });
  const submit = (clientMsgId: string, ticket: Partial<Ticket> = { socket }): void =>
    sends.submit({ at: Date.now(), ...ticket }, id, text(userId, clientMsgId));
  const land = (...keys: string[]): void =>
    sends.landed(
      id,
      keys.map((clientMsgId, n) => ({
        clientMsgId,
        outcome: ok({
          messageId: `01M7Z0A9X0R3FQADGGDF4RSH${n}${clientMsgId}`,
          conversationId: id,
          seqId: n + 1,
          senderId: userId,
          messageType: "text" as const,
          content: clientMsgId,
          createdAt: 1,
          clientMsgId,
        }),
      })),
    );
  return { heard, produced, submit, land, sends, id };
}

describe("the sender's object", () => {
  it("produces in order, one flight at a time, and says `sending`, then `sent`", async ({ expect }) => {
    const { heard, produced, submit, land } = newSends(() => Promise.resolve());
    ["1", "2", "3"].forEach((key) => submit(key));
    await eventually("three are on the bus", () => heard.length === 3);
    expect(produced).toEqual([["1"], ["2", "3"]]);
    expect(heard.splice(0)).toEqual(["message-ack 1 sending", "message-ack 2 sending", "message-ack 3 sending"]);
    land("1", "2", "3");
    expect(heard).toEqual(["message-ack 1 sent", "message-ack 2 sent", "message-ack 3 sent"]);
  });

  it("says `sending` first, though the consumer was quicker than the bus's own answer", async ({ expect }) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { heard, submit, land } = newSends(() => promise);
    submit("1");
    land("1");
    expect(heard).toEqual([]);
    resolve();
    await eventually("both acks", () => heard.length === 2);
    expect(heard).toEqual(["message-ack 1 sending", "message-ack 1 sent"]);
  });

  it("answers a REST call when the message has its place", async ({ expect }) => {
    const { heard, submit, land, produced } = newSends(() => Promise.resolve());
    const answered = new Promise<Result<Message>>((resolve) => submit("1", { resolve }));
    await eventually("it is on the bus", () => produced.length === 1);
    await eventually("and known to be", () => {
      land("1");
      return true;
    });
    expect(await answered).toMatchObject({ ok: true, value: { clientMsgId: "1", seqId: 1 } });
    expect(heard.filter((one) => one.includes("sending"))).toEqual([]);
  });

  it("refuses, to be repeated, what the bus does not take, and what comes behind it", async ({ expect }) => {
    const { heard, submit } = newSends(() => Promise.reject(new Error("connection refused")));
    submit("1");
    submit("2");
    await eventually("both are refused", () => heard.length === 2);
    expect(heard).toEqual(["message-error 1 UNAVAILABLE", "message-error 2 UNAVAILABLE"]);
    submit("3");
    expect(heard.at(-1)).toBe("message-error 3 UNAVAILABLE");
  });

  it("hands sends into the world to the user's shard, which has the way to the bus", async ({ expect }) => {
    const through: string[] = [];
    const viaShard = vi.spyOn(FanoutShard.prototype, "produce").mockImplementation((commands) => {
      through.push(...commands.map(({ clientMsgId }) => clientMsgId));
      return Promise.resolve(commands.map(() => ok(undefined)));
    });
    const { heard, submit, land, produced } = newSends(() => Promise.resolve(), WORLD_ROOM_ID);
    submit("1");
    submit("2");
    await eventually("both are on the bus", () => heard.length === 2);
    land("1", "2");
    expect(heard).toEqual([
      "message-ack 1 sending",
      "message-ack 2 sending",
      "message-ack 1 sent",
      "message-ack 2 sent",
    ]);
    expect([through, produced]).toEqual([["1", "2"], []]);

    viaShard.mockImplementation((commands) =>
      Promise.resolve(commands.map(() => err({ name: "UNAVAILABLE", retryAfterMs: 1 }))),
    );
    submit("3");
    await eventually("the refusal", () => heard.length === 5);
    expect(heard.at(-1)).toBe("message-error 3 UNAVAILABLE");
  });

  it("tells every socket what it has forgotten the sender of", ({ expect }) => {
    const { heard, land, sends, id } = newSends(() => Promise.resolve());
    land("1");
    expect(heard.splice(0)).toEqual(["message-ack 1 sent", "new-message"]);
    sends.landed(id, [{ clientMsgId: "2", outcome: err({ name: "PERMISSION_DENIED" }) }]);
    expect(heard).toEqual(["message-error 2 PERMISSION_DENIED"]);
  });
});

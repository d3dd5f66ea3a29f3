import { env } from "cloudflare:workers";
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, it, vi } from "vitest";
import { UserSession } from "../../src/objects/UserSession.ts";
import { CACHE_KEYS } from "../../src/cache/types.ts";
import {
  evictRoom,
  actorOf,
  advance,
  append,
  appendOne,
  eventually,
  HeldBus,
  must,
  newDirect,
  newGroup,
  newUserId,
  resetClock,
  roomStub,
  signIn,
  text,
} from "./support/harness.ts";
import { connect } from "./support/socket.ts";

beforeEach(() => {
  new HeldBus();
});
afterEach(() => {
  resetClock();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Deliveries to one user do what the test says; those to others go on as ever. */
function interceptDelivery(userId: string, instead: () => Promise<number>): void {
  const real = UserSession.prototype.deliver;
  vi.spyOn(UserSession.prototype, "deliver").mockImplementation(function (this: UserSession, ...args) {
    // The platform's types keep `ctx` for the class itself.
    const { name } = (this as unknown as { ctx: DurableObjectState }).ctx.id;
    return name === userId ? instead() : real.apply(this, args);
  });
}

/** The moment of a power cut: what is committed is on disk, no timer of this object ever fires. */
async function killAfter(conversationId: string, work: () => Promise<void>): Promise<void> {
  vi.useFakeTimers({ toFake: ["setTimeout"] });
  await work();
  await runInDurableObject(roomStub(conversationId), (_room, state) => {
    state.abort("killed by the test");
  }).catch(() => {
    // The call ends with the object.
  });
  vi.useRealTimers();
}

describe("delivery", () => {
  it("reaches every online member once, the sender's other devices too, with the key only there", async ({
    expect,
  }) => {
    const [a, b, c] = [newUserId(), newUserId(), newUserId()];
    const id = await newGroup([a, b, c]);
    const phone = await connect(a, (await signIn(a, { kind: "ios" })).deviceId);
    const [desk, bob] = [await connect(a), await connect(b)];
    desk.send({
      type: "send-message",
      data: { clientMsgId: "k", conversationId: id, messageType: "text", content: "hello" },
    });
    const { data: ack } = await desk.next("message-ack");
    expect(ack).toMatchObject({ clientMsgId: "k", conversationId: id, status: "sent", seqId: 1 });
    const { data: mine } = await phone.next("new-message");
    expect(mine.message).toMatchObject({ clientMsgId: "k", messageId: ack.messageId, senderId: a, content: "hello" });
    const { data: theirs } = await bob.next("new-message");
    expect(theirs.message).toMatchObject({ messageId: ack.messageId, seqId: 1, senderId: a, content: "hello" });
    expect(theirs.message).not.toHaveProperty("clientMsgId");
    await Promise.all([desk.settle(), phone.settle(), bob.settle()]);
    expect([desk.pushed(id), phone.pushed(id), bob.pushed(id)]).toEqual([[], [1], [1]]);
  });

  it("brings everything in order, and puts what came meanwhile into one frame", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const bob = await connect(b);
    await appendOne(id, text(a, "1"));
    await bob.next("new-message");
    const held = Promise.withResolvers<number>();
    interceptDelivery(b, () => held.promise);
    await appendOne(id, text(a, "2"));
    for (let n = 3; n <= 20; n++) {
      await appendOne(id, text(a, String(n)));
    }
    vi.restoreAllMocks();
    held.resolve(1);
    // The one in the air was taken over by a session that did not send it on: what follows is one batch.
    const { data } = await bob.next("new-messages");
    expect(data.messages.map((m) => m.seqId)).toEqual(Array.from({ length: 18 }, (_, i) => i + 3));
  });

  it("holds up nobody for one who does not answer", async ({ expect }) => {
    const [a, slow, quick] = [newUserId(), newUserId(), newUserId()];
    const id = await newGroup([a, slow, quick]);
    const [slowSocket, quickSocket] = [await connect(slow), await connect(quick)];
    await appendOne(id, text(a, "0"));
    await Promise.all([slowSocket.next("new-message"), quickSocket.next("new-message")]);
    const held = Promise.withResolvers<number>();
    interceptDelivery(slow, () => held.promise);
    for (let n = 1; n <= 5; n++) {
      await appendOne(id, text(a, String(n)));
    }
    await quickSocket.until("all five", () => quickSocket.pushed(id).length === 6);
    expect(slowSocket.pushed(id)).toEqual([1]);
    // It fails in the end, and catches up from the log by itself.
    vi.restoreAllMocks();
    held.reject(new Error("connection lost"));
    await slowSocket.until("all six", () => slowSocket.pushed(id).length === 6);
    expect(slowSocket.pushed(id)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(quickSocket.pushed(id)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("repeats a delivery that failed, and skips nothing", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const bob = await connect(b);
    let failures = 0;
    interceptDelivery(b, () => {
      failures += 1;
      if (failures === 2) {
        vi.restoreAllMocks();
      }
      return Promise.reject(new Error("Network connection lost."));
    });
    await append(id, [text(a, "1"), text(a, "2")]);
    await bob.until("both", () => bob.pushed(id).length >= 2);
    expect(failures).toBe(2);
    expect(bob.pushed(id)).toEqual([1, 2]);
  });

  it("stops at once for a removed member, and begins at once for a new one", async ({ expect }) => {
    const [a, b, c] = [newUserId(), newUserId(), newUserId()];
    const id = await newGroup([a, b]);
    const [bob, carol] = [await connect(b), await connect(c)];
    await appendOne(id, text(a, "1"));
    await bob.next("new-message");
    must(await roomStub(id).removeMember(actorOf(a), b));
    must(await roomStub(id).addMembers(actorOf(a), [c]));
    await appendOne(id, text(a, "2"));
    await carol.next("new-message");
    await bob.settle();
    expect(bob.pushed(id)).toEqual([1]);
    expect(carol.pushed(id)).toEqual([2]);
  });

  it("finds who has just come back, though the room knew them as away", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const device = (await signIn(b)).deviceId;
    await appendOne(id, text(a, "1"));
    const bob = await connect(b, device);
    await appendOne(id, text(a, "2"));
    await bob.until("the second", () => bob.pushed(id).includes(2));
    bob.close();
    await bob.untilClosed();
    await appendOne(id, text(a, "3"));
    const again = await connect(b, device);
    await appendOne(id, text(a, "4"));
    await again.until("the fourth", () => again.pushed(id).includes(4));
    expect(bob.pushed(id)).not.toContain(3);
  });

  it("asks the cache for presence, and believes it when it has been there long enough", async ({ expect }) => {
    const [a, away] = [newUserId(), newUserId()];
    const id = await newDirect(a, away);
    const cache = env.CACHE_STORE.getByName("cache-0");
    await cache.pipeline([["SET", CACHE_KEYS.presenceSince, "0"]]);
    const calls = vi.spyOn(UserSession.prototype, "deliver");
    await appendOne(id, text(a, "1"));
    await eventually("the head in the cache", async () => {
      const [head] = await cache.pipeline([["GET", CACHE_KEYS.headSeqId(id)]]);
      return head === "1";
    });
    expect(calls).not.toHaveBeenCalled();
  });

  it("shows typing to who is here, and to nobody else", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const [alice, bob] = [await connect(a), await connect(b)];
    await appendOne(id, text(a, "1"));
    await bob.next("new-message");
    alice.send({ type: "typing", data: { conversationId: id } });
    expect((await bob.next("typing")).data).toEqual({ conversationId: id, userId: a });
    await alice.settle();
    expect(alice.all("typing")).toEqual([]);
  });

  it("shows typing to the other of two also when the room has just woken", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const [alice, bob] = [await connect(a), await connect(b)];
    alice.send({ type: "typing", data: { conversationId: id } });
    expect((await bob.next("typing")).data).toEqual({ conversationId: id, userId: a });
  });
});

describe("typing in a group", () => {
  it("is shown to who is here also when nothing was sent yet, and when the room has just woken", async ({ expect }) => {
    const [a, b, c] = [newUserId(), newUserId(), newUserId()];
    const id = await newGroup([a, b, c]);
    const [alice, bob] = [await connect(a), await connect(b)];
    alice.send({ type: "typing", data: { conversationId: id } });
    expect((await bob.next("typing")).data).toEqual({ conversationId: id, userId: a });
    await evictRoom(id);
    const carol = await connect(c);
    bob.send({ type: "typing", data: { conversationId: id } });
    for (const socket of [alice, carol]) {
      expect((await socket.next("typing")).data).toEqual({ conversationId: id, userId: b });
    }
    await bob.settle();
    expect(bob.all("typing")).toHaveLength(1);
    // What is sent then comes once.
    await appendOne(id, text(a, "1"));
    await Promise.all([bob.next("new-message"), carol.next("new-message")]);
    await Promise.all([bob.settle(), carol.settle()]);
    expect([bob.pushed(id), carol.pushed(id)]).toEqual([[1], [1]]);
  });
});

describe("a restart in the middle", () => {
  it("delivers after the restart what was committed before it, once woken by its alarm", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const bob = await connect(b);
    let acked: number[] = [];
    await killAfter(id, async () => {
      acked = (await append(id, [text(a, "1"), text(a, "2")])).map((outcome) => must(outcome).seqId);
    });
    expect(acked).toEqual([1, 2]);
    await bob.settle();
    expect(bob.pushed(id)).toEqual([]);

    advance(61_000);
    expect(await runDurableObjectAlarm(roomStub(id))).toBe(true);
    await bob.until("both", () => bob.pushed(id).length >= 2);
    expect(bob.pushed(id)).toEqual([1, 2]);
    expect((await append(id, [text(a, "1")])).map((outcome) => must(outcome).seqId)).toEqual([1]);
    expect((await appendOne(id, text(a, "3"))).seqId).toBe(3);
    await bob.until("the third", () => bob.pushed(id).includes(3));
  });

  it("delivers to whom the killed round had not reached", async ({ expect }) => {
    const [a, b, c] = [newUserId(), newUserId(), newUserId()];
    const id = await newGroup([a, b, c]);
    const [bob, carol] = [await connect(b), await connect(c)];
    interceptDelivery(c, () => new Promise<number>(() => {}));
    await appendOne(id, text(a, "1"));
    await bob.next("new-message");
    await killAfter(id, async () => {});
    vi.restoreAllMocks();
    advance(61_000);
    await runDurableObjectAlarm(roomStub(id));
    await carol.until("the message", () => carol.pushed(id).length > 0);
    expect(carol.pushed(id)).toEqual([1]);
    // At least once to each: the client knows it by its sequence.
    expect(new Set(bob.pushed(id))).toEqual(new Set([1]));
  });
});

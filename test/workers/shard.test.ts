import { env } from "cloudflare:workers";
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, it, vi } from "vitest";
import type { StoredMessage } from "../../src/domain/records.ts";
import { ConversationRoom } from "../../src/objects/ConversationRoom.ts";
import { UserSession } from "../../src/objects/UserSession.ts";
import { roomOf, sessionOf, shardAt } from "../../src/platform/stubs.ts";
import { PING_TEXT } from "../../src/protocol/frames.ts";
import { append, eventually, HeldBus, must, nameOf, newGroup, newUserId, resetClock, text } from "./support/harness.ts";
import { connect, connectShard, type TestSocket } from "./support/socket.ts";

beforeEach(() => {
  new HeldBus();
});
afterEach(() => {
  resetClock();
  vi.restoreAllMocks();
});

/** A room with messages 1..count, whose fan-out is in the test's hands. */
async function roomWith(count: number): Promise<{ id: string; owner: string; messages: StoredMessage[] }> {
  const owner = newUserId();
  const id = await newGroup([owner]);
  const messages = [];
  for (let n = 0; n < count; n += 100) {
    const part = Array.from({ length: Math.min(100, count - n) }, (_, i) => text(owner, String(n + i + 1)));
    messages.push(...(await append(id, part)).map(must));
  }
  return { id, owner, messages };
}

async function push(id: string, messages: StoredMessage[]): Promise<void> {
  const [fromSeqId, toSeqId] = [messages[0]?.seqId ?? 0, messages.at(-1)?.seqId ?? 0];
  await shardAt(env, id, 0).push({ fromSeqId, toSeqId, messages });
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

async function untilSeq(socket: TestSocket, seqId: number): Promise<number[]> {
  await socket.until(`message ${seqId}`, () => socket.pushed().includes(seqId));
  return socket.pushed();
}

describe("a passive socket", () => {
  it("begins with the head, then gets every window as one frame, the same to all", async ({ expect }) => {
    const { id, owner } = await roomWith(3);
    const sockets = [await connectShard(id, 0), await connectShard(id, 0)];
    for (const socket of sockets) {
      expect((await socket.next("room")).data).toEqual({ conversationId: id, headSeqId: 3, fromSeqId: 3 });
    }
    const fresh = (
      await append(
        id,
        range(4, 23).map((n) => text(owner, String(n))),
      )
    ).map(must);
    // The first leaves at once; what comes within the window afterwards goes together.
    await push(id, fresh.slice(0, 1));
    for (const message of fresh.slice(1)) {
      await push(id, [message]);
    }
    for (const socket of sockets) {
      expect(await untilSeq(socket, 23)).toEqual(range(4, 23));
      const sizes = socket.all("new-messages").map(({ data }) => data.messages.length);
      expect(sizes[0]).toBe(1);
      expect(sizes.length).toBeLessThanOrEqual(4);
      expect(JSON.stringify(socket.frames)).not.toContain("clientMsgId");
    }
  });

  it("gets what is after its cursor, from memory, from the log, or the hot part of it", async ({ expect }) => {
    const { id, messages } = await roomWith(320);
    // A cold shard: the log answers.
    const cold = await connectShard(id, 0, 317);
    expect((await cold.next("room")).data).toEqual({ conversationId: id, headSeqId: 320, fromSeqId: 317 });
    expect(await untilSeq(cold, 320)).toEqual([318, 319, 320]);
    const far = await connectShard(id, 0, 0);
    expect((await far.next("room")).data).toEqual({ conversationId: id, headSeqId: 320, fromSeqId: 20 });
    expect(await untilSeq(far, 320)).toEqual(range(21, 320));
    const current = await connectShard(id, 0, 320);
    const ahead = await connectShard(id, 0, 1_000_000);
    for (const socket of [current, ahead]) {
      expect((await socket.next("room")).data).toMatchObject({ headSeqId: 320, fromSeqId: 320 });
      expect(socket.pushed()).toEqual([]);
    }
    expect(messages).toHaveLength(320);
  });

  it("heals a hole from the log before it goes on, and shows nothing twice", async ({ expect }) => {
    const { id, owner } = await roomWith(1);
    const socket = await connectShard(id, 0);
    await socket.next("room");
    const fresh = (
      await append(
        id,
        range(2, 9).map((n) => text(owner, String(n))),
      )
    ).map(must);
    await push(id, fresh.slice(0, 1));
    // 3 to 6 were lost on the way; 7 and 8 come, then again, then an old one.
    await push(id, fresh.slice(5, 7));
    // What it reads there may reach further than what it was told of.
    const healed = await untilSeq(socket, 8);
    expect(healed).toEqual(range(2, healed.length + 1));
    await push(id, fresh.slice(5, 7));
    await push(id, fresh.slice(1, 3));
    await push(id, fresh.slice(7));
    expect(await untilSeq(socket, 9)).toEqual(range(2, 9));
  });

  it("asks the log again when it did not answer", async ({ expect }) => {
    const { id, owner } = await roomWith(1);
    const socket = await connectShard(id, 0);
    await socket.next("room");
    const fresh = (
      await append(
        id,
        range(2, 5).map((n) => text(owner, String(n))),
      )
    ).map(must);
    const down = vi
      .spyOn(ConversationRoom.prototype, "readLog")
      .mockRejectedValue(new Error("Network connection lost."));
    await push(id, fresh.slice(2, 3));
    await eventually("the failed reading", () => down.mock.calls.length > 0);
    vi.restoreAllMocks();
    expect(await untilSeq(socket, 5)).toEqual([2, 3, 4, 5]);
  });

  it("is read-only: every frame but the ping is refused, and the socket stays", async ({ expect }) => {
    const { id } = await roomWith(1);
    const socket = await connectShard(id, 0);
    await socket.next("room");
    const hostile = ["{", '{"type":"send-message"}', '{"type":"sync","data":{"heads":{}}}', "\u0000"];
    for (const frame of hostile) {
      socket.sendRaw(frame);
      expect((await socket.next("error")).data.error).toMatchObject({ code: 1000, name: "INVALID_INPUT" });
    }
    socket.sendRaw(new Uint8Array([1, 2, 3]).buffer);
    expect((await socket.next("error")).data.error.name).toBe("INVALID_INPUT");
    socket.sendRaw(PING_TEXT);
    await socket.next("pong");
    // One that names itself is not the runtime's to answer.
    socket.sendRaw('{"type":"ping","id":"p"}');
    expect(await socket.next("pong")).toMatchObject({ ref: "p" });
    expect(socket.closed).toBeUndefined();
  });

  it("is closed after more rubbish than a mistake explains, and told which frame was refused", async ({ expect }) => {
    const { id } = await roomWith(1);
    const socket = await connectShard(id, 0);
    await socket.next("room");
    socket.sendRaw('{"type":"typing","id":"mine","data":{}}');
    expect((await socket.next("error")).data.ref).toBe("mine");
    socket.sendRaw(`"${"x".repeat(70_000)}"`);
    expect((await socket.next("error")).data.error.name).toBe("PAYLOAD_TOO_LARGE");
    for (let n = 0; n < 19; n++) {
      socket.sendRaw("{");
    }
    expect((await socket.untilClosed()).code).toBe(4000);
  });

  it("survives hibernation of the shard, and its next window has no hole", async ({ expect }) => {
    const { id, owner } = await roomWith(2);
    const socket = await connectShard(id, 0);
    await socket.next("room");
    await evictDurableObject(env.SHARDS.getByName(`${id}#0`), { webSockets: "hibernate" });
    const fresh = (await append(id, [text(owner, "3"), text(owner, "4")])).map(must);
    await push(id, fresh);
    expect(await untilSeq(socket, 4)).toEqual([3, 4]);
  });
});

describe("sessions of a shard", () => {
  it("delivers to registered users, coalesced, also after a restart, and forgets who is away", async ({ expect }) => {
    const { id, owner } = await roomWith(1);
    const [here, away] = [newUserId(), newUserId()];
    const socket = await connect(here);
    const shard = shardAt(env, id, 0);
    await shard.register(here);
    await shard.register(away);
    await shard.register(here);
    expect(await shard.readers()).toEqual({ sockets: 0, sessions: 2 });
    await push(id, (await append(id, [text(owner, "2"), text(owner, "3")])).map(must));
    expect(await untilSeq(socket, 3)).toEqual([2, 3]);
    expect(socket.all("new-messages")).toHaveLength(1);
    await eventually("the one who is away to be forgotten", async () => (await shard.readers()).sessions === 1);

    const stub = env.SHARDS.getByName(`${id}#0`);
    await evictDurableObject(stub);
    await push(id, (await append(id, [text(owner, "4")])).map(must));
    expect(await untilSeq(socket, 4)).toEqual([2, 3, 4]);
    await shard.unregister(here);
    const rows = await runInDurableObject(stub, (_shard, state) =>
      state.storage.sql.exec("SELECT * FROM sessions").toArray(),
    );
    expect(rows).toEqual([]);
  });

  it("leaves out nothing that is on its way when a room socket wakes the shard", async ({ expect }) => {
    const { id, owner } = await roomWith(1);
    const user = newUserId();
    const socket = await connect(user);
    await shardAt(env, id, 0).register(user);
    // Committed, but its task has not come here yet, when somebody opens the room.
    const onItsWay = (await append(id, [text(owner, "2")])).map(must);
    const reader = await connectShard(id, 0, 0);
    await push(id, onItsWay);
    expect(await untilSeq(socket, 2)).toEqual([2]);
    expect(await untilSeq(reader, 2)).toEqual([1, 2]);

    // The same after a restart, with a task that came to the earlier life.
    await roomOf(env, id).fannedOut(2);
    await evictDurableObject(env.SHARDS.getByName(`${id}#0`), { webSockets: "hibernate" });
    await append(id, [text(owner, "3")]);
    const late = await connectShard(id, 0, 2);
    for (const one of [socket, reader, late]) {
      await untilSeq(one, 3);
    }
    expect([socket.pushed(), reader.pushed(), late.pushed()]).toEqual([[2, 3], [1, 2, 3], [3]]);
  });

  it("asks the room once for all who wake it, and serves first what its readers may lack", async ({ expect }) => {
    const { id, owner } = await roomWith(1);
    const user = newUserId();
    const socket = await connect(user);
    const shard = shardAt(env, id, 0);
    expect(await shard.register(user)).toBe(1);
    // Tasks that came to the earlier life, if at all.
    await append(id, [text(owner, "2"), text(owner, "3")]);
    await evictDurableObject(env.SHARDS.getByName(`${id}#0`));
    const readings = vi.spyOn(ConversationRoom.prototype, "readLog");
    const heads = await Promise.all(range(1, 10).map(() => shard.register(newUserId())));
    expect(new Set(heads)).toEqual(new Set([3]));
    expect(readings.mock.calls.filter(([, limit]) => limit === 0)).toHaveLength(1);
    // From where the room knows that everybody has been served.
    expect((await untilSeq(socket, 3)).slice(-2)).toEqual([2, 3]);

    // A room that does not answer fails those who wait, and the next one asks again.
    await evictDurableObject(env.SHARDS.getByName(`${id}#0`));
    readings.mockRejectedValueOnce(new Error("Network connection lost."));
    const refused = async (): Promise<unknown> => await shard.register(newUserId());
    await expect(refused()).rejects.toThrow("Network connection lost.");
    expect(await shard.register(newUserId())).toBe(3);
  });

  it("gives a busy session everything at once when it answers", async ({ expect }) => {
    const { id, owner } = await roomWith(1);
    const user = newUserId();
    const socket = await connect(user);
    await shardAt(env, id, 0).register(user);
    await push(id, (await append(id, [text(owner, "2")])).map(must));
    await untilSeq(socket, 2);
    const held = Promise.withResolvers<number>();
    const calls = vi.spyOn(UserSession.prototype, "deliverBigRoom").mockReturnValueOnce(held.promise);
    await push(id, (await append(id, [text(owner, "3")])).map(must));
    await eventually("the call that hangs", () => calls.mock.calls.length === 1);
    const passive = await connectShard(id, 0);
    for (const n of range(4, 6)) {
      await push(id, (await append(id, [text(owner, String(n))])).map(must));
      // A window each: the passive socket has had them when the session still hangs.
      await passive.until(`message ${n}`, () => passive.pushed().includes(n));
    }
    expect(calls).toHaveBeenCalledTimes(1);
    held.reject(new Error("Network connection lost."));
    expect(await untilSeq(socket, 6)).toEqual([2, 3, 4, 5, 6]);
    expect(socket.all("new-messages").at(-1)?.data.messages).toHaveLength(4);
  });

  it("is confirmed only when its readers have it, and never by a later life of the shard", async ({ expect }) => {
    const { id, owner } = await roomWith(1);
    const user = newUserId();
    await connect(user);
    const shard = shardAt(env, id, 0);
    await shard.register(user);
    const held = Promise.withResolvers<number>();
    const calls = vi.spyOn(UserSession.prototype, "deliverBigRoom").mockReturnValueOnce(held.promise);
    await push(id, (await append(id, [text(owner, "2")])).map(must));
    let served = false;
    const waiting = shard.served(2).then((answer) => (served = answer));
    await eventually("the call that hangs", () => calls.mock.calls.length === 1);
    expect((await shard.readers()).sessions).toBe(1);
    expect(served).toBe(false);
    held.resolve(1);
    expect(await waiting).toBe(true);
    await evictDurableObject(env.SHARDS.getByName(`${id}#0`));
    expect(await shardAt(env, id, 0).served(2)).toBe(false);
  });

  it("batches the sends of its users upwards, with an answer for each", async ({ expect }) => {
    const [a, b, stranger] = [newUserId(), newUserId(), newUserId()];
    const id = await newGroup([a, b]);
    const flights = vi.spyOn(ConversationRoom.prototype, "append");
    const shard = shardAt(env, id, 0);
    const outcomes = await Promise.all(
      range(1, 20).map((n) => shard.send([text(n % 2 === 0 ? a : b, String(n)), text(stranger, String(n))])),
    );
    expect(outcomes.map(([mine]) => (mine?.ok === true ? mine.value.clientMsgId : ""))).toEqual(
      range(1, 20).map(String),
    );
    expect(new Set(outcomes.map(([, theirs]) => nameOf(theirs)))).toEqual(new Set(["CONVERSATION_NOT_FOUND"]));
    expect(flights.mock.calls.length).toBeLessThan(20);
  });

  it("answers a batch that did not reach the room as to be sent again", async ({ expect }) => {
    const a = newUserId();
    const id = await newGroup([a]);
    vi.spyOn(ConversationRoom.prototype, "append").mockRejectedValueOnce(new Error("Network connection lost."));
    const shard = shardAt(env, id, 0);
    expect((await shard.send([text(a, "1")])).map(nameOf)).toEqual(["UNAVAILABLE"]);
    expect((await shard.send([text(a, "1")])).map((outcome) => must(outcome).seqId)).toEqual([1]);
  });
});

describe("the world on one's own socket", () => {
  it("comes through the shard, and not at all to a socket that unsubscribed", async ({ expect }) => {
    const user = newUserId();
    const [loud, quiet] = [await connect(user), await connect(user)];
    quiet.send({ type: "unsubscribe", data: { conversationId: "world_chat_room" } });
    await quiet.settle();
    const frames = [JSON.stringify({ type: "new-messages", data: { messages: [] } })];
    expect(await sessionOf(env, user).deliverBigRoom("world_chat_room", frames)).toBe(1);
    await loud.next("new-messages");
    await quiet.settle();
    expect(quiet.all("new-messages")).toEqual([]);
    const shards = await Promise.all(range(0, 3).map((n) => shardAt(env, "world_chat_room", n).readers()));
    expect(shards.reduce((sum, shard) => sum + shard.sessions, 0)).toBeGreaterThanOrEqual(1);
  });
});

/** What a session does about its presence when something on the way to the cache or the shard goes wrong, and after a crash. */
import { env } from "cloudflare:workers";
import { evictDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, it, vi } from "vitest";
import { CACHE_KEYS, type CacheCommand } from "../../src/cache/types.ts";
import { WORLD_ROOM_ID } from "../../src/domain/records.ts";
import { SHARD_SEPARATOR, shardNumber } from "../../src/domain/sharding.ts";
import { CacheStore } from "../../src/objects/CacheStore.ts";
import { ConversationRoom } from "../../src/objects/ConversationRoom.ts";
import { FanoutShard } from "../../src/objects/FanoutShard.ts";
import { settingsOf } from "../../src/platform/settings.ts";
import { cacheAt, sessionOf, shardOf } from "../../src/platform/stubs.ts";
import {
  append,
  appendOne,
  eventually,
  HeldBus,
  must,
  newDirect,
  newUserId,
  resetClock,
  signIn,
  text,
} from "./support/harness.ts";
import { connect } from "./support/socket.ts";

beforeEach(() => {
  new HeldBus();
});
afterEach(() => {
  resetClock();
  vi.restoreAllMocks();
});

const stubOf = (userId: string) => env.SESSIONS.getByName(userId);
const cache = cacheAt(env, 0);

async function leaseOf(userId: string): Promise<string | null> {
  const [value] = await cache.pipeline([["GET", CACHE_KEYS.online(userId)]]);
  return value as string | null;
}

async function worldSessions(userId: string): Promise<number> {
  const shard = shardNumber(userId, settingsOf(env).worldShards);
  return (await env.SHARDS.getByName(`${WORLD_ROOM_ID}${SHARD_SEPARATOR}${shard}`).readers()).sessions;
}

/** Cache calls that hold a command like this go through `gate` first. */
function gateCache(matches: (command: CacheCommand) => boolean, gate: () => Promise<void>) {
  const real = CacheStore.prototype.pipeline;
  return vi.spyOn(CacheStore.prototype, "pipeline").mockImplementation(async function (this: CacheStore, commands) {
    if (commands.some(matches)) {
      await gate();
    }
    return await real.call(this, commands);
  });
}

describe("what could not be written", () => {
  it("is written again: the lease, and then `connected` comes once more", async ({ expect }) => {
    const userId = newUserId();
    const { deviceId } = await signIn(userId);
    let refusals = 2;
    gateCache(
      ([, key]) => key === CACHE_KEYS.online(userId),
      () => (refusals-- > 0 ? Promise.reject(new Error("the cache is down")) : Promise.resolve()),
    );
    // The failure keeps nobody away.
    const socket = await connect(userId, deviceId);
    expect(socket.all("connected")).toHaveLength(1);
    await socket.next("connected");
    expect(await leaseOf(userId)).toBe("1");
    expect(socket.all("connected").map(({ data }) => data.deviceId)).toEqual([deviceId, deviceId]);
    expect(refusals).toBeLessThan(0);
  });

  it("is written again: the registration with the world's shard", async ({ expect }) => {
    const userId = newUserId();
    const { deviceId } = await signIn(userId);
    const before = await worldSessions(userId);
    vi.spyOn(FanoutShard.prototype, "register").mockRejectedValueOnce(new Error("Network connection lost."));
    const socket = await connect(userId, deviceId);
    expect(await worldSessions(userId)).toBe(before);
    await socket.next("connected");
    expect(await worldSessions(userId)).toBe(before + 1);
  });

  it("is left alone when nobody is here any more", async ({ expect }) => {
    const userId = newUserId();
    const { deviceId } = await signIn(userId);
    let refuse = true;
    const calls = gateCache(
      ([, key]) => key === CACHE_KEYS.online(userId),
      () => (refuse ? Promise.reject(new Error("the cache is down")) : Promise.resolve()),
    );
    const socket = await connect(userId, deviceId);
    socket.close();
    await eventually("the lease to be taken back", () => calls.mock.calls.length >= 2);
    refuse = false;
    const back = await connect(userId, deviceId);
    await back.settle();
    expect(back.all("connected")).toHaveLength(1);
    expect(await leaseOf(userId)).toBe("2");
  });
});

describe("a late command of an earlier life", () => {
  it("does not take back what a later coming wrote", async ({ expect }) => {
    const userId = newUserId();
    const { deviceId } = await signIn(userId);
    const first = await connect(userId, deviceId);
    first.close();
    await eventually("absence", async () => (await leaseOf(userId)) === null);
    const second = await connect(userId, deviceId);
    expect(await leaseOf(userId)).toBe("2");
    // The number of comings is on disk: an object that dies goes on counting.
    await evictDurableObject(stubOf(userId), { webSockets: "close" });
    await connect(userId, deviceId);
    expect(await leaseOf(userId)).toBe("3");
    await cache.pipeline([["DELIF", CACHE_KEYS.online(userId), "2"]]);
    expect(await leaseOf(userId)).toBe("3");
    expect(second.closed).toBeDefined();
  });
});

describe("a room that takes somebody for here", () => {
  it("is corrected in the cache, once in a life", async ({ expect }) => {
    const userId = newUserId();
    await connect(userId);
    await evictDurableObject(stubOf(userId), { webSockets: "close" });
    const pipelines = gateCache(
      ([, key]) => key === CACHE_KEYS.online(userId),
      () => Promise.resolve(),
    );
    const corrections = () =>
      pipelines.mock.calls
        .flatMap(([commands]) => commands)
        .filter(([name, key]) => name === "DELIF" && key === CACHE_KEYS.online(userId)).length;
    const session = sessionOf(env, userId);
    expect(await session.deliver(['{"type":"typing"}'])).toBe(0);
    await eventually("absence", async () => (await leaseOf(userId)) === null);
    const before = corrections();
    expect(await session.deliver(['{"type":"typing"}'])).toBe(0);
    expect(await session.deliverBigRoom("a big room", ['{"type":"typing"}'], 3)).toBe(0);
    await connect(userId);
    expect(corrections()).toBe(before);
    expect(await leaseOf(userId)).toBe("2");
  });
});

describe("a new life whose earlier one was online", () => {
  it("reads no heads before those are in the cache that the earlier one passed on", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const { deviceId } = await signIn(b);
    await append(id, [text(a, "1")]);
    const headKey = CACHE_KEYS.headSeqId(id);
    await eventually("the head", async () => (await cache.pipeline([["GET", headKey]]))[0] === "1");
    // As after a kill: the lease stands, and the cache learns of the second message a moment late.
    await cache.pipeline([["SET", CACHE_KEYS.online(b), "0", 300_000]]);
    const held = Promise.withResolvers<void>();
    const calls = gateCache(
      ([name, key]) => name === "SETMAX" && key === headKey,
      () => held.promise,
    );
    const socket = await connect(b, deviceId);
    await appendOne(id, text(a, "2"));
    await eventually("the pipeline that hangs", () =>
      calls.mock.calls.some(([commands]) => commands.some(([, key]) => key === headKey)),
    );
    socket.send({ type: "sync", id: "s", data: { heads: { [id]: 1 } } });
    await socket.settle();
    expect(socket.all("sync-result")).toEqual([]);
    held.resolve();
    const { data } = await socket.next("sync-result");
    // SQL has nothing of all this: the room itself was asked.
    expect(data.removed).toEqual([]);
    const synced = data.conversations.find(({ conversation }) => conversation.conversationId === id);
    expect(synced).toMatchObject({ conversation: { headSeqId: 2 }, unreadCount: 2, hasMore: false });
    expect(synced?.messages.map(({ seqId }) => seqId)).toEqual([2]);
    expect(socket.closed).toBeUndefined();
  });
});

describe("the head of the world", () => {
  it("is what the shard has sent before the registration, then what it delivers", async ({ expect }) => {
    const userId = newUserId();
    const { deviceId } = await signIn(userId);
    const sent = must((await append(WORLD_ROOM_ID, [text(newUserId(), newUserId())]))[0]);
    const shard = shardOf(env, WORLD_ROOM_ID, userId, settingsOf(env).worldShards);
    await shard.push({ fromSeqId: sent.seqId, toSeqId: sent.seqId, messages: [sent] });
    await connect(userId, deviceId);
    const session = sessionOf(env, userId);
    await eventually("the head", async () => (await session.heads())[WORLD_ROOM_ID] === sent.seqId);
    await session.deliverBigRoom(WORLD_ROOM_ID, ['{"type":"new-messages","data":{"messages":[]}}'], sent.seqId + 5);
    expect((await session.heads())[WORLD_ROOM_ID]).toBe(sent.seqId + 5);
  });
});

describe("sends whose answer was lost", () => {
  it("are told to the user's other sockets by the room's head", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const [sender, other] = [await connect(a), await connect(a)];
    const real = ConversationRoom.prototype.append;
    vi.spyOn(ConversationRoom.prototype, "append").mockImplementationOnce(async function (
      this: ConversationRoom,
      sends,
    ) {
      await real.call(this, sends);
      throw new Error("Network connection lost.");
    });
    const view = vi
      .spyOn(ConversationRoom.prototype, "view")
      .mockRejectedValueOnce(new Error("Network connection lost."));
    const data = { clientMsgId: "k", conversationId: id, messageType: "text", content: "hi" } as const;
    sender.send({ type: "send-message", data });
    expect((await sender.next("message-error")).data.error.name).toBe("UNAVAILABLE");
    for (const socket of [sender, other]) {
      const { conversation } = (await socket.next("conversation-updated")).data;
      expect(conversation).toMatchObject({ conversationId: id, headSeqId: 1 });
    }
    // The room could not be reached at first.
    expect(view).toHaveBeenCalledTimes(2);
  });
});

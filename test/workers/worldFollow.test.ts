/** Whose sessions the world's shard serves: everybody with a socket that wants the world, and nobody else. */
import { env } from "cloudflare:workers";
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, it, vi } from "vitest";
import { CACHE_KEYS } from "../../src/cache/types.ts";
import { WORLD_ROOM_ID } from "../../src/domain/records.ts";
import { SHARD_SEPARATOR, shardNumber } from "../../src/domain/sharding.ts";
import { CacheStore } from "../../src/objects/CacheStore.ts";
import { settingsOf } from "../../src/platform/settings.ts";
import { shardAt } from "../../src/platform/stubs.ts";
import { eventually, HeldBus, must, newUserId, resetClock, roomStub, signIn, text } from "./support/harness.ts";
import { connect } from "./support/socket.ts";

beforeEach(() => {
  new HeldBus();
});
afterEach(() => {
  resetClock();
  vi.restoreAllMocks();
});

function shardStub(userId: string) {
  const number = shardNumber(userId, settingsOf(env).worldShards);
  return env.SHARDS.getByName(`${WORLD_ROOM_ID}${SHARD_SEPARATOR}${number}`);
}

function isRegistered(userId: string): Promise<boolean> {
  return runInDurableObject(shardStub(userId), (_shard, { storage }) => {
    return storage.sql.exec("SELECT 1 FROM sessions WHERE user_id = ?", userId).toArray().length > 0;
  });
}

const WORLD = { conversationId: WORLD_ROOM_ID };

describe("following the world", () => {
  it("begins again with a new socket after all others have unsubscribed", async ({ expect }) => {
    const userId = newUserId();
    const quiet = await connect(userId);
    expect(await isRegistered(userId)).toBe(true);
    quiet.send({ type: "unsubscribe", data: WORLD });
    await eventually("the shard to forget the user", async () => !(await isRegistered(userId)));

    const loud = await connect(userId);
    expect(await isRegistered(userId)).toBe(true);
    loud.close();
    await eventually("the shard to forget the user", async () => !(await isRegistered(userId)));
  });

  it("begins with the socket: what comes before it is greeted is there already, and it stays registered", async ({
    expect,
  }) => {
    const userId = newUserId();
    const { deviceId } = await signIn(userId);
    const held = Promise.withResolvers<void>();
    const real = CacheStore.prototype.pipeline;
    const presence = vi.spyOn(CacheStore.prototype, "pipeline").mockImplementation(async function (
      this: CacheStore,
      commands,
    ) {
      if (commands.some(([, key]) => key === CACHE_KEYS.online(userId))) {
        await held.promise;
      }
      return await real.call(this, commands);
    });
    const connecting = connect(userId, deviceId);
    await eventually("the registration", async () => (await isRegistered(userId)) && presence.mock.calls.length > 0);

    const sent = must((await roomStub(WORLD_ROOM_ID).append([text(newUserId(), newUserId())]))[0]);
    const number = shardNumber(userId, settingsOf(env).worldShards);
    const { seqId } = sent;
    await shardAt(env, WORLD_ROOM_ID, number).push({ fromSeqId: seqId, toSeqId: seqId, messages: [sent] });
    held.resolve();
    const socket = await connecting;
    await socket.until("the message", () => socket.pushed(WORLD_ROOM_ID).includes(seqId));
    expect(await isRegistered(userId)).toBe(true);
  });

  it("is renewed with the lease, since a shard forgets who did not answer for a while", async ({ expect }) => {
    const userId = newUserId();
    await connect(userId);
    await shardStub(userId).unregister(userId);
    expect(await isRegistered(userId)).toBe(false);
    await runDurableObjectAlarm(env.SESSIONS.getByName(userId));
    expect(await isRegistered(userId)).toBe(true);
  });
});

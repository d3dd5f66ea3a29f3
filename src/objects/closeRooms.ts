/** The sockets of a signed-out device that are open somewhere else. */
import { WORLD_ROOM_ID } from "../domain/records.ts";
import { settingsOf } from "../platform/settings.ts";
import { shardOf } from "../platform/stubs.ts";
import type { ErrorName } from "../protocol/errors.ts";
import { describeError, log } from "../telemetry/log.ts";

/** Closes the room sockets of a device: they are open at the user's shard. Whatever goes wrong is logged. */
export async function closeRooms(env: Env, userId: string, deviceId: string, name: ErrorName): Promise<void> {
  try {
    await shardOf(env, WORLD_ROOM_ID, userId, settingsOf(env).worldShards).closeDevice(userId, deviceId, name);
  } catch (error) {
    log("warn", "room sockets not closed", { userId, deviceId, error: describeError(error) });
  }
}

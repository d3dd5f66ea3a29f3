/** Frames to users, from the consumers. */
import { cacheOf } from "../cache/index.ts";
import { roomOf, sessionOf } from "../platform/stubs.ts";
import type { ServerFrame } from "../protocol/frames.ts";
import { onlineOf } from "./online.ts";

/** Calls in the air at one time. */
const SLICE = 100;
/** Member ids read from a room at one time. */
export const MEMBERS_PAGE = 500;

/** To every open socket of each user; a user who is away has nothing to do but sync later. */
export async function pushTo(env: Env, userIds: readonly string[], frames: readonly ServerFrame[]): Promise<void> {
  const texts = frames.map((frame) => JSON.stringify(frame));
  for (let at = 0; at < userIds.length; at += SLICE) {
    const slice = userIds.slice(at, at + SLICE);
    await Promise.all(slice.map((userId) => sessionOf(env, userId).deliver(texts)));
  }
}

/** As `pushTo`, for people who may be away: a call to their objects would wake them for nothing. */
export async function pushToOnline(
  env: Env,
  userIds: readonly string[],
  frames: readonly ServerFrame[],
): Promise<void> {
  const cache = cacheOf(env);
  await pushTo(env, await onlineOf(cache, [...userIds]), frames);
}

/**
 * To every member of a conversation who is here, but some; page by page.
 * @param first the first page, for who has it from the room already
 */
export async function pushToMembers(
  env: Env,
  conversationId: string,
  except: readonly string[],
  frames: readonly ServerFrame[],
  first?: readonly string[],
): Promise<void> {
  const left = new Set(except);
  for (let after = "", known = first; ; known = undefined) {
    const userIds = known ?? (await roomOf(env, conversationId).memberIds(after, MEMBERS_PAGE));
    await pushToOnline(
      env,
      userIds.filter((userId) => !left.has(userId)),
      frames,
    );
    const last = userIds.at(-1);
    if (last === undefined || userIds.length < MEMBERS_PAGE) {
      return;
    }
    after = last;
  }
}

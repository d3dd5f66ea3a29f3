/** Friends who come and go, and what their sockets hear of it. */
import { env } from "cloudflare:workers";
import { runDurableObjectAlarm } from "cloudflare:test";
import { CACHE_KEYS } from "../../../src/cache/types.ts";
import { cacheAt } from "../../../src/platform/stubs.ts";
import { repositories } from "../../../src/repo/index.ts";
import { advance, eventually, must, newUserId } from "./harness.ts";
import type { TestSocket } from "./socket.ts";

export const repo = repositories(env);
export const cache = cacheAt(env, 0);
export const USER_EVENTS = "gochat.user-events";

/** What a test looks at in an event of a user who came or went. */
export type Event = { event_id: string; event_type: string; payload: { last_seen_at: number } };

/** An account in SQL, with no device yet. */
export async function newAccount(): Promise<string> {
  const userId = newUserId();
  const username = `p-${userId.slice(-12).toLowerCase()}`;
  must(
    await repo.users.create({
      userId,
      username,
      displayName: username,
      passwordHash: null,
      isGuest: false,
      eventId: newUserId(),
      now: Date.now(),
    }),
  );
  return userId;
}

/** They are friends, and nobody is told. */
export async function befriend(a: string, b: string): Promise<void> {
  const now = Date.now();
  const rows = [
    [a, b],
    [b, a],
  ].map(([userId, friendId]) =>
    env.DB.prepare("INSERT INTO friendships VALUES (?, ?, ?)").bind(userId ?? "", friendId ?? "", now),
  );
  await env.DB.batch(rows);
}

/** Two new accounts that are friends. */
export async function friends(): Promise<[string, string]> {
  const [a, b] = [await newAccount(), await newAccount()];
  await befriend(a, b);
  return [a, b];
}

/** Runs the alarm of a user's object now. */
export const alarmOf = (userId: string) => runDurableObjectAlarm(env.SESSIONS.getByName(userId));

/** Closes the last socket of a user, and waits until the user's object knows. */
export async function leave(userId: string, socket: TestSocket): Promise<void> {
  socket.close();
  await eventually("absence in the cache", async () => {
    const [lease] = await cache.pipeline([["GET", CACHE_KEYS.online(userId)]]);
    return lease === null;
  });
}

/** The user is away for so long that it is news. */
export async function goOffline(userId: string, socket: TestSocket): Promise<void> {
  await leave(userId, socket);
  advance(30_001);
  await alarmOf(userId);
}

/** What this socket was told of others' presence. */
export function told(socket: TestSocket): string[] {
  return socket.frames.flatMap((frame) =>
    frame.type === "friend-online" ? ["online"] : frame.type === "friend-offline" ? ["offline"] : [],
  );
}

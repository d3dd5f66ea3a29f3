/** Who of a conversation's members is online, to one of them. */
import { isOutage } from "../cache/lastKnown.ts";
import { readPresence } from "../cache/presence.ts";
import { usersOfDirect } from "../platform/ids.ts";
import type { Member } from "../protocol/things.ts";
import type { Services } from "./services.ts";

/**
 * Members with `online`, where the cache knows it. Between two who have blocked one another, and in a direct conversation whose
 * friendship has ended, the other one is shown as away: like somebody who is.
 * @param userId who asks
 * @returns `degraded` when SQL could not say who may see whom
 */
export async function withPresence(
  services: Services,
  userId: string,
  conversationId: string,
  members: readonly Member[],
): Promise<{ items: Member[]; degraded?: true }> {
  const { repo, cache, clock } = services;
  const others = members.map((member) => member.userId).filter((other) => other !== userId);
  const isDirect = usersOfDirect(conversationId) !== null;
  const [presence, hidden] = await Promise.all([
    readPresence(
      cache,
      members.map((member) => member.userId),
      clock.now(),
    ),
    (isDirect ? strangersAmong(services, userId, others) : repo.friends.blockedAmong(userId, others)).catch(ifOutage),
  ]);
  if (hidden === undefined) {
    return { items: [...members], degraded: true };
  }
  const items = members.map((member) => {
    const online = presence.get(member.userId);
    return online === undefined ? member : { ...member, online: online && !hidden.includes(member.userId) };
  });
  return { items };
}

/** While SQL is away nobody knows who may see whom, so nobody sees anybody. */
function ifOutage(error: unknown): undefined {
  if (!isOutage(error)) {
    throw error;
  }
}

async function strangersAmong({ repo }: Services, userId: string, others: readonly string[]): Promise<string[]> {
  const friends = await repo.friends.friendsAmong(userId, others);
  return others.filter((other) => !friends.includes(other));
}

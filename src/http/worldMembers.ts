/** Members of the world room. */
import type { Actor } from "../domain/commands.ts";
import { MEMBER, WORLD_ROOM_ID } from "../domain/records.ts";
import { ok, type Result } from "../protocol/errors.ts";
import type { MemberList } from "../protocol/rest.ts";
import { presentMember } from "./present.ts";
import type { Services } from "./services.ts";

/**
 * Everybody is in the world by rule: the accounts are its members. Its room has rows only for those about whom it keeps
 * something, a role or a mute.
 */
export async function worldMembers(
  services: Services,
  actor: Actor,
  page: { cursor?: string | undefined; limit: number },
): Promise<Result<MemberList>> {
  const after = page.cursor ?? "";
  const [kept, users] = await Promise.all([
    services.room(WORLD_ROOM_ID).members(actor, { cursor: after, limit: page.limit }),
    // One too many tells whether there is another page.
    services.repo.users.after(after, page.limit + 1),
  ]);
  if (!kept.ok) {
    return kept;
  }
  const rows = new Map(kept.value.items.map((member) => [member.userId, member]));
  const shown = users.slice(0, page.limit);
  const items = shown.map((user) => {
    const { userId, createdAt: joinedAt } = user;
    return presentMember(rows.get(userId) ?? { userId, role: MEMBER, joinedAt, readSeqId: 0 }, user);
  });
  return ok({ items, nextCursor: users.length > page.limit ? (shown.at(-1)?.userId ?? null) : null });
}
